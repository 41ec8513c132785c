#!/usr/bin/env python3
"""mutants.py [--plan] [WORD] - puts each fault of tests/prove/mutants.txt whose name has WORD into the runtime, builds
the explorer with it, and runs it until it fails. Prints a row of Markdown for each: the fault, which scenario
killed it, after how many schedules of that scenario. Fails when one lives that should not.
--plan: those of mutants_plan.txt, and the suites of the plan.

CC: the compiler; JOBS: how many at a time. Works in copies, in a temporary folder; from the root of the project."""

import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

CC = os.environ.get("CC", "gcc")
FLAGS = "-std=c11 -D_GNU_SOURCE -O1 -w -Itests/support/sync_prove".split()
CHECKED = ["tests/prove/litmus.c", "tests/prove/deque.c", "src/runtime/trace.c"]
OTHERS = [*CHECKED, "tests/prove/explorer.c", "tests/prove/heap.c", "tests/prove/memory.c", "tests/prove/prove.c",
          *(f for f in glob.glob("src/base/*.c") if not f.endswith(("/arena.c", "/cpu.c")))]

# With the stand-in for Check, whose reports are the same everywhere.
SUITES = ["tests/unit/graph/check_plan.c", "tests/unit/graph/check_plan_check.c", "tests/support/support.c",
          "tests/support/no_check/check.c"]
SUITE_FLAGS = "-std=c11 -D_GNU_SOURCE -O1 -w -Isrc/runtime/sync -Itests/support/no_check".split()


def read(path):
    mutants = []
    for line in open(path):
        line = line.rstrip("\n")
        key, text = line[:1], line[2:]
        if key == "=":
            mutants.append({"name": text, "from": [], "to": [], "why": "", "far": False})
        elif key == "@":
            mutants[-1]["file"] = text
        elif key == "-":
            mutants[-1]["from"].append(text)
        elif key == "+":
            mutants[-1]["to"].append(text)
        elif key == "!":
            mutants[-1]["far"] = True
        elif key == "?":
            mutants[-1]["why"] = text
    return mutants


def compile_file(folder, source, checked):
    out = source.replace("/", "_") + ".o"
    subprocess.run([CC, *FLAGS, *(["-fsanitize=thread"] if checked else []), "-c", "-o", out, source],
                   cwd=folder, check=True)
    return out


def put(mutant, copy):
    """Puts the fault into a copy of the project's sources; what is wrong with it, or None."""
    for part in PARTS:
        shutil.copytree(part, os.path.join(copy, part))
    path = os.path.join(copy, mutant["file"])
    text = open(path).read()
    old = "\n".join(mutant["from"])
    if text.count(old) != 1:
        return "its text stands %d times in %s" % (text.count(old), mutant["file"])
    open(path, "w").write(text.replace(old, "\n".join(mutant["to"])))
    return None


class Explorer:
    """Faults of the runtime: killed by a schedule of a scenario."""

    table = "tests/prove/mutants.txt"

    def __init__(self, folder):
        for part in PARTS:
            shutil.copytree(part, os.path.join(folder, part))
        self.objects = [os.path.join(folder, compile_file(folder, source, source in CHECKED)) for source in OTHERS]

    def run(self, mutant, copy):
        made = compile_file(copy, "tests/prove/runtime.c", True)
        subprocess.run([CC, "-o", "prove", made, *self.objects, "-lm"], cwd=copy, check=True)
        # The explorer ends by itself, however long schedules are: the limit is for a fault in the explorer.
        for random, states in ((300, 300), (2000, 8000), *(((20000, 60000),) if mutant["far"] else ())):
            result = subprocess.run(["./prove", "--brief", "1", "--random", str(random), "--states", str(states),
                                     *SCENARIOS], cwd=copy, stdout=subprocess.PIPE, timeout=3600)
            if result.returncode != 0:
                told = result.stdout.decode(errors="replace").strip() or "ended by signal %d" % -result.returncode
                m = re.match(r"(.*), (\d+): (.*)", told)
                return m.groups() if m else (told, "", "")
        return None


class Suites:
    """Faults of the plan: killed by a test of check_plan or check_plan_check. $BUILD has the library."""

    table = "tests/prove/mutants_plan.txt"

    def __init__(self, folder):
        self.library = os.path.abspath(os.environ.get("BUILD", "build")) + "/libdagpt.a"
        self.objects = {source: os.path.join(folder, os.path.basename(source) + ".o") for source in SUITES}
        for source, out in self.objects.items():
            subprocess.run([CC, *SUITE_FLAGS, "-c", "-o", out, source], check=True)

    def run(self, mutant, copy):
        made = compile_file(copy, mutant["file"], False)
        for source in SUITES[:2]:
            suite = os.path.basename(source)[:-2]
            objects = [self.objects[s] for s in (source, *SUITES[2:])]
            subprocess.run([CC, "-o", suite, made, *objects, self.library, "-lpthread", "-lm"], cwd=copy, check=True)
            result = subprocess.run(["./" + suite], cwd=copy, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            if result.returncode != 0:
                m = re.search(r":\d+: (\w+): (.*)", result.stderr.decode(errors="replace"))
                return (suite + " " + (m.group(1) if m else ""), "", m.group(2)[:100] if m else "")
        return None


def try_one(kind, mutant):
    with tempfile.TemporaryDirectory() as copy:
        wrong = put(mutant, copy)
        return (wrong, "", "") if wrong else kind.run(mutant, copy)


PARTS = ["src", "tests/prove", "tests/support/sync_prove"]
SCENARIOS = ["bell", "team", "handing", "empty", "chain", "diamond", "pushers", "meeting", "layers", "sources", "two", "three", "two joins", "loading", "posted",
             "failing", "traced", "cancelled", "barrier", "serial", "wide", "grid", "fan", "counters"]


def main():
    plan = sys.argv[1:2] == ["--plan"]
    word = "".join(sys.argv[1 + plan : 2 + plan])
    wrong = killed = lived = 0
    with tempfile.TemporaryDirectory() as folder:
        kind = (Suites if plan else Explorer)(folder)
        mutants = [m for m in read(kind.table) if word in m["name"]]
        print("| fault | killed by | after schedules | how |\n|---|---|---|---|")
        with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", os.cpu_count()))) as pool:
            for mutant, row in zip(mutants, pool.map(lambda m: try_one(kind, m), mutants)):
                if row:
                    killed += 1
                    wrong += row[0].startswith("its text")
                else:
                    lived += 1
                    wrong += not mutant["why"]
                    row = ("lives" if mutant["why"] else "LIVES", "", mutant["why"])
                print("| %s | %s | %s | %s |" % (mutant["name"], *row), flush=True)
    print("\n%d faults: %d killed, %d live, %d of them without a reason" % (killed + lived, killed, lived, wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
