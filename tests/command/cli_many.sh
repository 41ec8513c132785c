#!/bin/sh
# cli_many.sh - dagpt complete --prompts: each line has the text that it has alone, in order, however many run beside it;
# and a line that cannot be costs no other anything.
. tests/command/command.sh

demo=$(cd models/demo && pwd)
vocab=$(($(wc -l <"$demo/merges.txt") - 1 + 257))
make_model --layers 2 --heads 2 --channels 32 --positions 24 --vocab "$vocab" --seed 5 -o "$dir/few.bin"
few="-m $dir/few.bin --vocab $demo/merges.txt"

# ---- as alone ----

i=0
while [ $i -lt 23 ]; do
    case $((i % 5)) in
    0) echo "One day, Nora and Sam went to the lake, line $i" ;;
    1) echo "$i" ;;
    2) echo ;;
    3) printf 'a\tb \303\251 \377 %d \r\n' $i ;;
    4) echo "The cat" ;;
    esac
    i=$((i + 1))
done >"$dir/lines"
printf 'without an end' >>"$dir/lines"

# What `complete` prints of each line, one after the other.
alone() {
    n=0
    while IFS= read -r line || [ "$line" ]; do
        n=$((n + 1))
        printf '%s' "$line" | sed 's/\r$//' >"$dir/line"
        echo "---- line $n, seed 7 ----"
        "$program" complete --seed 7 "$@" -f "$dir/line" 2>>"$dir/notes"
    done <"$dir/lines"
}

for case in '-n 9' "$few --ignore-eos -n 40" "$few --window 9 -n 50 --echo" "--stop e --temp 0 -n 30"; do
    alone $case >"$dir/expected"
    for how in '--parallel 1' '--parallel 3 -j 1 --chunk 5' '' '--parallel 256 --sched serial --isa scalar'; do
        run complete --seed 7 $case --prompts "$dir/lines" $how
        count "complete $case --prompts $how: other texts than alone" eval \
            '[ "$status" -eq 0 ] && cmp -s "$dir/out" "$dir/expected"'
    done
done
alone -n 9 >"$dir/expected"
"$program" complete --seed 7 -n 9 --prompts - <"$dir/lines" >"$dir/out" 2>"$dir/err"
count 'complete --prompts -: standard input' cmp -s "$dir/out" "$dir/expected"
(cat "$dir/lines" && sleep 0.2) | "$program" complete --seed 7 -n 9 --prompts - 2>"$dir/err" | cat >"$dir/out"
count 'complete --prompts -: a pipe' cmp -s "$dir/out" "$dir/expected"

# Objects of JSON, but for what is measured; a short text after long ones, and the other way round.
timeless='s/, "prompt_ms": .*/}/'
for n in 1 40; do
    printf '{"tokens": %d, "prompt": "One day"}\n{"prompt": "The cat", "tokens": %d}\n' $n $((41 - n))
done >"$dir/json"
for parallel in 1 4; do
    run complete --seed 3 --json --logprobs 2 --prompts "$dir/json" --parallel $parallel
    sed "$timeless" "$dir/out" >"$dir/out.$parallel"
done
count 'complete --json --prompts: other objects beside others' eval \
    'cmp -s "$dir/out.1" "$dir/out.4" && [ "$(grep -c finish "$dir/out.1")" -eq 4 ]'
run complete --seed 3 --json -n 40 "The cat"
sed "$timeless"';s/^{/{"line": 2, /' "$dir/out" >"$dir/expected"
run complete --seed 3 --json --prompts "$dir/json"
sed "$timeless" "$dir/out" | grep '"line": 2' >"$dir/line"
count 'complete --json --prompts: a line is not what it is alone' cmp -s "$dir/line" "$dir/expected"

# ---- a line's own options ----

same_as() { # LINE OPTION... - the line has the text of `complete OPTION...`
    printf '%s\n' "$1" >"$dir/line"
    shift
    run complete --prompts "$dir/line" --seed 1 -n 12
    sed 1d "$dir/out" >"$dir/got"
    run complete --seed 1 -n 12 "$@"
    count "complete --prompts: not as complete $*" cmp -s "$dir/got" "$dir/out"
}
same_as '{"prompt": "One day"}' 'One day'
same_as ' {"prompt": "One day"}' ' {"prompt": "One day"}'
same_as '{"prompt": "{\"a\n\u00e9\ud83d\ude00", "tokens": 5}' -n 5 --escapes '{"a\n\xc3\xa9\xf0\x9f\x98\x80'
same_as '{"prompt": "One day", "temp": 0}' --temp 0 'One day'
same_as '{"prompt": "One day", "top_p": 0}' --top-p 0 'One day'
same_as '{"prompt": "One day", "temp": 1.5, "top_k": 3, "seed": 18446744073709551615}' \
    --temp 1.5 --top-k 3 --seed 18446744073709551615 'One day'
same_as '{"prompt": "One day", "min_p": 0.3, "repeat_penalty": 1.5, "top_p": 1}' \
    --min-p 0.3 --repeat-penalty 1.5 --top-p 1 'One day'
same_as '{"prompt": "One day", "stop": "a"}' --stop a 'One day'
same_as '{"stop": [ "xx", "e" ], "prompt": "One day"}' --stop xx --stop e 'One day'
same_as '{"prompt": ""}' ''

# ---- lines that cannot be ----

long=$(i=0; while [ $i -lt 40 ]; do printf 'x y '; i=$((i + 1)); done)
printf 'The cat\n' >"$dir/right"
run complete $few --seed 2 -n 5 --prompts "$dir/right"
cp "$dir/out" "$dir/expected"
for wrong in '{' '{}' '{"prompt": 1}' '{"prompt": "a", "prompt": "b"}' '{"prompt": "a"} b' '{"prompt": "a", "size": 1}' \
    '{"prompt": "a", "tokens": -1}' '{"prompt": "a", "tokens": 99999999}' '{"prompt": "a", "temp": -1}' \
    '{"prompt": "a", "top_p": 2}' '{"prompt": "a", "top_k": 0}' '{"prompt": "a", "stop": ""}' \
    '{"prompt": "a", "stop": 5}' '{"prompt": "\ud83d"}' "$(printf '{"prompt": "\377"}')" "$long"; do
    printf 'The cat\n%s\nOne\n' "$wrong" >"$dir/wrong"
    run complete $few --seed 2 -n 5 --prompts "$dir/wrong"
    count "complete --prompts: not 4 and one line for '$wrong'" eval '[ "$status" -eq 4 ] &&
        [ "$(wc -l <"$dir/err")" -eq 1 ] && has "dagpt: $dir/wrong:2: " "$dir/err"'
    head -n "$(wc -l <"$dir/expected")" "$dir/out" >"$dir/line"
    count "complete --prompts: the lines beside '$wrong'" eval \
        'cmp -s "$dir/line" "$dir/expected" && has "---- line 3, seed 2 ----" "$dir/out"'
done
run complete $few --seed 2 -n 5 --json --prompts "$dir/wrong"
count 'complete --json --prompts: no object for a line that cannot be' eval '[ "$status" -eq 4 ] &&
    [ "$(grep -c "^{\"line\": 2, \"error\": \".*\"}$" "$dir/out")" -eq 1 ] && [ "$(grep -c finish "$dir/out")" -eq 2 ]'
: >"$dir/nothing"
run complete --prompts "$dir/nothing"
count 'complete --prompts: an empty file' eval '[ "$status" -eq 0 ] && [ ! -s "$dir/out" ] && [ ! -s "$dir/err" ]'

# ---- signals, options ----

yes 'One day' | "$program" complete --json --prompts - -n 99 >"$dir/out" 2>"$dir/err" &
pid=$!
while [ ! -s "$dir/out" ] && kill -0 $pid 2>/dev/null; do
    sleep 0.05
done
kill -TERM $pid
wait $pid
status=$?
count 'complete --prompts: SIGTERM ends all that run' eval \
    '[ "$status" -eq 143 ] && has "interrupted" "$dir/out" && tail -n 1 "$dir/out" | grep -q finish'
expect_error 2 'got a prompt and --prompts' complete --prompts x y
expect_error 2 '--prompts' complete --prompts x --samples 2
expect_error 2 '--prompts' complete --prompts x -f y
expect_error 2 '--prompts' complete --prompts x -i
expect_error 2 'got --parallel' complete --parallel 3 x
expect_error 2 "--parallel: got '0'" complete --samples 2 --parallel 0 x
expect_error 2 "--parallel: got '257'" complete --samples 2 --parallel 257 x
expect_error 5 "$dir/none: cannot open" complete --prompts "$dir/none"

finish
