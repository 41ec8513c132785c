#!/bin/sh
# cli_lines.sh - the text commands' other ends: a terminal, pipes that close, full disks, damaged weights.
. tests/command/command.sh

demo=$(cd models/demo && pwd)
vocab=$(($(wc -l <"$demo/merges.txt") - 1 + 257))

# ---- a terminal ----

make_model --layers 3 --heads 1 --channels 32 --positions 200000 --vocab "$vocab" -o "$dir/long.bin"
count "make-model: got status $status" succeeded
edit=0
grep -q el_gets "$program" && edit=1 # built with libedit
if python3 -c 'import pty, termios' 2>/dev/null; then
    count 'complete -i on a terminal' python3 tests/command/terminal.py "$program" "$edit" "$dir/long.bin" "$demo/merges.txt"
else
    echo "$suite: no python3: no terminal is tried"
fi

# ---- pipes and disks ----

seq 200000 | sed 's/.*/1/' >"$dir/long.ids"

# Output that nobody reads ends the program: SIGPIPE, or 5 where that is ignored.
for arguments in '' --json --echo; do
    {
        "$program" complete -m "$dir/long.bin" --vocab "$demo/merges.txt" --ignore-eos -n 200000 $arguments x \
            2>"$dir/err" </dev/null
        echo $? >"$dir/status"
    } | head -c 1 >/dev/null
    status=$(cat "$dir/status")
    count "complete $arguments | head -c 1: got status $status, expected 141 or 5" \
        eval '[ "$status" -eq 141 ] || { [ "$status" -eq 5 ] && has "cannot write" "$dir/err"; }'
done
for arguments in 'complete -n 2 Once' 'complete -n 2 --json Once' 'complete --echo -n 0 Once' 'score Once' \
    'score --tokens --json Once' 'encode Once' 'decode 1 2 3' "decode -f $dir/long.ids"; do
    expect_unwritable $arguments
done
for command in complete score encode decode; do
    expect_error 5 "$dir: cannot read: Is a directory" $command -f "$dir"
    expect_error 5 '/nonexistent: cannot open' $command -f /nonexistent
    expect_error 2 "'--vocab' wants a value" $command --vocab
    "$program" $command >"$dir/out" 2>"$dir/err" <&-
    status=$?
    count "dagpt $command <&-: got status $status, expected 5" failed_with 5 dagpt 'standard input: cannot read'
done

# Of lines it is told, too; and no file takes a closed descriptor's place and is read as prompts.
"$program" complete -i -m "$dir/long.bin" --vocab "$demo/merges.txt" >"$dir/out" 2>"$dir/err" <&-
status=$?
count "complete -i <&-: got status $status, expected 5" failed_with 5 dagpt 'standard input: cannot read: Bad file'
"$program" complete -i >"$dir/out" 2>"$dir/err" <"$dir"
status=$?
count "complete -i <FOLDER: got status $status, expected 5" failed_with 5 dagpt 'standard input: cannot read: Is a dir'
"$program" complete --greedy -n 2 Once >"$dir/expected"
"$program" complete --greedy -n 2 Once >"$dir/out" 2>&- <&-
count 'complete TEXT <&- 2>&-: the same text' cmp -s "$dir/out" "$dir/expected"
limit=$(at_most 150000)
if [ -n "$limit" ]; then
    (eval "$limit" && exec "$program" complete -i --window 9 -j 1 >"$dir/out" 2>"$dir/err" </dev/zero)
    status=$?
    count "complete -i </dev/zero: got status $status, expected 6" failed_with 6 dagpt 'out of memory for a text'
fi

# ---- -5 is an operand, -0 an option where there is one ----

printf 'one\0two\0' >"$dir/records"
"$program" encode -0 <"$dir/records" >"$dir/out" 2>"$dir/err"
status=$?
{ "$program" encode one && "$program" encode two; } >"$dir/expected"
count 'encode -0: a line for each record' eval 'succeeded && cmp -s "$dir/out" "$dir/expected"'
"$program" encode --null -f "$dir/records" >"$dir/out" 2>"$dir/err"
status=$?
count 'encode --null -f FILE: the same' eval 'succeeded && cmp -s "$dir/out" "$dir/expected"'
run encode -5
cp "$dir/out" "$dir/expected"
run encode -- -5
count 'encode -5: a text' eval 'succeeded && cmp -s "$dir/out" "$dir/expected"'
run encode -- -0
cp "$dir/out" "$dir/expected"
printf -- '-0' >"$dir/text"
run encode -f "$dir/text"
count 'encode -- -0: a text' eval 'succeeded && cmp -s "$dir/out" "$dir/expected"'
expect_error 2 "'-05' takes no value" encode -05
expect_error 4 "got '-0'" tokens -m demo -0

# ---- damaged weights ----

make_model --layers 1 --heads 1 --channels 32 --positions 20 --vocab "$vocab" -o "$dir/nan.bin"
# the last numbers of a checkpoint are lnf's biases
le32 $((0x7FC00000)) | # NaN
     dd of="$dir/nan.bin" bs=4 seek=$(($(size_of "$dir/nan.bin") / 4 - 1)) conv=notrunc 2>/dev/null
for arguments in 'score x' 'score --json --tokens x' 'complete x' 'complete --greedy --json x'; do
    expect_error 3 'damaged weights' $arguments -m "$dir/nan.bin" --vocab "$demo/merges.txt"
done
for arguments in '' --greedy '--seed 1'; do
    expect_error 3 'damaged weights' tokens -m "$dir/nan.bin" $arguments 1 2 3
done

# ---- options of sampling, and tokens ----

run encode 'Once upon a time'
ids=$(cat "$dir/out")
for options in '--temp 1.5 --top-k 20 --seed 3' '--min-p 0.2 --seed 4' '--top-p 0.4 --seed 5' \
    '--repeat-penalty 1.5 --greedy' '--greedy' '--temp 0' '--top-k 1' '--top-p 0'; do
    run tokens -m demo $options --total 24 $ids
    cp "$dir/out" "$dir/ids"
    "$program" decode -f "$dir/ids" >"$dir/expected"
    echo >>"$dir/expected"
    run complete -n $((24 - $(echo "$ids" | wc -w))) --ignore-eos $options 'Once upon a time'
    count "complete $options: not the ids that tokens draws" eval 'succeeded && cmp -s "$dir/out" "$dir/expected"'
    [ "$options" != --greedy ] || cp "$dir/out" "$dir/greedy"
done
for options in '--temp 0' '--top-k 1' '--top-p 0' '--min-p 1' '--temp 1e-300' '--temp 1e-300 --top-k 5'; do
    run complete -n $((24 - $(echo "$ids" | wc -w))) --ignore-eos $options 'Once upon a time'
    count "complete $options: not the most likely ids" eval 'succeeded && cmp -s "$dir/out" "$dir/greedy"'
done
run tokens -m demo --total 24 $ids
cp "$dir/out" "$dir/coin"
run tokens -m demo --coin 0.5 --total 24 $ids
count 'tokens: the coin where no option of sampling is given' eval 'succeeded && cmp -s "$dir/out" "$dir/coin"'
run tokens -m demo --seed 5 --total 24 $ids
count 'tokens --seed 5: what the coin gives' eval 'succeeded && ! cmp -s "$dir/out" "$dir/coin"'
cp "$dir/out" "$dir/drawn"
for options in '-j 1' '-j 7 --cpus 7' '--sched barrier' '--isa scalar' '--chunk 2' --no-cache; do
    run tokens -m demo --seed 5 --total 24 $options $ids
    count "tokens --seed 5 $options: other ids" eval 'succeeded && cmp -s "$dir/out" "$dir/drawn"'
done
for wrong in '--temp -0.1' '--temp nan' '--temp 1e7' '--top-p -0.1' '--top-p 1.1' '--min-p -1' '--min-p 1.1' \
    '--repeat-penalty 0.9' '--top-k 0' '--seed -1' '--seed 1.5'; do
    expect_error 2 "${wrong% *}: got '${wrong#* }', expected a number from" tokens -m demo $wrong 1
done

# a seed from the clock is printed, and gives the same text again
run complete --json -n 8 Once
"$program" decode $(sed -n 's/.*"id": \([0-9]*\),.*/\1/p' "$dir/out") >"$dir/expected"
echo >>"$dir/expected"
seed=$(sed -n 's/.*"seed": \([0-9]*\),.*/\1/p' "$dir/out")
run complete --seed "$seed" -n 8 Once
count "complete --seed $seed: not the text that said so" eval 'succeeded && cmp -s "$dir/out" "$dir/expected"'

finish
