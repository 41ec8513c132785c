#!/usr/bin/env python3
"""what_if.py DAGPT MAKE-MODEL - does a trace of one worker predict the time of two? (make bench-what-if)

On a model whose weights no cache holds: decoded tokens, which wait for memory, and a prompt in chunks, which computes.
Runs of one and of two workers take turns. Both traces say what the machine could do right after the run (limits), and for
how long a worker was off its CPU; a pair counts where the two agree about the machine within 10 %, and each worker had its
CPU for 98 % of the time. Held, for each work: the median error of the predicted time of two workers over 15 pairs is within
10 %. Ends with 0 also when too few pairs count, and says so."""
import json
import os
import statistics
import subprocess
import sys
import tempfile

PAIRS, TURNS, LIMIT, AGREE, PREEMPTED = 15, 60, 0.10, 0.10, 0.02
PROMPT = [str(i % 1000) for i in range(900)]
WORKS = {
    "decode": ["--total", "150", "--trace-tokens", "20:150", "1", "2", "3"],
    "prompt": ["--total", "901", "--chunk", "128", "--trace-tokens", "128:896", *PROMPT],
}


def record(dagpt, model, folder, work, workers):
    path = os.path.join(folder, f"{work}{workers}.json")
    subprocess.run([dagpt, "tokens", "-m", model, "-j", str(workers), "--trace", path, *WORKS[work]], check=True,
                   stdout=subprocess.DEVNULL)
    return path


def output(*command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def machine(path):
    """The limits of one worker and of two, as the file has them; [] after a run that was too short."""
    with open(path, encoding="utf-8") as f:
        limits = {n["workers"]: n for n in json.load(f)["dagpt"]["machine"]["limits"]}
    return [limits[n][what] for n in (1, 2) if n in limits for what in ("read_gbps", "fma_gflops")]


def counts(dagpt, one, two):
    first, second = machine(one), machine(two)
    if min(len(first), len(second)) < 4 or any(abs(a - b) > AGREE * min(a, b) for a, b in zip(first, second)):
        return False
    for path in (one, two):
        s = output(dagpt, "trace", path, "--json")
        if any(w["preempted_us"] > PREEMPTED * s["wall_us"] for w in s["by_worker"]):
            return False
    return True


def main():
    dagpt, maker = sys.argv[1:]
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: one CPU")
        return 0
    errors, turns, failed = {work: [] for work in WORKS}, 0, False
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model.bin")
        sizes = "--layers 8 --heads 12 --channels 768 --vocab 8192 --positions 1024".split()
        subprocess.run([maker, *sizes, "-o", model], check=True, stdout=subprocess.DEVNULL)
        while turns < TURNS and min(map(len, errors.values())) < PAIRS:
            turns += 1
            for work in [w for w in WORKS if len(errors[w]) < PAIRS]:
                one, two = (record(dagpt, model, folder, work, n) for n in (1, 2))
                if not counts(dagpt, one, two):
                    continue
                guess = output(dagpt, "trace", one, two, "--what-if", "2", "--json")["what_if"][0]["dataflow"]
                errors[work].append(guess["predicted_us"] / guess["measured_us"] - 1)
                print(f"{work}: predicted {guess['predicted_us'] / 1000:.1f} ms, measured "
                      f"{guess['measured_us'] / 1000:.1f} ms, error {100 * errors[work][-1]:+.1f} %", flush=True)
    for work, list_ in errors.items():
        if len(list_) < PAIRS:
            print(f"{work}: skipped: {len(list_)} of {turns} pairs count; the machine was not quiet")
            continue
        median = statistics.median(list_)
        failed = failed or abs(median) > LIMIT
        print(f"{work}: median error {100 * median:+.1f} % of {len(list_)} pairs of {turns} (from "
              f"{100 * min(list_):+.1f} to {100 * max(list_):+.1f} %); held: {100 * LIMIT:.0f} %")
    return failed


sys.exit(main())
