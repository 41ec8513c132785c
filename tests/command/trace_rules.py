#!/usr/bin/env python3
"""trace_rules.py FILE... - does each trace keep the rules of docs/formats/trace-format.md? A line for each that does not."""
import bisect
import json
import sys

GRAIN = 0.0005  # times have three decimals


def check(path):
    with open(path, encoding="utf-8") as file:
        top = json.load(file)
    facts, events = top["dagpt"], top["traceEvents"]
    assert facts["version"] == 2 and top["displayTimeUnit"] == "ns"
    slices = {}  # by thread: (start, end, event)
    names, arrows, counters = {}, {}, {}
    for e in events:
        assert e["pid"] == 1 and e["ph"] in "MXCsf", e
        if e["ph"] == "M":
            names.setdefault(e["name"], set()).add(e["tid"])
            continue
        assert e["ts"] >= 0, e
        if e["ph"] == "X":
            assert e["dur"] >= 0, e
            slices.setdefault(e["tid"], []).append((e["ts"], e["ts"] + e["dur"], e))
        elif e["ph"] == "C":
            (value,) = e["args"].values()
            assert value >= 0, e
            at, last = counters.get(e["name"], (0, None))
            assert e["ts"] >= at and value != last, ("counter", e)
            counters[e["name"]] = (e["ts"], value)
        else:
            arrows.setdefault(e["id"], {})[e["ph"]] = e
    workers = set(range(facts["awake"]))
    assert names["thread_name"] == workers == names["thread_sort_index"]
    assert set(counters) <= {"ready tiles", "workers not waiting"}
    assert all(last == 0 for _, last in counters.values()), "a counter does not end at 0"
    for thread in slices.values():
        check_nesting(thread)
        check_nesting([(e["ts"] - thread[0][0], (e["ts"] - thread[0][0]) + e["dur"], e) for _, _, e in thread])
    tiles = check_tiles(facts, slices)
    check_arrows(arrows, slices, tiles)


def check_nesting(thread):
    """In the file's order: step slices one after the other; inside them slices one after the other, without holes.
    Ends are sums of doubles, and are not rounded: no slice may pass the next, or the end of its step."""
    step_end, at = 0, None
    for start, end, e in thread:
        if e["cat"] == "step":
            assert at is None or abs(at - step_end) < GRAIN, ("a hole before the end of a step", e)
            assert start >= step_end, ("steps overlap", e)
            step_end, at = end, start
        else:
            assert abs(start - at) < GRAIN, ("a hole", e)
            assert start >= at, ("slices overlap", e)
            assert end <= step_end, ("a slice leaves its step", e)
            at = end
    assert at is None or abs(at - step_end) < GRAIN


def check_tiles(facts, slices):
    tiles = {}
    for tid, thread in slices.items():
        for start, end, e in thread:
            args = e["args"]
            step = facts["steps"][args["step"]]
            assert step["start"] <= start + GRAIN and end <= step["end"] + GRAIN, e
            if e["cat"] != "tile":
                assert e["cat"] == "step" or e["name"] in ("queue", "spinning", "parked"), e
                continue
            plan = facts["plans"][step["plan"]]
            op, *box = plan["tiles"][args["tile"]][:5]
            assert e["name"] == plan["ops"][op]["name"] and args["type"] == plan["ops"][op]["type"], e
            assert args["box"] == box and args["layer"] == plan["ops"][op]["layer"], e
            assert step["start"] <= args["ready"] + GRAIN and args["ready"] <= start, e
            assert (args["step"], args["tile"]) not in tiles, ("twice", e)
            tiles[args["step"], args["tile"]] = (tid, start, end, e)
    assert len(tiles) == sum(len(facts["plans"][s["plan"]]["tiles"]) for s in facts["steps"])
    for (step, _), (_, _, _, e) in tiles.items():
        last = e["args"]["last"]
        if last is None:
            assert abs(e["args"]["ready"] - facts["steps"][step]["start"]) < GRAIN, e
        else:
            assert abs(e["args"]["ready"] - tiles[step, last][2]) < GRAIN, ("ready is not the last's end", e)
    return tiles


def check_arrows(arrows, slices, tiles):
    starts = {
        tid: sorted((start, end, i) for i, (start, end, e) in enumerate(thread) if e["cat"] == "tile")
        for tid, thread in slices.items()
    }

    def around(e):
        of_thread = starts[e["tid"]]
        found = of_thread[bisect.bisect_right(of_thread, (e["ts"], float("inf"), 0)) - 1]
        assert found[0] <= e["ts"] <= found[1], ("an arrow's end in no tile", e)
        args = slices[e["tid"]][found[2]][2]["args"]
        return args["step"], args["tile"]

    pairs = set()
    for arrow in arrows.values():
        s, f = arrow["s"], arrow["f"]
        assert f["bp"] == "e" and s["ts"] <= f["ts"], arrow
        (step, a), (same, b) = around(s), around(f)
        assert step == same and a < b, arrow
        pairs.add((step, a, b))
    assert len(pairs) == len(arrows), "an arrow twice"
    for (step, tile), (_, _, _, e) in tiles.items():
        last = e["args"]["last"]
        assert last is None or (step, last, tile) in pairs, ("no arrow to", e)


status = 0
for name in sys.argv[1:]:
    try:
        check(name)
    except (AssertionError, KeyError, ValueError, IndexError) as wrong:
        print(f"{name}: {type(wrong).__name__} {wrong}")
        status = 1
sys.exit(status)
