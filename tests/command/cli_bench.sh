#!/bin/sh
# cli_bench.sh - dagpt tokens --no-cache, and dagpt bench: fields, pictures, errors. No times.
. tests/command/command.sh

# ---- tokens --no-cache: the same ids, by other steps ----

ids='449 449 50 50 50 50 50' # of small.txt, after its first prompt and id
for option in '' --sched=serial --chunk=3 -j1; do
    expect_ids "$ids" tokens --no-cache -m "$golden/small.bin" $option 838 659 404
done
run tokens --greedy --total 64 -m "$tiny" 24 94 91
mv "$dir/out" "$dir/cached"
run tokens --no-cache --greedy --total 64 -m "$tiny" 24 94 91
count 'dagpt tokens --no-cache --total 64: other ids' \
    eval 'succeeded && cmp -s "$dir/cached" "$dir/out"'

# evaluated ROWS ARGUMENT... - so many rows went through the network for 3 ids in and 4 out.
evaluated() {
    rows=$1
    shift
    run tokens "$@" --stats -m "$tiny" --total 7 24 94 91
    count "dagpt tokens $* --stats: expected $rows rows" grep -q "^evaluated  *$rows rows" "$dir/err"
}
evaluated $((3 + 1 + 1 + 1))
evaluated $((3 + 4 + 5 + 6)) --no-cache
evaluated $((3 + 4 + 5 + 6)) --no-cache --chunk 2

# ---- bench ----

small=$golden/small.bin
python=
python3 -c 'import json' 2>/dev/null && python=python3

# well_formed FILE - XML, and an SVG.
well_formed() {
    if [ "$python" ]; then
        python3 -c '
import sys, xml.etree.ElementTree as t
assert t.parse(sys.argv[1]).getroot().tag == "{http://www.w3.org/2000/svg}svg"' "$1"
    else
        has '<svg ' "$1" && [ "$(tail -n 1 "$1")" = '</svg>' ]
    fi
}

# documented - the JSON of a whole run has every documented field, with numbers above 0.
documented() {
    if [ -z "$python" ]; then
        has '"ms_per_token"' "$dir/out" && has '"ns_per_tile"' "$dir/out"
        return
    fi
    python3 -c '
import json, sys
def positive(o, *names):
    for n in names:
        assert o[n] > 0, (n, o)
def measured(o, ms, *more):
    positive(o, ms, "p10", "p90", "taken", *more)
    assert o["p10"] <= o[ms] <= o["p90"], o
    assert 0 <= o["kept"] <= o["taken"], o
def limited(o, ms, *more):
    measured(o, ms, "limit_ms", "limit_ratio", "flops", "bytes", *more)
    assert o["bound_by"] in ("reading", "computing"), o
r = json.load(open(sys.argv[1]))
m = r["machine"]
positive(m, "cpus", "workers", "awake", "read_gbps", "fma_gflops")
assert m["workers"] == 2 and m["awake"] == 2 and m["isa"] and r["sched_name"] == "dataflow"
assert [l["workers"] for l in m["limits"]] == [1, 2]
for l in m["limits"]:
    positive(l, "read_gbps", "fma_gflops", "bracket_read_gbps", "bracket_fma_gflops")
assert (r["model"]["maxT"], r["model"]["V"], r["model"]["C"]) == (128, 1009, 64)
weights = 4 * (1009 * 64 + 2 * (12 * 64 * 64 + 13 * 64) + 2 * 64)
assert weights < r["model"]["step_bytes"] < 1.05 * weights, r["model"] # one row of wpe, the cache, padding
limited(r["decode"], "ms_per_token")
assert [p["tokens"] for p in r["prefill"]] == [16, 64]
for p in r["prefill"]:
    limited(p, "ms")
assert r["prefill"][1]["flops"] > 3 * r["prefill"][0]["flops"]
measured(r["lab"], "ms", "first_ms")
assert r["lab"]["first_ms"] < r["lab"]["p90"]
assert (r["lab"]["ids_in"], r["lab"]["ids_out"]) == (2, 8)
assert [n["workers"] for n in r["no_cache"]] == [1, 2]
for n in r["no_cache"]:
    measured(n, "ms", "speedup")
    assert n["ids"] == 64
assert [(s["tiles"], s["workers"]) for s in r["sched"]] == \
    [(t, w) for w in (1, 2) for t in (1920, 2000, 10001)]
for s in r["sched"]:
    positive(s, "ns_per_tile")
    assert s["ns_per_tile"] <= s["median"] <= s["p90"], s
assert [s["name"] for s in r["schedules"]] == ["dataflow", "barrier", "serial"]
assert [w["weights"] for w in r["weights"]] == ["f32", "bf16", "int8"]
assert [[p["tokens"] for p in w["prefill"]] for w in r["weights"]] == [[64, 128]] * 3
for w in r["weights"]:
    positive(w, "decode_speedup")
    limited(w["decode"], "ms_per_token")
    for p in w["prefill"]:
        limited(p, "ms", "speedup")
assert r["weights"][0]["decode"]["bytes"] > r["weights"][1]["decode"]["bytes"] > r["weights"][2]["decode"]["bytes"]
assert [w["workers"] for w in r["workers"]] == [1, 2]
for w in r["workers"]:
    positive(w, "decode_speedup", "prefill_speedup", "read_speedup", "fma_speedup")
    for kind in "decode", "prefill":
        assert abs(w[kind + "_efficiency"] * w["workers"] / w[kind + "_speedup"] - 1) < 1e-4, w
assert r["workers"][0]["decode_speedup"] == r["workers"][0]["prefill_speedup"] == 1
assert [(n["workers"], n["awake"]) for n in r["neighbours"]] == [(w, 2) for w in (2, 4, 8)]
for n in r["neighbours"]:
    positive(n, "alone_ms", "ms", "kept", "fair", "of_fair_share", "rounds")
    assert n["p10"] <= n["of_fair_share"] <= n["p90"], n
assert [b["texts"] for b in r["batch"]] == [1, 2, 4, 8, 16, 32]
for b in r["batch"]:
    limited(b, "ms", "tokens_per_s", "speedup")
    g = b["gap"]
    positive(g, "alone_ms", "ms", "steps")
    assert g["share"] == max(4, b["texts"] // 2) and g["tokens"] == 128 and g["steps"] >= 128 // g["share"], g
    assert g["alone_ms"] <= g["alone_p99"] and g["ms"] <= g["p99"] and abs(g["ratio"] * g["alone_ms"] / g["p99"] - 1) < 1e-4, g
assert r["batch"][0]["speedup"] == 1
assert [(g["tokens"], g["workers"]) for g in r["what_if"]] == [(1, 2), (64, 2)]
for g in r["what_if"]:
    positive(g, "predicted_ms", "measured_ms", "taken")
    assert g["p10"] <= g["error"] <= g["p90"] and 0 <= g["kept"] <= g["taken"], g
    if g["kept"] == 1 or g["taken"] == 1:
        assert abs(g["predicted_ms"] / g["measured_ms"] - 1 - g["error"] / 100) < 1e-3, g
for o in r["schedules"] + r["workers"]:
    limited(o["decode"], "ms_per_token")
    limited(o["prefill"], "ms", "tokens")' "$dir/out"
}

run bench --quick -j 2 --cpus 2 -m "$small" --json --svg "$dir/all.svg"
count 'dagpt bench --json: not the documented fields' eval 'succeeded && documented'
count 'dagpt bench --svg: not well-formed' well_formed "$dir/all.svg"
for text in Roofline Scaling '>decode<' '>16<' '>64<' '2 workers: ' 'prompt of 128'; do
    count "dagpt bench --svg: no '$text'" has "$text" "$dir/all.svg"
done

run bench --quick -j 3 --cpus 3 -m "$tiny" decode
limits=$(sed -n '/awake /,/^$/s/^ *\([0-9]\) .*/\1/p' "$dir/out" | head -n 3 | paste -s -d ' ')
count "dagpt bench -j 3: limits of '$limits' workers, expected '1 2 3'" \
    eval 'succeeded && [ "$limits" = "1 2 3" ]'

# A section alone, in text: its own heading, and no other's.
[ -z "$SAN" ] && sections='decode prompt lab sched schedules weights workers neighbours batch what-if' || sections='decode'
for section in $sections; do
    run bench --quick -j 1 -m "$small" $section
    headings=$(sed -n 's/^\([a-z-]\{1,\}\) .*/\1/p' "$dir/out" | paste -s -d ' ')
    expected="model machine $section"
    case $section in # without probes: empty tiles, neighbours, and one worker, for whom there is nothing to predict
    sched | neighbours | what-if) ;;
    *) expected="$expected probes" ;;
    esac
    count "dagpt bench $section: headings '$headings', expected '$expected'" \
        eval 'succeeded && [ "$headings" = "$expected" ]'
done
run bench --quick -j 1 -m "$tiny" decode --svg "$dir/a<&b.svg"
count 'dagpt bench decode --svg: not well-formed' eval 'succeeded && well_formed "$dir/a<&b.svg"'
count 'dagpt bench decode --svg: scaling of nothing' lacks Scaling "$dir/a<&b.svg"
cp "$tiny" "$dir/<&\".bin"
run bench --quick -j 1 --json --isa scalar --sched barrier -m "$dir/<&\".bin" sched decode --svg "$dir/named.svg"
count 'dagpt bench: a path that is no XML' eval 'succeeded && well_formed "$dir/named.svg"'
count 'dagpt bench --json: no scalar, or no barrier' \
    eval 'has "\"isa\": \"scalar\"" "$dir/out" && has "\"sched_name\": \"barrier\"" "$dir/out"'
run bench --quick -j 1 -m "$tiny" decode --stats
count 'dagpt bench --stats: not the time of the section on stderr' \
    eval '[ "$status" -eq 0 ] && grep -q "^decode  *[0-9.]* s$" "$dir/err"'

run bench --quick -j 2 --cpus 2 -m "$small" what-if
for what in '2, one token' '2, 64 tokens'; do
    count "dagpt bench what-if: no '$what'" grep -q "^ *$what  *[0-9.]*  *[0-9.]*  *[-+][0-9.]* %" "$dir/out"
done

# The trace is of the team with the most workers: loading, and each decoded token.
run bench --quick -j 2 --cpus 2 -m "$tiny" decode --trace "$dir/trace.json"
count 'dagpt bench --trace: failed' [ "$status" -eq 0 ]
count 'dagpt bench --trace: not two workers, or no tile of logits' \
    eval 'has "\"workers\": 2" "$dir/trace.json" && has "\"logits\"" "$dir/trace.json"'
run trace "$dir/trace.json"
count 'dagpt trace: does not read that' succeeded
count 'dagpt trace: no loading in that' grep -q '^loading  *[0-9.]* ms in [1-9]' "$dir/out"

# Empty steps evaluate no tokens, but they load nothing: the one step that loads is the model's.
run bench --quick -j 1 -m "$tiny" sched --trace "$dir/trace.json" --trace-events 10000
count 'dagpt bench sched --trace: an empty step is called load' [ "$(grep -c '"name": "load"' "$dir/trace.json")" -eq 1 ]
run trace "$dir/trace.json"
count 'dagpt trace: empty steps are not counted, or as loading' \
    eval 'succeeded && [ "$(sed -n "s/^steps  *\([0-9]*\) steps of 0 tokens.*/\1/p" "$dir/out")" -eq $(($(grep -c "\"cat\": \"step\"" "$dir/trace.json") - 1)) ]'
expect_error 2 'no step that evaluates tokens' graph --trace "$dir/trace.json"

# Models with few positions: prompts are as long as they can be.
make_model --layers 1 --heads 1 --channels 4 --vocab 5 --positions 3 -o "$dir/short"
run bench --quick -j 1 --json -m "$dir/short"
count 'dagpt bench, 3 positions: not a prompt of 3, or other than 1 id out' \
    eval 'succeeded && has "\"tokens\": 3" "$dir/out" && has "\"ids_out\": 1," "$dir/out"'
make_model --layers 1 --heads 1 --channels 4 --vocab 5 --positions 1 -o "$dir/one"
run bench --quick -j 1 -m "$dir/one" decode prompt sched schedules weights workers
count 'dagpt bench, 1 position: failed' succeeded
expect_error 4 'expected maxT of 3 or more, got 1' bench --quick -m "$dir/one"

expect_error 2 "bench: got 'speed', expected decode, prompt, lab" bench -m "$tiny" speed
expect_error 2 "bench: got 'speed'" bench -m "$tiny" decode speed
expect_error 2 "--seconds: got '0', expected a number" bench -m "$tiny" --seconds 0
expect_error 2 "unknown option '--slow'" bench --slow
expect_error 3 'cannot open' bench --quick -m "$dir/none"
expect_error 5 'cannot write' bench --quick -m "$tiny" --svg "$dir/none/a.svg"
"$program" bench --quick -j 1 -m "$tiny" sched >/dev/full 2>"$dir/err" </dev/null
status=$?
: >"$dir/out"
count "dagpt bench >/dev/full: got status $status, expected 5" \
    failed_with 5 dagpt 'cannot write to standard output'
run bench --quick -j 1 -m "$tiny" decode --svg /dev/full
count "dagpt bench --svg /dev/full: got status $status, expected 5" \
    eval '[ "$status" -eq 5 ] && has "/dev/full: cannot write" "$dir/err"'

finish
