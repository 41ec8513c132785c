#!/bin/sh
# cli_score.sh - texts longer than the model's positions, scored by windows.
. tests/command/command.sh

positions=$("$program" info --json | sed -n 's/.*"maxT": \([0-9]*\).*/\1/p')
vocab=$(($(wc -l <models/demo/merges.txt) - 1 + 257))
for i in 1 2 3 4 5 6; do cat "$golden/demo_greedy.txt" "$golden/demo_seed7.txt"; done >"$dir/text"
"$program" encode -f "$dir/text" >"$dir/ids"
n=$(wc -w <"$dir/ids")
count "the text has $n tokens: not more than twice maxT = $positions" [ "$n" -gt $((2 * positions)) ]

# as_next STRIDE J - line J of $dir/score is what next says of id J behind those that its window has before it.
as_next() {
    skip=$(awk -v j="$2" -v p="$positions" -v s="$1" \
        'BEGIN { k = j <= p ? 0 : int((j - p + s - 1) / s); print k * s }')
    before=$(awk -v end=$((vocab - 1)) -v from="$skip" -v j="$2" \
        '{ for (i = from; i < j; i++) print i ? $i : end }' "$dir/ids")
    id=$(cut -d ' ' -f "$2" "$dir/ids")
    "$program" next -m demo --all $before >"$dir/next" 2>"$dir/err" || return 1
    awk -v id="$id" -v j="$2" 'FNR == NR { if ($1 == id) expected = log($3); next }
        FNR == j { d = $1 - expected; exit !($2 == id && d < 1e-4 && d > -1e-4) }' "$dir/next" "$dir/score"
}

for stride in 64 100 "$positions"; do
    run score --tokens --stride "$stride" -f "$dir/text"
    cp "$dir/out" "$dir/score"
    count "score --stride $stride: each token once, and their sum" awk -F '\t' -v n="$n" '
        NF == 3 { sum += $1; lines++; next } { split($0, words, / +/) }
        words[1] == "tokens" { tokens = words[2] } words[1] == "log-probability" { total = words[2] }
        END { d = sum - total; exit !(lines == n && tokens == n && d * d < 1e-6) }' "$dir/score"
    for j in 1 "$positions" $((positions + 1)) $((positions + stride)) $((positions + stride + 1)) "$n"; do
        count "score --stride $stride: token $j is not what next says" as_next "$stride" "$j"
    done
done
for how in '-j 1 --chunk 7' '--sched serial'; do
    run score --tokens --stride "$positions" $how -f "$dir/text"
    count "score --stride $positions $how: the same" said "$dir/score"
done
cp "$dir/score" "$dir/plain"
run score --tokens --json --stride "$positions" -f "$dir/text"
count 'score --stride --json: what the lines say' python '
import json, sys
lines = [json.loads(l) for l in open(sys.argv[1], encoding="utf-8")]
plain = [l.split("\t") for l in open(sys.argv[2], encoding="utf-8") if "\t" in l]
assert [("%.6f" % l["logprob"], l["id"]) for l in lines[:-1]] == [(p[0], int(p[1])) for p in plain]
assert "".join(l["text"] for l in lines[:-1]) == open(sys.argv[3], encoding="utf-8").read()
assert lines[-1]["tokens"] == len(plain)' "$dir/out" "$dir/plain" "$dir/text"

# A text that fits is one window.
run score --tokens 'Once upon a time'
cp "$dir/out" "$dir/score"
for stride in 1 "$positions"; do
    run score --tokens --stride "$stride" 'Once upon a time'
    count "score --stride $stride: a short text is another" said "$dir/score"
done

# cut N - the first N tokens of the text.
cut_to() {
    cut -d ' ' -f "1-$1" "$dir/ids" | "$program" decode >"$dir/part"
}

cut_to "$positions"
run score -f "$dir/part"
cp "$dir/out" "$dir/score"
count 'score: as many tokens as maxT' eval 'succeeded && grep -q "^tokens  *$positions\$" "$dir/out"'
run score --stride 10 -f "$dir/part"
count 'score --stride: as many tokens as maxT are one window' said "$dir/score"
cut_to $((positions + 1))
run score -f "$dir/part"
count 'score: one token more' failed_with 4 dagpt \
    "the text has $((positions + 1)) tokens, expected at most maxT = $positions; --stride N scores it by windows"
run score -f /dev/zero
count 'score: a text without an end' failed_with 4 dagpt '; --stride N scores it by windows'
run score --stride $((positions + 1)) x
count 'score --stride: beyond maxT' failed_with 2 dagpt "--stride: got $((positions + 1)), expected at most maxT = $positions"
expect_error 2 "--stride: got '0', expected a number from 1 to" score --stride 0 x
expect_error 4 'the text is empty' score --stride 5 ''

finish
