#!/bin/sh
# cli_prompt.sh - how a text is taken: escapes in an argument, special tokens, input without an end.
. tests/command/command.sh

end=$("$program" encode --special '<|endoftext|>')

# ---- --escapes ----

printf 'a\tb\n\\"\101\007\010\033\014\015\013'"'"'\303\251\342\202\254\360\237\231\202\0z' >"$dir/text"
run encode --escapes 'a\tb\n\\\"\x41\a\b\e\f\r\v'"\\'"'\u00e9\u20AC\U0001f642\0z'
cp "$dir/out" "$dir/ids"
from_stdin "$dir/text" encode
count 'encode --escapes: each stands for what it should' said "$dir/ids"
run encode --escapes '\0\0\xff\xFe'
printf '\0\0\377\376' >"$dir/text"
cp "$dir/out" "$dir/ids"
from_stdin "$dir/ids" decode
count 'encode --escapes: NUL and any byte' said "$dir/text"
run encode 'a\tb'
count 'encode: without --escapes a backslash is one' [ "$("$program" decode $(cat "$dir/out"))" = 'a\tb' ]
for command in complete score encode; do
    for bad in '\' '\q' '\N' '\8' '\x' '\x4' '\x4g' '\xG4' '\u20a' '\ud800' '\uDFFF' '\U00110000' '\Uffffffff' \
        '\x-1' '\x 1'; do
        run $command --escapes "ab$bad"
        count "$command --escapes: '$bad'" failed_with 4 dagpt "byte 3 of the text: got '$bad', expected \\n, "
    done
    echo text >"$dir/text"
    from_stdin "$dir/text" $command --escapes
    count "$command --escapes: standard input" failed_with 2 dagpt '--escapes: got standard input, expected a text'
    run $command --escapes -f "$dir/text"
    count "$command --escapes: -f" failed_with 2 dagpt '--escapes: got -f, expected a text'
done
printf 'One\tday\nNora' >"$dir/text"
run complete --seed 3 -n 5 --escapes 'One\tday\nNora'
cp "$dir/out" "$dir/expected"
from_stdin "$dir/text" complete --seed 3 -n 5
count 'complete --escapes: as the text itself' said "$dir/expected"
printf 'One\\tday\\nNora\n\\q\n' >"$dir/lines"
from_stdin "$dir/lines" complete -i --escapes --seed 3 -n 5
count 'complete -i --escapes: in its lines, and a bad one is said to be' \
    eval '[ "$status" -eq 0 ] && cmp -s "$dir/out" "$dir/expected" && has "byte 1 of the text: got" "$dir/err"'
run score --escapes 'One\tday\nNora'
cp "$dir/out" "$dir/expected"
from_stdin "$dir/text" score
count 'score --escapes: as the text itself' said "$dir/expected"

# ---- --special ----

run encode --special 'a<|endoftext|>b<|endoftext|><|endoftext|'
count 'encode --special: the mark, and text around it' [ "$(cat "$dir/out")" = \
    "$("$program" encode a) $end $("$program" encode b) $end $("$program" encode '<|endoftext|')" ]
printf '<|endoftext|>' >"$dir/text"
from_stdin "$dir/text" encode --special
count 'encode --special: standard input' [ "$(cat "$dir/out")" = "$end" ]
run complete --special --greedy -n 4 '<|endoftext|>'
cp "$dir/out" "$dir/expected"
run complete --greedy -n 4 ''
count 'complete --special: <|endoftext|> alone is the beginning of a text' said "$dir/expected"
run score --special --tokens 'One<|endoftext|>Once'
cp "$dir/out" "$dir/score"
count 'score --special: a token of its own' \
    eval 'succeeded && [ "$(awk -F "\t" -v id="$end" "\$2 == id" "$dir/score" | wc -l)" -eq 1 ]'
run next -m demo --all "$end" $("$program" encode One)
expected=$(awk -v id="$end" '$1 == id { printf "%.4f", log($3) }' "$dir/out")
count "score --special: the mark as next has it" \
    [ "$(awk -F '\t' -v id="$end" '$2 == id { printf "%.4f", $1 }' "$dir/score")" = "$expected" ]
for command in complete score encode; do
    run $command '<|endoftext|>' --vocab models/demo/merges.txt -m demo
    cp "$dir/out" "$dir/plain"
    run $command --special '<|endoftext|>' --vocab models/demo/merges.txt -m demo
    count "$command: without --special the mark is text" eval 'succeeded && ! cmp -s "$dir/out" "$dir/plain"'
done

# ---- input without an end ----

# endless COMMAND WHAT ARGUMENT... - reading /dev/zero ends with 4 and WHAT, in 400 MB of memory.
endless() {
    what=$1
    shift
    (eval "$(at_most 400000)" && exec timeout 300 "$program" "$@") >"$dir/out" 2>"$dir/err" </dev/zero
    status=$?
    count "dagpt $* </dev/zero: got status $status, expected 4" failed_with 4 dagpt "$what"
}

longest=$(while read -r line; do echo "$line"; done <models/demo/merges.txt | awk 'NR > 1 {
    gsub(/ /, ""); if (length($0) > n) n = length($0) } END { print n }')
positions=$("$program" info --json | sed -n 's/.*"maxT": \([0-9]*\).*/\1/p')
most=$((positions * (longest > 13 ? longest : 13)))
for command in complete score; do
    endless "standard input: got more than $most bytes, expected at most maxT = $positions tokens" $command
    endless "/dev/zero: got more than $most bytes" $command -f /dev/zero
done
endless "standard input: got a line of more than $most bytes" complete -i
endless 'standard input: got a word of more than 16777216 bytes' encode
endless '/dev/zero: got a word of more than' encode -f /dev/zero
endless "token id 1: got '????" decode
# A text of just so many bytes is read, with its line end too; it has too many tokens.
head -c "$most" /dev/zero | tr '\0' x >"$dir/text"
from_stdin "$dir/text" complete
count 'complete: the longest text that could be' failed_with 4 dagpt 'the prompt has '
printf '\r\n' >>"$dir/text"
from_stdin "$dir/text" complete
count 'complete: the longest text that could be, with a line end' failed_with 4 dagpt 'the prompt has '
printf 'x' >>"$dir/text"
from_stdin "$dir/text" complete
count 'complete: a text one byte too long' failed_with 4 dagpt "got more than $most bytes"
{ tr -d '\r\n' <"$dir/text" && printf 'xxx\nOnce\n'; } >"$dir/lines"
from_stdin "$dir/lines" complete -i --echo -n 0
count 'complete -i: a line too long is skipped, and the next is taken' eval '[ $status -eq 0 ] &&
    [ "$(cat "$dir/out")" = Once ] && [ "$(grep -c . "$dir/err")" -eq 1 ] && has "a line of more than $most" "$dir/err"'

# ---- a text that is encoded while it is read ----

# Words with spaces around them have the ids that they have alone: a text of 200,000 of them, in 50 MB.
awk 'BEGIN { for (i = 0; i < 200000; i++) print "Nora  had a (ball)." }' >"$dir/text"
"$program" encode "$(head -n 1 "$dir/text")
" >"$dir/ids"
(
    eval "$(at_most 50000)"
    exec "$program" encode
) <"$dir/text" >"$dir/out" 2>"$dir/err"
status=$?
count 'encode: a long text has the ids of its lines, and needs little memory' eval 'succeeded &&
    awk -v line="$(cat "$dir/ids")" "BEGIN { for (i = 0; i < 200000; i++) printf \"%s%s\", i ? \" \" : \"\", line
        print \"\" }" | cmp -s - "$dir/out"'
tr '\n' '\0' <"$dir/text" | "$program" encode -0 >"$dir/out" 2>"$dir/err"
status=$?
count 'encode -0: a line for each of 200,000' eval 'succeeded && [ "$(wc -l <"$dir/out")" -eq 200000 ] &&
    [ "$(sort -u "$dir/out")" = "$("$program" encode "$(head -n 1 "$dir/text")")" ]'
printf 'a' >"$dir/text"
for options in '' -0; do
    from_stdin "$dir/text" encode $options
    count "encode $options: a text without an end of line" [ "$(cat "$dir/out")" = "$("$program" encode a)" ]
    from_stdin /dev/null encode $options
    count "encode $options: nothing" eval 'succeeded && [ "$(wc -l <"$dir/out")" -eq '"$([ "$options" ] && echo 0 || echo 1)"' ]'
done

finish
