#!/usr/bin/env python3
"""what_if.py DAGPT MAKE-MODEL - does a trace of one worker predict the time of two? (make bench-what-if)

'dagpt bench what-if' on synthetic 124M: held is that the median error over 15 rounds or more is within 10 %, for a decoded
token, which waits for memory, and for a prompt, which computes. Rounds between whose probes the machine changed do not
count; with too few left, it is skipped, and says so."""
import json
import os
import subprocess
import sys
import tempfile

ROUNDS, PERCENT = 15, 10


def main():
    dagpt, maker = sys.argv[1:]
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: one CPU")
        return 0
    failed = False
    with tempfile.NamedTemporaryFile() as model:
        subprocess.run([maker, "--size", "124M", "-o", model.name], check=True, stdout=subprocess.DEVNULL)
        command = [dagpt, "bench", "-m", model.name, "-j", "2", "--seconds", "20", "--json", "what-if"]
        report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    for guess in report["what_if"]:
        print("{tokens} token(s): predicted {predicted_ms:.2f} ms, measured {measured_ms:.2f} ms, median error {error:+.1f} % "
              "(from {p10:+.1f} to {p90:+.1f} % but for a tenth at each end) of {kept} rounds, {taken} taken".format(**guess))
        if guess["kept"] < ROUNDS:
            print(f"skipped: fewer than {ROUNDS} rounds count; the machine was not quiet")
        elif abs(guess["error"]) > PERCENT:
            print(f"FAILED: held are {PERCENT} %")
            failed = True
    return failed


sys.exit(main())
