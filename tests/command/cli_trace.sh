#!/bin/sh
# cli_trace.sh - --trace, its file, and dagpt trace: summary, what if, diff, page, errors.
. tests/command/command.sh
trace=$dir/trace.json
odd=$golden/odd.bin
ids='90 53 115 67 111 15 119 106'

# record ARGUMENT... - a run that writes $trace.
record() {
    rm -f "$trace"
    run tokens -m "$odd" --trace "$trace" "$@" $ids
}

# by_the_rules FILE... - tests/command/trace_rules.py finds nothing.
by_the_rules() {
    if command -v python3 >/dev/null; then
        python3 tests/command/trace_rules.py "$@"
    else
        echo "    no python3: the trace's rules are not checked"
    fi
}

# nothing_beside FILE - no half-written file was left in its folder.
nothing_beside() {
    [ "$(ls -A "$(dirname "$1")" | grep -c "^$(basename "$1")\.")" -eq 0 ]
}

# ---- recording changes nothing, and the file keeps the rules ----

run tokens -m "$odd" --total 20 $ids
cp "$dir/out" "$dir/ids"
for option in -j1 -j2 '-j4 --cpus=4' --sched=barrier --sched=serial '--sched=barrier -j3 --cpus=3' --chunk=3 \
    --trace-edges=all '-j3 --cpus=3 --trace-edges=all'; do
    record --total 20 $option
    count "--trace $option: other ids" cmp -s "$dir/out" "$dir/ids"
    count "--trace $option: status $status" succeeded
    count "--trace $option: not by the rules" by_the_rules "$trace"
    run trace "$trace"
    count "trace of $option" succeeded
done
record --trace-edges all
count "every edge is an arrow" [ "$(grep -c '"ph": "s"' "$trace")" -gt "$(record && grep -c '"ph": "s"' "$trace")" ]
if command -v python3 >/dev/null; then
    for wrong in 's/"ready": [0-9.]*/"ready": 0.001/' '0,/"ph": "s"/s/"ts": [0-9]*/&9/' 's/"cat": "wait", \(.*\)"dur": [0-9.]*/"cat": "wait", \1"dur": 99999/' \
        '0,/"last": [0-9]/s/"last": [0-9]*/"last": null/' '0,/"layer": 0, "box"/s/"layer": 0, "box"/"layer": 1, "box"/'; do
        sed "$wrong" "$trace" >"$dir/wrong.json"
        count "the rules do not see $wrong" eval '! python3 tests/command/trace_rules.py "$dir/wrong.json" >/dev/null'
    done
fi

# ---- what is recorded ----

steps_in() {
    sed -n '/"steps": \[/,/^\]},/p;/"traceEvents"/q' "$trace" | grep -c '"past"'
}

record --total 12
count "prompt and three tokens: got $(steps_in) steps" [ "$(steps_in)" -eq 4 ]
count "the weights are loaded in the first" has '"type": "load", "loads": true' "$trace"
if command -v python3 >/dev/null; then
    # One worker, several tiles an op: wte, which is wanted last, is read when all of the blocks are done.
    run tokens -m "$odd" -j 1 --tile 1x16 --total 12 --trace "$trace" $ids
    count "what can be computed goes before loading" python3 - "$trace" <<'END'
import json, sys
tiles = [e for e in json.load(open(sys.argv[1]))["traceEvents"] if e.get("cat") == "tile" and e["args"]["step"] == 0]
wte = min(e["ts"] for e in tiles if e["name"] == "wte")
assert all(e["ts"] < wte for e in tiles if e["args"]["layer"] >= 0)
assert any(e["ts"] > wte for e in tiles if e["name"] == "logits")
END
fi
record --total 12 --trace-tokens 8:10
count "tokens 8 and 9: got $(steps_in) steps" [ "$(steps_in)" -eq 2 ]
record --total 12 --chunk 3 --trace-tokens 2:4
count "two chunks of the prompt: got $(steps_in) steps" [ "$(steps_in)" -eq 2 ]
count "without a step that only loads" lacks '"name": "load"' "$trace"
record --total 12 --trace-tokens 0:1
count "the prompt: got $(steps_in) steps" [ "$(steps_in)" -eq 1 ]
for window in 3 : 1: :1 2:2 3:2 a:b -1:2 1:2:3 '1: 2' 99999999999999999999:1; do
    expect_error 2 'expected A:B' tokens -m "$odd" --trace "$trace" --trace-tokens "$window" 1
done
expect_error 2 "expected A:B" tokens -m "$odd" --trace-tokens x 1
record --total 12 --trace-events 1
count "drops are reported" has 'no room for steps of' "$dir/err"
count "drops do not fail the run" [ "$status" -eq 0 ]
count "drops are in the file" grep -q '"dropped": [1-9]' "$trace"
run trace "$trace"
count "drops are in the summary" grep -q 'tiles dropped$' "$dir/out"

# ---- the file is whole or not there ----

mkdir "$dir/sub"
expect_error 5 'cannot write: ' tokens -m "$odd" --trace "$dir/none/t.json" $ids
record
run tokens -m "$odd" --trace /dev/null $ids
count "a device stays one" [ -c /dev/null ]
cp "$trace" "$dir/sub/t.json"
(
    trap '' XFSZ
    ulimit -f 8
    run tokens -m "$odd" --trace "$dir/sub/t.json" $ids
    exit "$status"
)
count "a write that fails: status 5" [ $? -eq 5 ]
count "and an earlier trace is kept" cmp -s "$trace" "$dir/sub/t.json"
count "and nothing beside it" nothing_beside "$dir/sub/t.json"
# SIGXFSZ comes with the first byte that is too many.
env --default-signal=INT true 2>/dev/null || echo "$suite: no env --default-signal: signals are not tried"
for arguments in "tokens -m $odd --trace $dir/sub/t.json $ids" "trace $trace --html $dir/sub/t.json" \
    "graph --all -o $dir/sub/t.json"; do
    env --default-signal=INT true 2>/dev/null || break
    sh -c 'ulimit -c 0; ulimit -f 8; env --default-signal=XFSZ "$@"; exit $?' sh "$program" $arguments \
        >/dev/null 2>"$dir/err" # the shell says there by what it ended
    count "dagpt $arguments, too large: status 5" [ $? -eq 5 ]
    count "dagpt $arguments, too large: an earlier file is kept" cmp -s "$trace" "$dir/sub/t.json"
    count "dagpt $arguments, too large: nothing beside it" nothing_beside "$dir/sub/t.json"
done
ln -s sub/t.json "$dir/link.json"
run tokens -m "$odd" --trace "$dir/link.json" 1
count "a link is followed" [ -L "$dir/link.json" ]
count "to the file" has ' 1"' "$dir/sub/t.json"
count "with the rights of a new file" [ "$(umask 022; rm -f "$trace"; "$program" tokens -m "$odd" --trace "$trace" 1 >/dev/null; ls -l "$trace" | cut -c1-10)" = -rw-r--r-- ]

# An error after the run has begun leaves what there is: here the second id's place cannot be printed.
rm -f "$trace"
"$program" tokens -m "$odd" --trace "$trace" $ids >/dev/full 2>"$dir/err"
count "stdout full: status 5" [ $? -eq 5 ]
run trace "$trace"
count "and the trace of the prompt" [ "$(steps_in)" -eq 1 ]

# A signal ends the recording, and then the program.
make_model --layers 4 --heads 4 --channels 128 --vocab 512 --positions 4096 -o "$dir/long.bin"
head -n 256 models/demo/merges.txt >"$dir/long.txt" # of 255 merges: 512 tokens
rm -f "$trace"
"$program" tokens -m "$dir/long.bin" --total 4096 --trace "$trace" --trace-events 50000 1 >"$dir/out" 2>"$dir/err" &
pid=$!
while [ ! -s "$dir/out" ] && kill -0 $pid 2>/dev/null; do sleep 0.05; done
kill -TERM $pid
wait $pid 2>/dev/null
count "ended by the signal" [ $? -eq 143 ]
run trace "$trace"
count "with a trace" [ "$status" -eq 0 ]

# converse SIGNAL WORD OPTION... - `complete -i` with --trace gets a line, and the signal when WORD is in its output;
# leaves $status. A shell starts a background command with SIGINT ignored, and what is ignored stays so.
converse() {
    signal=$1 word=$2
    shift 2
    rm -f "$trace" "$dir/keys"
    : >"$dir/out"
    mkfifo "$dir/keys"
    env --default-signal=INT,TERM "$program" complete -i --json --trace "$trace" "$@" \
        <"$dir/keys" >"$dir/out" 2>"$dir/err" &
    pid=$!
    exec 9>"$dir/keys"
    echo 'One day,' >&9
    while ! has "$word" "$dir/out" && kill -0 $pid 2>/dev/null; do sleep 0.05; done
    [ "$word" != finish ] || sleep 0.2 # for the next line to be waited for
    kill -$signal $pid
    wait $pid 2>/dev/null
    status=$?
    exec 9>&-
}

# ended STATUS TEXT - the conversation ended with the status; its trace has steps, and its output the text.
ended() {
    count "complete -i, SIG$signal after '$word': got status $status, expected $1" [ "$status" -eq "$1" ]
    count "complete -i, SIG$signal after '$word': no '$2'" has "$2" "$dir/out"
    run trace "$trace"
    count "complete -i, SIG$signal after '$word': no trace" eval '[ "$status" -eq 0 ] && [ "$(steps_in)" -ge 1 ]'
}

if env --default-signal=INT true 2>/dev/null; then
    if [ "$SAN" != thread ]; then # which puts the handler off until the read returns
        converse TERM finish --greedy -n 4
        ended 143 '"finish": "length"'
        converse INT finish --greedy -n 4
        ended 130 '"finish": "length"'
    fi
    converse TERM token -m "$dir/long.bin" --vocab "$dir/long.txt" --ignore-eos -n 4000 --trace-events 50000
    ended 143 '"finish": "interrupted"'
fi

# ---- summary, as text and as JSON ----

record --total 12 -j2
run trace "$trace"
for text in 'parallelism' 'on the critical path' 'ns a tile on counts and queues' 'preempted' 'matmul' 'attention' 'GFLOP/s' \
    'why' ' 2 awake, dataflow'; do
    count "summary has '$text'" has "$text" "$dir/out"
done
count "ten gaps" [ "$(sed -n '/ why$/,$p' "$dir/out" | wc -l)" -eq 11 ]
count "limits that were not measured" has 'limits not measured' "$dir/out"
limits='{"workers": 1, "read_gbps": 7.5, "fma_gflops": 130.0}, {"workers": 2, "read_gbps": 12.5, "fma_gflops": 250.0}'
sed "s/\"limits\": \[\]/\"limits\": [$limits]/" "$trace" >"$dir/limits.json"
run trace "$dir/limits.json"
count "limits that were" has 'reads 12.5 GB/s, computes 250.0 GFLOP/s' "$dir/out"
count "rates are set against them" grep -qE '^q .* [0-9]+% .* [0-9]+% ' "$dir/out"
run trace "$trace" --json
if command -v python3 >/dev/null; then
    count "the JSON is one, and adds up" python3 - "$dir/out" <<'END'
import json, sys
s = json.load(open(sys.argv[1]))
assert s["steps"] == 4 and s["tokens"] == 11 and s["awake"] == 2 and len(s["gaps"]) == 10
assert sum(o["tiles"] for o in s["by_op"]) == s["tiles"] == sum(w["tiles"] for w in s["by_worker"])
assert abs(sum(o["total_us"] for o in s["by_op"]) - s["work_us"]) < 1
assert abs(sum(o["path_us"] for o in s["by_op"]) - s["span_us"]) < 1
assert 0 < s["span_us"] <= s["wall_us"] and s["parallelism"] >= 1
for w in s["by_worker"]:
    parts = ("busy_us", "queue_us", "spinning_us", "parked_us", "preempted_us", "outside_us")
    assert abs(sum(w[p] for p in parts) - s["wall_us"]) < 1, w
assert {g["reason"] for g in s["gaps"]} <= {"tile", "late", "nothing left", "preempted", "outside"}
assert all(0 <= g["woken_us"] <= g["preempted_us"] for g in s["gaps"])
assert 0 < s["loading_us"] <= s["all_tiles_us"] and s["load_tiles"] > 0 and s["load_steps"] == 0
assert abs(s["busy_workers"] - s["work_us"] / s["wall_us"]) < 0.001 and s["beyond_limits"] is None
END
fi

# A recording of 0.2 s or more: a token of the demo takes a millisecond without SIMD.
if command -v python3 >/dev/null; then
    run complete --trace "$dir/long.json" --isa scalar -n 250 --ignore-eos 'Once'
    count "limits of 1, 2, 4, ... workers" python3 - "$dir/long.json" <<'END'
import json, sys
d = json.load(open(sys.argv[1]))["dagpt"]
limits = d["machine"]["limits"]
assert bool(limits) == (sum(s["end"] - s["start"] for s in d["steps"]) >= 200000), limits
workers = [l["workers"] for l in limits]
assert workers[:-1] == [2**i for i in range(len(workers) - 1)] and workers == sorted(set(workers)), workers
assert all(l["read_gbps"] > 0 and l["fma_gflops"] > 0 for l in limits), limits
END
fi

# ---- what if ----

run trace "$trace" --what-if 1,2,16
count "a line for each number" [ "$(grep -cE '^(1|2|16) +[0-9.]+ +[0-9.]+ ' "$dir/out")" -eq 3 ]
count "one worker: no speed-up" grep -qE '^1 +[0-9.]+ +1\.00 .* 1\.00 ' "$dir/out"
count "its own run is measured" grep -qE '^2 +[0-9.]+ +[0-9.]+ +[0-9.]+ +[-+][0-9.]+% \|' "$dir/out"
cp "$trace" "$dir/two.json"
record --total 12 -j1 --sched barrier
run trace "$dir/two.json" "$trace" --what-if 1,2
count "another run is measured, too" grep -qE '^1 .*\|.* [-+][0-9.]+%$' "$dir/out"
run trace "$dir/two.json" --what-if 1,2 --json
count "as JSON" has '"speedup": 1.000, "measured_us": null' "$dir/out"
record --total 13
expect_error 2 'as in the first file' trace "$dir/two.json" "$trace" --what-if 1
for list in 0 '' a 1, ,1 1,,2 1,257 -1 1.5 '1 2'; do
    expect_error 2 'expected up to' trace "$trace" --what-if "$list"
done

# ---- what if, on several processes ----

# A step of two stages waits for four latencies: it is told, goes to the second stage and back, and is answered.
run tokens -m "$tiny" --greedy -j1 --total 12 --trace "$dir/steps.json" 1 2 3
run trace "$dir/steps.json" --what-if 1 --ranks 2,4 --link 1e6,1e6,0
count "two stages: 9 steps of 4 seconds" grep -qE '^2 +3600[0-9]\.[0-9]+ .* latency ' "$dir/out"
count "four stages: 9 steps of 6 seconds" grep -qE '^4 +5400[0-9]\.[0-9]+ .* latency ' "$dir/out"
for how in layers columns both; do
    messages=$("$program" graph -m "$tiny" -j1 --ranks 3 --place $how --check | sed -n 's/^\([0-9]*\) messages.*/\1/p')
    run trace "$dir/steps.json" --what-if 1 --ranks 3 --place $how --link 20,1 --json
    count "by $how: the messages of the graph that is cut so" has "\"messages\": ${messages:-none}.0," "$dir/out"
done
run trace "$dir/steps.json" --what-if 1 --ranks 1 --link 20,1 --json
count "one process: no messages" has '"speedup": 1.000, "efficiency": 1.000, "messages": 0.0' "$dir/out"
run trace "$dir/steps.json" "$dir/steps.json" --what-if 1 --ranks 1 --link 20,1
count "another run is measured" grep -qE '^1 .* [-+][0-9.]+%$' "$dir/out"
expect_error 2 'as in the first file' trace "$dir/steps.json" "$trace" --what-if 1 --ranks 2 --link 1,1
expect_error 2 'expected up to' trace "$trace" --what-if 1 --ranks 257 --link 1,1
expect_error 2 'expected one number' trace "$trace" --what-if 1,2 --ranks 2 --link 1,1
expect_error 2 'expected --link' trace "$trace" --what-if 1 --ranks 2
expect_error 2 'expected --what-if' trace "$trace" --ranks 2 --link 1,1
expect_error 2 'expected --ranks' trace "$trace" --what-if 1 --link 1,1
for link in 1 1,0 1,1,x -1,1 '' 1,nan; do
    expect_error 2 'expected L,B' trace "$trace" --what-if 1 --ranks 2 --link "$link"
done

# ---- two runs ----

run trace "$dir/two.json" "$dir/two.json" --fail-above 0
count "no slower than itself" succeeded
count "and nothing changed" grep -qE '^wall +([0-9.]+) +\1 +[+]0\.000 +[+]0\.0%$' "$dir/out"
sed 's/"end": \([0-9]*\)/"end": 9\1/;s/\("past": [0-9]*, "rows": 1, "start": \)/\1/' "$dir/two.json" >"$dir/slow.json"
expect_error 3 'order of time' trace "$dir/two.json" "$dir/slow.json"
awk '/"past": 10/ { sub(/"end": [0-9]+/, "&9") } { print }' "$dir/two.json" >"$dir/slow.json" # the last step: ten times as long and more
run trace "$dir/two.json" "$dir/slow.json" --fail-above 50
count "slower by more: status 1, and why" eval '[ "$status" -eq 1 ] && has "slower than" "$dir/err" && has outside "$dir/out"'
run trace "$dir/slow.json" "$dir/two.json" --fail-above 50
count "faster: status 0" [ "$status" -eq 0 ]
run trace "$dir/two.json" "$dir/slow.json" --json
count "as JSON" has '"slower_percent": ' "$dir/out"
run trace "$dir/two.json" "$trace" --fail-above 5
count "other steps cannot be judged" [ "$status" -eq 2 ]

# ---- the page ----

run trace "$trace" --html "$dir/page.html"
count "a page" succeeded
count "that has the trace" has '"model": "odd.bin", "sched": "dataflow"' "$dir/page.html"
count "in less than an eighth of its bytes" [ "$(sed '1,/id="trace"/d' "$dir/page.html" | sed '/<\/script>/q' | wc -c)" -lt "$(($(wc -c <"$trace") / 8))" ]
expect_error 5 'cannot write' trace "$trace" --html "$dir/none/page.html"
expect_error 2 '--html' trace "$trace" --html "$dir/page.html" --json

# ---- where it comes from: a pipe, standard input, gzip ----

record --total 12
run trace "$trace" --json
sed 's/"file": "[^"]*"//' "$dir/out" >"$dir/expected"

# as_expected LABEL - the last run printed the same JSON, whatever it called the file.
as_expected() {
    sed 's/"file": "[^"]*"//' "$dir/out" | cmp -s - "$dir/expected"
    count "$1" [ $? -eq 0 ]
}

# fed FILE ARGUMENT... - runs the program with the file coming through a pipe on standard input.
fed() {
    file=$1
    shift
    cat "$file" | "$program" "$@" >"$dir/out" 2>"$dir/err"
    status=$?
}

gzip -c "$trace" >"$dir/trace.json.gz"
cp "$dir/trace.json.gz" "$dir/packed"
mkfifo "$dir/fifo"
for file in "$trace" "$dir/trace.json.gz" "$dir/packed"; do
    run trace --json "$file"
    as_expected "trace $file"
    fed "$file" trace --json -
    as_expected "$file | trace -"
    "$program" trace --json - <"$file" >"$dir/out" 2>"$dir/err"
    as_expected "trace - <$file"
    cat "$file" >"$dir/fifo" &
    run trace --json "$dir/fifo"
    as_expected "trace FIFO, $file"
done
run graph --trace "$trace" -o "$dir/one.dot"
sed 's/step [0-9]* of [^:]*://' "$dir/one.dot" >"$dir/expected"
fed "$dir/packed" graph --trace -
sed 's/step [0-9]* of [^:]*://' "$dir/out" >"$dir/got"
count "graph --trace -, packed" cmp -s "$dir/got" "$dir/expected"
{ printf '\037'; sleep 0.3; tail -c +2 "$dir/packed"; } | "$program" trace - >"$dir/out" 2>"$dir/err"
count "a slow pipe's first byte" [ $? -eq 0 ]
fed "$trace" trace - "$trace"
count "one of two files" succeeded
expect_error 2 'standard input 2 times' trace - -
head -c 2000 "$dir/packed" >"$dir/cut.gz"
expect_error 3 'damaged: gzip' trace "$dir/cut.gz"
{ head -c 1500 "$dir/packed"; head -c 3000 /dev/zero; } >"$dir/cut.gz"
expect_error 3 'damaged: gzip' trace "$dir/cut.gz"
printf 'no trace' | gzip -c >"$dir/other.gz"
expect_error 3 'expected an object' trace "$dir/other.gz"
fed "$dir/cut.gz" trace -
count "a damaged one from a pipe" failed_with 3 dagpt 'standard input: damaged: gzip'
mkdir "$dir/nothing"
PATH=$dir/nothing "$program" trace "$dir/packed" >"$dir/out" 2>"$dir/err"
status=$?
count "without gzip" failed_with 5 dagpt 'no gzip to unpack it'

# ---- long and hostile texts ----

run tokens -m "$odd" --trace "$dir/many.json" --trace-tokens 0:1 --total 36 -- $(seq -s ' ' 100 120) 1 2 3 4 5 6 7 8 9 $(seq 11 15)
run trace "$dir/many.json" --json
count "a command line whole" has "$(seq -s ' ' 100 120) 1 2 3 4 5 6 7 8 9 $(seq -s ' ' 11 15)\"" "$dir/out"
ids256=$(seq -s ' ' 1000 1255)
sed "s/\"command\": \"/&$ids256 /" "$trace" >"$dir/many.json"
run trace "$dir/many.json" --json
count "256 ids in JSON" has "$ids256 tokens" "$dir/out"
run trace "$dir/many.json"
count "and as text the first, and how many more" grep -qE '1000 1001 .* \.\.\. and [0-9]+ words more \(--json has all\)$' "$dir/out"
run trace "$dir/many.json" --html "$dir/page.html"
count "and in the page" has "$ids256 tokens" "$dir/page.html"

# shown_plainly LABEL - nothing in the last run's output is a terminal's: no control character, no byte that is none of UTF-8.
shown_plainly() {
    count "$1: control characters" eval '[ "$(cat "$dir/out" "$dir/err" | tr -d "\n" | LC_ALL=C grep -ac "[[:cntrl:]]")" -eq 0 ]'
    count "$1: C1 controls" eval '! LC_ALL=C grep -qa "$(printf "\302[\200-\237]")" "$dir/out" "$dir/err"'
    ! command -v iconv >/dev/null || count "$1: UTF-8" eval 'cat "$dir/out" "$dir/err" | iconv -f UTF-8 -t UTF-8 >"$dir/plain"'
}

bad='\\u001b[31m\\u0007\\u009b2J\\u0000\\n'$(printf '\302\233\377\342\200\256')
for place in command model program sched isa op type; do
    case $place in
    model) match='"model": {"name": "' ;;
    op) match='{"name": "h0\.' ;;
    type) match='"type": "mat' ;;
    *) match="\"$place\": \"" ;;
    esac
    LC_ALL=C sed "s/$match/&$bad/" "$trace" >"$dir/bad.json"
    for arguments in "trace" "trace --json" "trace --what-if 2" "trace $trace" "trace --json $trace" "graph --trace" "graph --format json --trace" \
        "graph --format mermaid --trace"; do
        run $arguments "$dir/bad.json"
        shown_plainly "dagpt $arguments, $place"
    done
done
cp "$trace" "$dir/$(printf 'a\033[31m\302\233\377').json"
for arguments in "trace" "trace --json" "graph --trace"; do
    run $arguments "$dir/$(printf 'a\033[31m\302\233\377').json"
    shown_plainly "dagpt $arguments, the file's name"
done

# JSON for any numbers: steps of no time, tiles of no time, no steps.
if command -v python3 >/dev/null; then
    sed 's/"ts": [0-9.]*/"ts": 5/; s/"dur": [0-9.]*/"dur": 0/; s/"ready": [0-9.]*/"ready": 5/; s/"start": [0-9.]*, "end": [0-9.]*/"start": 5, "end": 5/; s/, "preempted": [0-9.]*//' \
        "$trace" >"$dir/zero.json"
    sed "s/\"limits\": \[\]/\"limits\": [{\"workers\": 1, \"read_gbps\": 0.001, \"fma_gflops\": 1e9}]/; s/\"bytes\": [0-9]*/\"bytes\": 1152921504606846976/; s/\"flops\": [0-9]*/\"flops\": 1152921504606846976/" \
        "$trace" >"$dir/huge.json"
    printf '{"dagpt": {"version": 2, "workers": 1, "awake": 1, "plans": [], "steps": []}, "traceEvents": []}' >"$dir/empty.json"
    run trace "$dir/empty.json"
    count "no command line, no steps" grep -qxF "trace     $dir/empty.json: " "$dir/out"
    for file in zero huge empty; do
        for arguments in "trace --json" "trace --json --what-if 1,2,256" "trace --json $trace" "trace --html $dir/page.html"; do
            run $arguments "$dir/$file.json"
            count "dagpt $arguments, $file: status $status" succeeded
            case $arguments in *html*) continue ;; esac
            count "dagpt $arguments, $file: no JSON" python3 -c 'import json, sys; json.load(sys.stdin, parse_constant=lambda c: sys.exit(c))' <"$dir/out"
        done
    done
fi

# ---- limits that cannot be right ----

record --total 12 -j2
for limits in '"read_gbps": 500, "fma_gflops": 0.01' '"read_gbps": 0.01, "fma_gflops": 5e5'; do
    sed "s/\"limits\": \[\]/\"limits\": [{\"workers\": 2, $limits}]/" "$trace" >"$dir/limits.json"
    for arguments in "trace" "trace --what-if 1,2"; do
        run $arguments "$dir/limits.json"
        count "dagpt $arguments: no warning with $limits" eval 'has "warning   " "$dir/out" && has "measured beside other work" "$dir/out" && has "does not hold" "$dir/out"'
        run $arguments --json "$dir/limits.json"
        count "dagpt $arguments --json: no warning with $limits" has '"beyond_limits": {"name": ' "$dir/out"
    done
done
sed 's/"limits": \[\]/"limits": [{"workers": 2, "read_gbps": 500, "fma_gflops": 5e5}]/' "$trace" >"$dir/limits.json"
run trace "$dir/limits.json" --what-if 1,2
count "no warning where they hold" lacks warning "$dir/out"

# ---- many names, little memory ----

if command -v python3 >/dev/null; then
    python3 - "$dir/names.json" <<'END'
import json, sys
n = 40000
ops = [{"name": f"name{i}", "type": "x", "layer": -1, "out": "o", "rows": 1, "cols": 1} for i in range(n)]
plan = {"rows": 1, "ops": ops, "tiles": [[i, 0, 1, 0, 1, 0] for i in range(n)], "joins": 1, "next": [[n]] * n + [[]]}
events = [{"ph": "X", "tid": 0, "cat": "step", "name": "s", "ts": 0, "dur": n, "args": {"step": 0}}]
events += [{"ph": "X", "tid": 0, "cat": "tile", "name": "n", "ts": i, "dur": 1, "args": {"step": 0, "tile": i, "ready": 0, "last": None}} for i in range(n)]
json.dump({"dagpt": {"version": 2, "awake": 1, "workers": 1, "plans": [plan], "steps": [{"plan": 0, "past": 0, "rows": 1, "start": 0, "end": n}]},
           "traceEvents": events}, open(sys.argv[1], "w"))
END
    (
        ulimit -t 8 # CPU seconds: by a search through all names for each it takes 20 and more
        run trace "$dir/names.json" "$dir/names.json"
        exit "$status"
    )
    status=$?
    count "40,000 names in two files: status $status" [ "$status" -eq 0 ]
    if [ -n "$(at_most 1)" ]; then
        for kilobytes in 30000 40000 50000 60000 70000 80000 100000; do
            (
                eval "$(at_most $kilobytes)"
                run trace "$dir/names.json" "$dir/names.json"
                exit "$status"
            )
            status=$?
            count "$kilobytes kB of memory: status $status" eval '[ "$status" -eq 0 ] || failed_with 6 dagpt "memory"'
        done
    fi
fi

# ---- what is no trace ----

expect_error 3 'expected a trace by dagpt' trace docs/../tests/viewer/package.json
expect_error 3 'an object' trace README.md
expect_error 3 'cannot open' trace "$dir/none.json"
expect_error 3 'a directory' trace "$dir"
printf '[{"name": "a", "ph": "X", "ts": 1, "dur": 2, "pid": 1, "tid": 1}]' >"$dir/other.json"
expect_error 3 'expected an object' trace "$dir/other.json"
printf '{"traceEvents": [{"name": "a", "ph": "X", "ts": 1}]}' >"$dir/other.json"
expect_error 3 'no "dagpt" in it' trace "$dir/other.json"
: >"$dir/other.json"
expect_error 3 'kind of file: got an empty file, expected a trace' trace "$dir/other.json"
expect_error 3 'kind of file: got an llm.c checkpoint, expected a trace' trace "$tiny"
expect_error 3 'kind of file: got an llm.c checkpoint, expected a trace' graph --trace "$tiny"
printf '\n<!DOCTYPE html>\n' >"$dir/other.json"
expect_error 3 'kind of file: got an HTML page, expected a trace' trace "$dir/other.json"
head -c 3000 "$trace" >"$dir/other.json"
expect_error 3 'line ' trace "$dir/other.json"
expect_error 3 'kind of file: got zeros, expected a trace' trace /dev/zero
expect_error 2 'no trace file' trace
expect_error 2 'at most 2' trace a b c
expect_error 2 'two files' trace "$trace" --fail-above 1
finish
