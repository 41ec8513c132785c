#!/bin/sh
# cli_ids.sh - ids from standard input, and what candidates stand for.
. tests/command/command.sh

# ---- tokens -, next -, decode - ----

prompt='24 94 91 6 18 19 30' # of tests/golden/tiny.txt
for written in "$prompt" "$(printf '24\t94\r\n\n  91 6\v18\f19 30\n\n')" "0024 $(echo "$prompt" | cut -c 3-) "; do
    printf '%s' "$written" >"$dir/ids"
    from_stdin "$dir/ids" tokens -m "$tiny" -
    count "dagpt tokens -: '$written'" prints_ids '37 37 37'
done
from_stdin "$dir/ids" tokens - -m "$tiny" --total 9
count 'dagpt tokens - --total 9' prints_ids '37 37'
from_stdin "$dir/ids" -m "$tiny" -
count 'dagpt -m MODEL -: short for tokens' prints_ids '37 37 37'
run next -m "$tiny" --all $prompt
cp "$dir/out" "$dir/all"
from_stdin "$dir/ids" next -m "$tiny" --all -
count 'dagpt next -: as next IDS' said "$dir/all"
seq 0 63 >"$dir/ids"
from_stdin "$dir/ids" next -m "$tiny" -
count 'dagpt next -: as many ids as maxT' succeeded
from_stdin "$dir/ids" tokens -m "$tiny" --total 10 -
count 'dagpt tokens -: nothing to complete' eval '[ "$status" -eq 0 ] && has "64 ids given" "$dir/err"'

# from_text CODE TEXT INPUT ARGUMENT... - INPUT on standard input fails so.
from_text() {
    code=$1 text=$2
    printf "$3" >"$dir/ids"
    shift 3
    from_stdin "$dir/ids" "$@"
    count "dagpt $*: got status $status, expected $code and one line with '$text'" failed_with "$code" dagpt "$text"
}

for command in tokens next; do
    from_text 4 'got more than 64 ids, expected at most maxT = 64' "$(seq 0 64 | tr '\n' ' ')" $command -m "$tiny" -
    from_text 4 'token id 3: got 97, expected 0 to 96' '1 2 97' $command -m "$tiny" -
    from_text 4 'standard input: got no token ids' '' $command -m "$tiny" -
    from_text 4 'standard input: got no token ids' ' \n\n\t ' $command -m "$tiny" -
    from_text 4 "token id 1: got '1?2', expected a number" '1\0002' $command -m "$tiny" -
    from_text 4 "token id 2: got '1?[2J', expected a number" '1 1\033[2J' $command -m "$tiny" -
    for id in x -1 +5 1e3 0x10 1,2 1.0 2147483648 18446744073709551616 '１' 999999999999999999999999999999; do
        from_text 4 "token id 2: got '$id', expected a number" "7\n$id 3" $command -m "$tiny" -
    done
    expect_error 4 "token id 2: got '-', expected a number" $command -m "$tiny" 1 -
    "$program" $command -m "$tiny" - <"$dir" >"$dir/out" 2>"$dir/err"
    status=$?
    count "dagpt $command - <FOLDER: got status $status, expected 5" failed_with 5 dagpt 'standard input: cannot read'
    "$program" $command -m "$tiny" - </dev/zero >"$dir/out" 2>"$dir/err"
    status=$?
    count "dagpt $command - </dev/zero: got status $status, expected 4" failed_with 4 dagpt 'token id 1: got '
    yes 1 2>"$dir/yes" | "$program" $command -m "$tiny" - >"$dir/out" 2>"$dir/err"
    count "dagpt $command -: ids without an end" has 'got more than 64 ids' "$dir/err"
done
expect_error 2 "unknown command '-'" -
printf 'Once upon a time' >"$dir/text"
"$program" encode -f "$dir/text" >"$dir/ids"
from_stdin "$dir/ids" decode -
count 'decode -: standard input' said "$dir/text"
"$program" encode -f "$dir/text" | "$program" tokens -m demo --greedy --total 12 - >"$dir/out" 2>"$dir/err"
status=$?
count 'encode | tokens -: as tokens with these ids' \
    prints_ids "$("$program" tokens -m demo --greedy --total 12 $(cat "$dir/ids") | paste -s -d ' ' -)"
run decode - -f "$dir/ids"
count 'decode - -f' failed_with 2 dagpt 'got ids and -f, expected one of them'
run decode 1 -f "$dir/ids"
count 'decode ID -f' failed_with 2 dagpt 'got ids and -f, expected one of them'
run decode ' 1 2' '' '3 '
cp "$dir/out" "$dir/expected"
printf '1\n2 3' >"$dir/ids"
from_stdin "$dir/ids" decode
count 'decode: several ids in an operand' said "$dir/expected"
printf '1 2\nx' >"$dir/ids"
from_stdin "$dir/ids" decode
count 'decode: no number, after two' eval '[ "$status" -eq 4 ] && has "token id 3: got '"'x'"', expected 0 to" "$dir/err"'
printf '1 3\0004' >"$dir/ids"
from_stdin "$dir/ids" decode
count 'decode: a NUL' eval '[ "$status" -eq 4 ] && has "token id 2: got '"'3?4'"', expected 0 to" "$dir/err"'

# ---- next --text ----

ids=$("$program" encode 'Once upon a')
run next -m demo --top 5 $ids
cp "$dir/out" "$dir/plain"
run next -m demo --top 5 --text $ids
cp "$dir/out" "$dir/text"
cut -f 1-3 "$dir/text" >"$dir/cut"
count 'next --text: other candidates' cmp -s "$dir/cut" "$dir/plain"
while IFS="$(printf '\t')" read -r id logit probability text; do
    run decode "$id"
    count "next --text: id $id is not $text" [ "\"$(cat "$dir/out")\"" = "$text" ]
done <"$dir/text"
run next -m demo --all --json --text $ids
cp "$dir/out" "$dir/json"
run next -m demo --all $ids
count 'next --json --text: what next and decode say' python '
import json, sys, subprocess
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
plain = [line.split() for line in open(sys.argv[2])]
assert [r["id"] for r in rows] == [int(p[0]) for p in plain]
assert all(list(r) == ["id", "logit", "probability", "text"] for r in rows)
rows = [r for r in rows if r["text"] != "\0"]
lines = "\n".join(str(r["id"]) for r in rows)
texts = subprocess.run([sys.argv[3], "decode", "-0"], input=lines.encode(), stdout=subprocess.PIPE).stdout
texts = texts.split(b"\0")
for r, text in zip(rows, texts):
    if "\ufffd" not in r["text"]: assert r["text"].encode() == text, (r, text)
' "$dir/json" "$dir/out" "$program"
run next --all --text -m demo $ids
count 'next --text: a control character reaches the terminal' \
    eval 'succeeded && ! LC_ALL=C tr -d "\n\t" <"$dir/out" | LC_ALL=C grep -q "[[:cntrl:]]"'
expect_error 2 '--vocab: expected --text with it' next -m demo --vocab models/demo/merges.txt 1
run next -m "$tiny" --vocab models/demo/merges.txt --text 1
count 'next --text: a tokenizer of another size' failed_with 4 dagpt "expected the model's V = 97"

finish
