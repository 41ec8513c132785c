#!/usr/bin/env python3
"""mutants.py [WORD] - puts each fault of tests/prove/mutants.txt whose name has WORD into the runtime, builds the
explorer with it, and runs it until it fails. Prints a row of Markdown for each: the fault, which scenario
killed it, after how many schedules of that scenario. Fails when one lives that should not.

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


def run(mutant, folder, objects):
    with tempfile.TemporaryDirectory() as copy:
        for part in PARTS:
            shutil.copytree(os.path.join(folder, part), os.path.join(copy, part))
        path = os.path.join(copy, mutant["file"])
        text = open(path).read()
        old = "\n".join(mutant["from"])
        if text.count(old) != 1:
            return "its text stands %d times in %s" % (text.count(old), mutant["file"])
        open(path, "w").write(text.replace(old, "\n".join(mutant["to"])))
        made = compile_file(copy, "tests/prove/runtime.c", True)
        subprocess.run([CC, "-o", "prove", made, *(os.path.join(folder, o) for o in objects), "-lm"], cwd=copy,
                       check=True)
        # The explorer ends by itself, however long schedules are: the limit is for a fault in the explorer.
        for random, states in ((300, 300), (2000, 8000), *(((20000, 60000),) if mutant["far"] else ())):
            result = subprocess.run(["./prove", "--brief", "1", "--random", str(random), "--states", str(states),
                                     *SCENARIOS], cwd=copy, stdout=subprocess.PIPE, timeout=3600)
            if result.returncode != 0:
                return result.stdout.decode(errors="replace").strip() or "ended by signal %d" % -result.returncode
    return ""


PARTS = ["src", "tests/prove", "tests/support/sync_prove"]
SCENARIOS = ["bell", "team", "empty", "chain", "diamond", "pushers", "meeting", "layers", "sources", "two", "three", "loading", "posted",
             "failing", "traced", "cancelled", "barrier", "serial", "wide", "grid"]


def main():
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    wrong = killed = lived = 0
    mutants = [m for m in read("tests/prove/mutants.txt") if word in m["name"]]
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS:
            shutil.copytree(part, os.path.join(folder, part))
        objects = [compile_file(folder, source, source in CHECKED) for source in OTHERS]
        print("| fault | killed by | after schedules | how |\n|---|---|---|---|")
        with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", os.cpu_count()))) as pool:
            for mutant, told in zip(mutants, pool.map(lambda m: run(m, folder, objects), mutants)):
                m = re.match(r"(.*), (\d+): (.*)", told)
                if told:
                    killed += 1
                    wrong += told.startswith("its text")
                    row = m.groups() if m else (told, "", "")
                else:
                    lived += 1
                    wrong += not mutant["why"]
                    row = ("lives" if mutant["why"] else "LIVES", "", mutant["why"])
                print("| %s | %s | %s | %s |" % (mutant["name"], *row), flush=True)
    print("\n%d faults: %d killed, %d live, %d of them without a reason" % (killed + lived, killed, lived, wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
