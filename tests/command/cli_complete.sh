#!/bin/sh
# cli_complete.sh - dagpt complete beyond one text: stops that are gone on from, windows, samples, candidates, and JSON
# whatever the weights and prompts are.
. tests/command/command.sh

demo=$(cd models/demo && pwd)
vocab=$(($(wc -l <"$demo/merges.txt") - 1 + 257))
if command -v python3 >/dev/null; then
    python() { python3 -c "$@" 2>"$dir/err"; }
else
    echo "$suite: no python3: JSON is not parsed"
    python() { true; }
fi

# notes TEXT... - status 0, and stderr has these lines and no others: each begins with "dagpt: " and has the text.
notes() {
    [ "$status" -eq 0 ] && [ "$(wc -l <"$dir/err")" -eq $# ] || return 1
    for text in "$@"; do
        IFS= read -r line || return 1
        case $line in
        *[[:cntrl:]]*) return 1 ;;
        "dagpt: "*"$text"*) ;;
        *) return 1 ;;
        esac
    done <"$dir/err"
}

# A model of chance: all kinds of tokens, most of them no UTF-8 alone, and few positions.
make_model --layers 2 --heads 2 --channels 32 --positions 24 --vocab "$vocab" --seed 5 -o "$dir/few.bin"
make_model --layers 1 --heads 1 --channels 32 --positions 600 --vocab "$vocab" --seed 3 -o "$dir/many.bin"
few="-m $dir/few.bin --vocab $demo/merges.txt"
many="-m $dir/many.bin --vocab $demo/merges.txt"

# ---- a text that goes on ----

# Texts and ids of all answers to empty lines together are those of one text without stop strings, whatever the border
# between two answers cuts: a stop string, a character. <|endoftext|> is in the sequence, and not in the text.
going_on='
import json, sys
def read(path):
    lines = [json.loads(l) for l in open(path, encoding="utf-8")]
    return lines, "".join(l["text"] for l in lines), [l["id"] for l in lines if "id" in l]
lines, text, ids = read(sys.argv[1])
_, whole_text, whole_ids = read(sys.argv[2])
end, stops = int(sys.argv[3]), sys.argv[4:]
whole_ids = [i for i in whole_ids if i != end]
whole_text = whole_text.replace("<|endoftext|>", "")
assert 5 < len(ids) < len(whole_ids) and ids == whole_ids[:len(ids)], "ids"
assert len(text) > 30 and whole_text.startswith(text), "text"
finishes = [l["finish"] for l in lines if "finish" in l]
assert len(finishes) == 60, "answers"
assert ("stop" in finishes) == bool(stops), "finishes"
for l in lines:
    assert not (l.get("finish") == "stop" and l["text"]), "printed of a stop string"'
{ echo 'One day,' && printf '%59s' '' | tr ' ' '\n'; } >"$dir/lines"
for case in '1 demo 7 e' '5 demo 7 e th' '5 demo 3 . her' '40 demo 4 a b c d e f g h i j k l m n o p' '1 many 9' '5 many 2 e' \
    '3 many 4 a'; do
    set -- $case
    n=$1 seed=$3 model=
    [ "$2" = demo ] || model=$many
    shift 3
    names=$* stops=
    for stop in "$@"; do stops="$stops --stop $stop"; done
    run complete $model --window 20 --json --seed $seed --temp 1.2 -n 400 --ignore-eos 'One day,'
    cp "$dir/out" "$dir/whole"
    "$program" complete $model --window 20 --json -i --seed $seed --temp 1.2 -n $n $stops <"$dir/lines" >"$dir/out" 2>"$dir/err"
    status=$?
    count "complete -i, $case: going on loses or repeats something" \
        eval 'succeeded && python "$going_on" "$dir/out" "$dir/whole" $((vocab - 1)) $names'
done

# A new prompt has nothing of the text before it, and a text after the mark of its end is another one.
printf 'One day,\nOnce upon a time\n' >"$dir/lines"
"$program" complete -i --greedy --stop young -n 20 <"$dir/lines" >"$dir/out" 2>"$dir/err"
status=$?
for prompt in 'One day,' 'Once upon a time'; do
    "$program" complete --greedy --stop young -n 20 "$prompt"
done >"$dir/expected"
count 'complete -i: a new prompt after a stop' eval 'succeeded && cmp -s "$dir/out" "$dir/expected"'
printf 'Once upon a time\n\n' >"$dir/lines"
"$program" complete -i --json --greedy -n 200 <"$dir/lines" >"$dir/out" 2>"$dir/err"
count 'complete -i: an empty line after the end begins another text' eval \
    '[ "$(grep -c "\"finish\": \"eos\"" "$dir/out")" -ge 1 ] && [ "$(tail -n 2 "$dir/out" | grep -c "\"id\":")" -eq 1 ]'

# ---- windows ----

# ids_of - the ids of the last run with --json, one a line.
ids_of() {
    sed -n 's/^{"token": [0-9]*, "id": \([0-9]*\),.*/\1/p' "$dir/out"
}

# windowed N TOTAL ID... - the ids after those, by tokens and next, each time anew with the last N.
windowed() {
    keep=$1 left=$2
    shift 2
    [ $# -le 24 ] || set -- $(printf '%s\n' "$@" | tail -n "$keep")
    while [ "$left" -gt 0 ]; do
        new=$("$program" tokens -m "$dir/few.bin" --greedy --total 24 "$@")
        set -- "$@" $new
        new="$new $("$program" next -m "$dir/few.bin" --top 1 "$@" | cut -f 1)"
        printf '%s\n' $new | head -n "$left"
        set -- $(printf '%s\n' "$@" ${new##* } | tail -n "$keep")
        left=$((left - $(echo "$new" | wc -w)))
    done
}

run encode 'Once upon a time, there was a girl. She had a red ball, and a dog that was red, too. Oh, dear!'
long=$("$program" decode $(tr ' ' '\n' <"$dir/out" | head -n 30))
short='One day,'
for case in '1 30 short' '7 70 short' '23 30 short' '12 1 long' '5 50 long'; do
    set -- $case
    keep=$1 total=$2
    eval "prompt=\$$3"
    windowed $keep $total $("$program" encode "$prompt") >"$dir/expected"
    for how in '-j 1 --chunk 2'; do
        run complete $few --greedy --ignore-eos --json --window $1 -n $2 $how "$prompt"
        count "complete --window, $case, $how: not the ids of the last $1 read anew" \
            eval '[ "$(wc -l <"$dir/expected")" -eq $total ] && ids_of | cmp -s - "$dir/expected"'
        case $3 in
        short) count "complete --window, $case: a note" notes ;;
        long) count "complete --window, $case: no note, or many" notes "tokens: the last $1 were read" ;;
        esac
    done
done
run complete $few --greedy --ignore-eos --json --window 5 -n 3 "$long"
count 'complete --window: prompt_tokens of a prompt that was cut' has '"prompt_tokens": 5, "new_tokens": 3, "windows": 0' "$dir/out"
run complete $few --seed 3 --temp 2 --repeat-penalty 1.3 --ignore-eos --window 9 -n 90 "$short"
cp "$dir/out" "$dir/expected"
for how in '-j 1' '--sched serial' '--isa scalar' '--chunk 3' "--trace $dir/trace.json"; do
    run complete $few --seed 3 --temp 2 --repeat-penalty 1.3 --ignore-eos --window 9 -n 90 $how "$short"
    count "complete --window $how: another text" eval 'succeeded && cmp -s "$dir/out" "$dir/expected"'
done
run trace "$dir/trace.json"
count 'complete --window --trace: a trace of all steps' succeeded
run complete $few --greedy --ignore-eos --window 9 -n 90 --stats "$short"
count 'complete --window --stats: how often' has ' of 9 tokens, read anew' "$dir/err"
run complete $few --greedy --ignore-eos -n 90 "$short"
count 'complete: the end of the positions is said' notes "the last of the model's 24 positions: --window N"
for window in 24 25 16777216; do
    expect_error 2 "--window: got $window, expected less than the model's maxT = 24" complete $few --window $window x
done
expect_error 2 "--window: got '0'" complete --window 0 x
expect_error 4 "30 tokens, expected at most maxT = 24; --window N reads the last N" complete $few "$long"

# ---- samples ----

# Of a sample what it would be alone, without what is measured.
alone='
import json, re, sys
def read(path, sample):
    lines = [json.loads(l) for l in open(path, encoding="utf-8")]
    for l in lines:
        l.pop("prompt_ms", 0), l.pop("decode_ms_per_token", 0)
    return [l for l in lines if l.pop("sample", 0) == sample]
assert read(sys.argv[1], int(sys.argv[3])) == read(sys.argv[2], 0) != []'
for case in "$few --window 9 -n 60" '--stop e -n 30' '--echo -n 5 --logprobs 2' '-n 0' '--ignore-eos -n 300'; do
    run complete --json --seed 41 --samples 4 $case "$short"
    cp "$dir/out" "$dir/samples"
    for i in 1 2 4; do
        run complete --json --seed $((40 + i)) $case "$short"
        count "complete --samples 4 $case: sample $i is not what it is alone" python "$alone" "$dir/samples" "$dir/out" $i
    done
done
run complete --seed 18446744073709551615 --samples 2 -n 8 --echo "$short"
cp "$dir/out" "$dir/samples"
i=1
for seed in 18446744073709551615 0; do
    echo "---- sample $i, seed $seed ----"
    "$program" complete --seed $seed -n 8 --echo "$short"
    i=$((i + 1))
done >"$dir/expected"
count 'complete --samples: each under its line' cmp -s "$dir/samples" "$dir/expected"
run complete --json --samples 3 --seed 18446744073709551615 -n 1 "$short"
count 'complete --samples: seeds as --seed takes them' eval \
    '[ "$(sed -n "s/.*\"seed\": \([0-9]*\),.*/\1/p" "$dir/out" | paste -s -d " ")" = "18446744073709551615 0 1" ]'
expect_error 2 'got --interactive and --samples' complete -i --samples 2
expect_error 2 'got --interactive and --file' complete -i -f x
expect_error 2 "--samples: got '0'" complete --samples 0 x

# ---- candidates ----

run complete --json --logprobs 5 --seed 3 --temp 1.5 --top-p 1 -n 12 "$short"
cp "$dir/out" "$dir/json"
count 'complete --logprobs --json: the likeliest, with their log-probabilities' python '
import json, math, sys
lines = [json.loads(l) for l in open(sys.argv[1], encoding="utf-8")][:-1]
first = [l.split("\t") for l in open(sys.argv[2])]
assert len(lines) == 12
for l in lines:
    c = l["candidates"]
    assert len({t["id"] for t in c}) == len(c) == 5
    assert [(-t["logprob"], t["id"]) for t in c] == sorted((-t["logprob"], t["id"]) for t in c)
    for t in c:
        if t["id"] == l["id"]:
            assert t["logprob"] == l["logprob"] and t["text"] == l["text"]
    assert l["id"] in [t["id"] for t in c] or l["logprob"] <= c[-1]["logprob"]
assert any(l["id"] != l["candidates"][0]["id"] for l in lines)
assert [t["id"] for t in lines[0]["candidates"]] == [int(f[0]) for f in first]
for t, f in zip(lines[0]["candidates"], first):
    assert abs(t["logprob"] - math.log(float(f[2]))) < 1e-4, (t, f)
' "$dir/json" /dev/stdin <<EOF
$("$program" next -m demo --top 5 $("$program" encode "$short"))
EOF
run complete --seed 3 --temp 1.5 --top-p 1 -n 12 "$short"
cp "$dir/out" "$dir/expected"
lines_of='
import json, sys
lines = [json.loads(l) for l in open(sys.argv[1], encoding="utf-8")][:-1]
def shown(t): return "%d %s %.6f" % (t["id"], json.dumps(t["text"], ensure_ascii=False), t["logprob"])
assert open(sys.argv[2], encoding="utf-8").read() == "".join(
    "\t".join([str(l["token"]), shown(l), *map(shown, l["candidates"])]) + "\n" for l in lines)'
run complete --logprobs 5 --seed 3 --temp 1.5 --top-p 1 -n 12 "$short"
count 'complete --logprobs: the same text' cmp -s "$dir/out" "$dir/expected"
count 'complete --logprobs: a line a token on stderr, with the same figures' eval 'cp "$dir/err" "$dir/said" && python "$lines_of" "$dir/json" "$dir/said"'
run complete $many --logprobs 100 --json -n 30 --temp 3 --top-p 1 --ignore-eos --seed 2 x
count 'complete --logprobs: tokens that are no UTF-8' python '
import json, sys
assert all(len(json.loads(l).get("candidates", [0] * 100)) == 100 for l in open(sys.argv[1], encoding="utf-8"))' "$dir/out"
expect_error 2 "--logprobs: got '0', expected a number from 1 to 100" complete --logprobs 0 x

# ---- JSON, whatever comes ----

# valid N - status N, and each line that was printed is an object.
valid() {
    [ "$status" -eq "$1" ] && python '
import json, sys
for l in open(sys.argv[1], encoding="utf-8", newline="\n"):
    assert l.endswith("}\n") and type(json.loads(l, parse_constant=sys.exit)) is dict' "$dir/out"
}

i=1
while [ $i -lt 256 ]; do
    printf "\\$(printf %o $i)"
    i=$((i + 1))
done >"$dir/bytes"
printf '\000\000\033]0;x\007\303\050\355\240\200"\\' >>"$dir/bytes"
for case in '-n 0' '-n 2 --logprobs 3' '-n 2 --window 9 --samples 2'; do
    run complete $many --json --echo $case -f "$dir/bytes"
    count "complete --json --echo $case: any bytes" valid 0
done
"$program" complete $many --json --echo -i -n 1 <"$dir/bytes" >"$dir/out" 2>"$dir/err"
status=$?
count 'complete --json --echo -i: any bytes' valid 0
# What is wrong with position 6 is seen on the way only in a packed file, where no weight is read before it is used.
"$program" convert "$dir/few.bin" "$dir/few.dagpt" 2>/dev/null
for wrong in $((0x7FC00000)) $((0x7F800000)) $((0xFF800000)); do # NaN and the infinities
    python '
import struct, sys
llmc, packed, wrong = open(sys.argv[1], "rb").read(), open(sys.argv[2], "rb").read(), int(sys.argv[3])
row = llmc[4 * (256 + int(sys.argv[4]) * 32 + 6 * 32):][:4 * 32] # wpe follows wte
assert packed.count(row) == 1
at = packed.index(row) + 4
open(sys.argv[5], "wb").write(packed[:at] + struct.pack("<I", wrong) + packed[at + 4:])' \
        "$dir/few.bin" "$dir/few.dagpt" "$wrong" "$vocab" "$dir/damaged.dagpt"
    for case in '--greedy' '--seed 3 --logprobs 4 --samples 2' '--window 3 --echo'; do
        run complete -m "$dir/damaged.dagpt" --vocab "$demo/merges.txt" --json --ignore-eos -n 20 $case 'One day,'
        n=$("$program" encode 'One day,' | wc -w)
        count "complete --json $case: $wrong in the weights" eval \
            '[ "$(wc -l <"$dir/err")" -eq 1 ] && has "damaged weights" "$dir/err" && valid 3'
        count "complete --json $case: $wrong: what came before" [ "$(grep -c '"token": ' "$dir/out")" -eq $((7 - n)) ]
    done
done
for prompt in 'Once upon a time' ''; do
    n=$("$program" encode "$prompt" | wc -w)
    [ "$n" -gt 0 ] || n=1 # <|endoftext|>
    run complete --json --seed 18446744073709551615 -n 0 "$prompt"
    count "complete --json -n 0: counts of a prompt of $n" eval 'valid 0 && has "{\"text\": \"\", \"finish\": \"length\", \
\"prompt_tokens\": $n, \"new_tokens\": 0, \"seed\": 18446744073709551615, \"prompt_ms\": 0.000, " "$dir/out"'
done

# ---- a prompt that ends in a blank ----

run complete -n 2 'One day, '
count 'complete: a blank at the end is told' notes 'the prompt ends in a blank'
run complete -n 2 'One day,'
count 'complete: no blank, no word' notes
printf 'One \nTwo\n\nThree \n' >"$dir/lines"
"$program" complete -i -n 2 <"$dir/lines" >"$dir/out" 2>"$dir/err"
status=$?
count 'complete -i: a blank at the end is told, once' notes 'ends in a blank' 'ends in a blank'
run complete $few --ignore-eos -n 40 'One day, '
count 'complete: two notes are two lines' notes 'ends in a blank' 'of the model'

finish
