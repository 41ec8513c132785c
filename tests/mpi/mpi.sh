#!/bin/sh
# mpi.sh - dagpt-mpi: what dagpt prints, whatever the ranks and the placement; and what is refused.
# $BUILD: the build folder, with dagpt-mpi$KIND; $KIND: .openmpi, .mpich or nothing, the MPI; $ALL: 1: all golden models
# on 1, 2, 3, 4 and 7 ranks by each placement.
. tests/mpi/ranks.sh

# ---- the same output ----

# same LABEL N OPTIONS ARGUMENT... - on N ranks, with options of dagpt-mpi's, what dagpt prints without.
same() {
    label=$1 n=$2 options=$3
    shift 3
    run "$@"
    mv "$dir/out" "$dir/want"
    # shellcheck disable=SC2086
    ranks "$n" $options "$@"
    count "$label: as dagpt does, and no line" said_by_ranks "$dir/want"
}

tokens="tokens --total 12 --greedy 5 6 7"
for model in tiny small odd padded bf16 hf-bare hf-prefixed transformers gguf/small-f32 gguf/small-f16 gguf/small-bf16 \
    gguf/small-q8_0; do
    for file in "$golden/$model" "$golden/$model.bin" "$golden/$model.gguf"; do
        [ ! -e "$file" ] || break
    done
    for how in layers columns both; do
        for n in 1 2 3 4 7; do
            # the pieces of all models are tests/unit/model/check_ranks's
            case $ALL$model$how$n in 1* | tinylayers* | tinycolumns* | gguf/small-q8_0both4) ;;
            small*2 | odd*3 | padded*2 | hf-bare*3 | *-q8_0*2) [ $how != both ] || continue ;;
            *) continue ;; esac
            # shellcheck disable=SC2086
            same "$model, $n ranks by $how" $n "--place $how" $tokens -m "$file" -j$((n % 2 + 1))
        done
    done
done
make_model --layers 5 --heads 6 --channels 96 --positions 64 --vocab 500 --seed 9 -o "$dir/made.bin"
for how in layers columns both; do
    for n in 2 3; do
        [ $how$n != both2 ] || continue # as columns
        same "a made model, $n ranks by $how" $n "--place=$how" tokens -m "$dir/made.bin" -j2 --total 40 \
            1 2 3 4 5 6 7 8 9
    done
done
same 'bf16 weights' 2 '--place columns' tokens -m "$dir/made.bin" --weights bf16 --isa scalar -j1 1 2 3
same 'a bf16 cache' 2 '--place columns' tokens -m "$dir/made.bin" --cache bf16 -j1 1 2 3
same 'int8 with a bf16 cache' 3 '--place layers' tokens -m "$dir/made.bin" --weights int8 --cache bf16 -j2 1 2 3
same 'tokens --no-cache' 2 '' tokens -m "$tiny" --no-cache -j1 1 2 3
same 'complete' 2 '--place columns' complete -n 20 --seed 3 "Once upon a time"
same 'complete in chunks' 2 '' complete -n 20 --seed 3 --chunk 3 -j2 "Once upon a time"
same 'complete with a window' 2 '--place columns' complete -n 300 --window 60 --ignore-eos --seed 1 -j1 Once
same 'complete --samples' 3 '' complete -n 12 --seed 3 --samples 5 --parallel 3 -j1 Once
printf 'Once upon a time\n{"prompt": "The cat"}\nA dog and\nThere was\n' >"$dir/prompts"
same 'complete --prompts' 2 '--place columns' complete -n 12 --seed 3 --prompts "$dir/prompts" --parallel 3 -j1
same 'score' 3 '--place both' score "Once upon a time there was a cat."

# ---- weights that are finite, and too large together ----

cp "$tiny" "$dir/huge.bin"
for _ in $(seq 40); do le32 $((0x7F000000)); done |
    dd of="$dir/huge.bin" bs=4 seek=$(($(size_of "$tiny") / 1000 * 100)) conv=notrunc 2>/dev/null # h1's q
run tokens -m "$dir/huge.bin" 1 2 3
text=$(sed 's/^dagpt: //; q' "$dir/err")
for how in layers columns; do
    ranks 3 --place $how tokens -m "$dir/huge.bin" -j1 1 2 3
    count "logits that are not finite, by $how: got '$(grep '^dagpt' "$dir/err")'" one_line 3 "op .*expected a finite number"
    count "logits that are not finite, by $how: as dagpt says" grep -qxF "dagpt: $text" "$dir/err"
done

# ---- a trace ----

# traced FILE - it has all steps and ids, tiles of both ranks, each once, and arrows from one to the other.
traced() {
    "$program" trace --json "$1" >"$dir/json" 2>"$dir/err" && python '
import json, sys
d = json.load(open(sys.argv[1]))
s = json.load(open(sys.argv[2]))
e = d["traceEvents"]
tiles = [x for x in e if x.get("cat") == "tile"]
steps = d["dagpt"]["steps"]
wanted = sum(len(d["dagpt"]["plans"][s["plan"]]["tiles"]) for s in steps)
assert len(steps) == s["steps"] == 9 and len(tiles) == wanted == s["tiles"]
assert {x["pid"] for x in tiles} == {1, 2} and len(d["dagpt"]["ranks"]) == len(s["ranks"]) == 2
assert all(x["pid"] == 1 + int(x["name"][-1]) and x["name"][-2] == "@" for x in tiles)
sent = sum(x["args"]["type"] == "send" for x in tiles)
got = [x for x in tiles if x["args"]["type"] == "receive"]
assert sent == len(got) > 0 and sum(m["number"] for m in s["messages"]) == sent
begin = {x["id"]: x["pid"] for x in e if x["ph"] == "s"}
assert any(begin[x["id"]] != x["pid"] for x in e if x["ph"] == "f")
assert all(x["args"]["last"] is not None for x in got)
' "$1" "$dir/json"
}

run tokens -m "$tiny" --total 12 --greedy 5 6 7
mv "$dir/out" "$dir/want"
ranks 2 --place columns tokens -m "$tiny" -j1 --total 12 --greedy --trace "$dir/trace.json" 5 6 7
count '--trace: the same ids' said_by_ranks "$dir/want"
count '--trace: one file of both ranks' traced "$dir/trace.json"
"$program" trace "$dir/trace.json" --html "$dir/trace.html" >"$dir/out" 2>"$dir/err"
count 'trace --html: whose workers are whose' grep -qF '"ranks": [1, 1],' "$dir/trace.html"
"$program" trace --what-if 2 "$dir/trace.json" >"$dir/out" 2>"$dir/err"
status=$?
count 'trace --what-if of ranks' failed_with 2 dagpt 'got a run of 2 processes'
ranks 3 tokens -m "$tiny" -j1 --total 12 --sched barrier --trace "$dir/trace.json" --trace-tokens 3:7 5 6 7
count '--trace-tokens' [ "$("$program" trace --json "$dir/trace.json" | grep -c '"steps": 4,')" -eq 1 ]
sed 's/"workers": 1, "clock/"workers": 2, "clock/' "$dir/trace.json" >"$dir/more.json"
run trace "$dir/more.json"
count 'trace: workers of no rank' failed_with 3 dagpt 'expected ranks whose workers are those that are awake'
ranks 2 tokens -m "$tiny" --trace "$dir/none/trace.json" 1
count '--trace where no file can be' one_line 5 'none/trace.json'

ranks 2 tokens -m "$tiny" -j 130 --cpus 130 --trace "$dir/wide.json" 1
count '--trace of too many workers' one_line 2 'got 260 workers on 2 ranks together, expected at most 256'

# Of a model of which each rank has half, each maps and reads about half.
make_model --layers 8 --heads 8 --channels 512 --positions 64 --vocab 512 --seed 9 -o "$dir/large.bin"
if command -v strace >/dev/null; then
    # shellcheck disable=SC2086
    timeout 60 $launch -n 2 strace -f -qq -e trace=pread64 -o "|cat >>$dir/reads.\$OMPI_COMM_WORLD_RANK\$PMI_RANK" \
        "$mpi" tokens -m "$dir/large.bin" -j1 1 2 3 >"$dir/out" 2>"$dir/err" </dev/null
    bytes=$(size_of "$dir/large.bin")
    for r in 0 1; do
        got=$(awk '/pread64/ { sum += $NF } END { printf "%d", sum }' "$dir/reads.$r")
        count "rank $r reads its half: $got of $bytes bytes" [ $((got * 10)) -gt $((bytes * 3)) ] &&
            count "rank $r reads its half alone: $got of $bytes bytes" [ $((got * 10)) -lt $((bytes * 7)) ]
    done
fi

# ---- what is refused, by one line, once ----

ranks 2 tokens -m "$tiny" --no-such-option 1
count 'an unknown option' one_line 2 'no-such-option'
ranks 2 --place rows tokens -m "$tiny" 1
count '--place rows' one_line 2 "got 'rows', expected layers, columns or both"
ranks 2 --timeout 0 tokens -m "$tiny" 1
count '--timeout 0' one_line 2 "got '0', expected seconds"
ranks 2 bench
count 'a command that it has not' one_line 2 "unknown command 'bench'"
ranks 2 tokens -m "$tiny" 1 70000
count 'an id too high' one_line 4 "got 70000, expected"
ranks 2 tokens -m "$dir/absent" 1
count 'no model' one_line 3 'absent: cannot open'
ranks 2 --help
count '--help, once' [ "$(grep -c usage "$dir/out")" -eq 1 ]

# unlike CODE TEXT LABEL ARGUMENTS OTHERS - ranks 0 and 1 with those arguments, rank 2 with others.
unlike() {
    # shellcheck disable=SC2086
    timeout 60 $launch -n 2 "$mpi" $4 : -n 1 "$mpi" $5 >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    count "$3" one_line "$1" "$2"
    count "$3: no ids" [ ! -s "$dir/out" ]
}
cp "$tiny" "$dir/same.bin"
cp "$tiny" "$dir/other.bin"
printf '\377' | dd of="$dir/other.bin" bs=1 seek=5001 conv=notrunc 2>/dev/null # a bit of one weight, or some
unlike 2 "rank 2 on .*: argument 3: got '$dir/other.bin', expected '$tiny'" 'another path' \
    "tokens -m $tiny 1" "tokens -m $dir/other.bin 1"
unlike 2 "rank 2 on .*: argument 3: got '--greedy', expected '-j1'" 'another option' \
    "tokens 1 -j1" "tokens 1 --greedy"
unlike 2 "rank 2 on .*: argument 1: got '--timeout', expected 'tokens'" 'another option of dagpt-mpi' \
    "tokens 1" "--timeout 3 tokens 1"
unlike 2 "rank 2 on .*: got .arguments: 2., expected .argument 3: '2'" 'an argument less' "tokens 1 2" "tokens 1"

# elsewhere CODE TEXT LABEL MODEL OTHER - rank 1 has another model at the same place.
elsewhere() {
    # shellcheck disable=SC2086
    DAGPT_MODEL=$4 timeout 60 $launch -n 1 "$mpi" tokens 1 : -n 1 env DAGPT_MODEL="$5" "$mpi" tokens 1 \
        >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    count "$3" one_line "$1" "$2"
}
elsewhere 3 "rank 1 on .*: model's layers: got [0-9]*, expected [0-9]*\|rank 1 on .*: model's size" \
    'another model' "$tiny" "$golden/small.bin"
elsewhere 3 "rank 1 on .*: model's contents: got [0-9a-f]*, expected [0-9a-f]*" 'a model with another byte' \
    "$tiny" "$dir/other.bin"
elsewhere 3 "rank 1 on .*: $dir/absent: cannot open" 'no model on rank 1' "$tiny" "$dir/absent"
DAGPT_MODEL=$tiny
export DAGPT_MODEL
# shellcheck disable=SC2086
timeout 60 $launch -n 1 "$mpi" tokens 1 : -n 1 env DAGPT_MODEL="$dir/same.bin" "$mpi" tokens 1 \
    >"$dir/out" 2>"$dir/err" </dev/null
count 'a copy of the model' [ "$(wc -l <"$dir/out")" -eq 9 ]
unset DAGPT_MODEL

finish
