#!/usr/bin/env python3
"""figures.py [PART...] - runs parts of the proof, keeps what each printed in $BUILD/prove/PART.log, and writes the tables of
docs/reliability.md from all that is there. Without PART it writes them alone. Fails when a part does.

Parts: explored (schedules), model (its states), mutants and plan (faults), tsan, soak ($HOURS, $SEED)."""

import os
import re
import subprocess
import sys
import time

BUILD = os.environ.get("BUILD", "build")
LOGS = os.path.join(BUILD, "prove")
DOC = "docs/reliability.md"
COMMANDS = {
    "explored": [BUILD + "-sync_prove/tests/prove/prove", "--random", "100000", "--states", "400000"],
    "model": ["sh", "tests/prove/model.sh"],
    "mutants": ["tests/prove/mutants.py"],
    "plan": ["tests/prove/mutants.py", "--plan"],
    "tsan": ["make", "--no-print-directory", "test-tsan"],
    "soak": [BUILD + "/tests/prove/soak", os.environ.get("HOURS", "1"), os.environ.get("SEED", "1")],
}


def run(part):
    os.makedirs(LOGS, exist_ok=True)
    path = os.path.join(LOGS, part + ".log")
    start = time.time()
    with open(path + ".new", "w") as log:
        log.write("$ %s\n" % " ".join(COMMANDS[part]))
        with subprocess.Popen(COMMANDS[part], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            for line in process.stdout:
                sys.stdout.write(line)
                sys.stdout.flush()
                log.write(line)
        log.write("took %.0f\n" % (time.time() - start))
    if process.returncode == 0:
        os.rename(path + ".new", path)
    return process.returncode in (0, 77)  # left out: a program is missing


def table(head, rows):
    return ["| %s |" % " | ".join(head), "|" + "---|" * len(head), *("| %s |" % " | ".join(row) for row in rows)]


def number(text):
    return "{:,}".format(int(text))


def wrapped(text):
    lines = [""]
    for word in text.split(" "):
        if len(lines[-1]) + len(word) >= 98:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines


def explored(lines, command):
    found = [re.match(r"(.{48}) +(\d+) states([ +]) +(\d+) schedules +([\d.]+) s  (.*)", line) for line in lines]
    found = [m.groups() for m in found if m]
    random, states = (number(command.split("%s " % key)[1].split()[0]) for key in ("--random", "--states"))
    rows = [(name.strip(), "" if n == "0" else number(n) + (" and more" if more == "+" else ", all"), number(schedules), how)
            for name, n, more, schedules, _, how in found]
    total = sum(int(m[3]) for m in found)
    text = ("`%s`, which is seeds 1 to %s of each scenario, and its states up to %s: **%s schedules** of %d scenarios in %d s of "
            "one CPU." % (command, random, states, number(total), len(found), sum(float(m[4]) for m in found)))
    return [*wrapped(text), "", *table(("scenario", "states", "schedules", "result"), rows)]


def model(lines, command):
    found = [re.match(r"(.*?) +([\d.e+]+) states, (\d+) errors", line) for line in lines]
    rows = [(m[1], number(float(m[2])), "found" if m[1].startswith("fault") else m[3]) for m in found if m]
    return [*wrapped("`%s`, with spin and three workers:" % command), "", *table(("plan and claim", "states", "errors"), rows)]


def mutants(lines, command):
    found = [line[2:-2].split(" | ") for line in lines if re.match(r"\| [a-z]+: ", line)]
    lives = [row for row in found if row[1] == "lives"]
    text = ("`%s`: %d faults, of which %d are found, and %d change nothing that can be seen, for the reason in their rows."
            % (command, len(found), len(found) - len(lives), len(lives)))
    rows = [(row[0], row[1], row[3] if row[1] == "lives" else row[2]) for row in found]
    return [*wrapped(text), "", *table(("fault", "found by", "after schedules, or why it lives"), rows)]


def plan(lines, command):
    found = [line[2:-2].split(" | ") for line in lines if re.match(r"\| [a-z]+: ", line)]
    killed = sum(row[1].startswith("check_") for row in found)
    text = "`%s`: %d faults, of which %d are found." % (command, len(found), killed)
    return [*wrapped(text), "", *table(("fault", "found by"), [row[:2] for row in found])]


def tsan(lines, command):
    suites = [m[1] for m in (re.match(r"Running suite\(s\): (.*)", line) for line in lines) if m]
    checks = [m[1] for m in (re.match(r"100%: Checks: (\d+), Failures: 0, Errors: 0", line) for line in lines) if m]
    took = [line.split()[1] for line in lines if line.startswith("took ")]
    text = "`%s`: no report, and no suppressions, in %s s." % (command, took[0] if took else "?")
    return [*wrapped(text), "", *table(("suite", "tests"), zip(suites, checks))]


def soak(lines, command):
    last = [line for line in lines if line.startswith("soak: ")][-1]
    return [*wrapped("`%s`: %s." % (command, last[len("soak: "):]))]


def write_tables():
    text = open(DOC).read()
    for part in COMMANDS:
        path = os.path.join(LOGS, part + ".log")
        if not os.path.exists(path):
            continue
        lines = open(path).read().splitlines()
        made = "\n".join(globals()[part](lines, lines[0][2:]))
        begin, end = "<!-- %s: written by make prove -->\n" % part, "<!-- end -->"
        before, after = text.split(begin)
        text = before + begin + made + "\n" + after[after.index(end):]
    open(DOC, "w").write(text)


def main():
    ok = all([run(part) for part in sys.argv[1:]])
    write_tables()
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
