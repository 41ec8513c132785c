#!/bin/sh
# shellcheck disable=SC2086
# restart.sh - dagpt-mpi --on-failure restart: ranks are killed or stopped, and what is printed is what dagpt prints.
# $BUILD, $KIND: as in mpi.sh.
. tests/mpi/ranks.sh

# ranks_of - the processes of the ranks that are started again where one is lost, and their keepers.
ranks_of() {
    pgrep -fx "$mpi --supervised [0-9]* --timeout 3 --on-failure restart .*"
}

# hit SIGNAL RANK - sends it to that rank; false: it is not there.
hit() {
    for p in $(ranks_of); do
        [ "$(rank_of "$p")" != "$2" ] || { kill -"$1" "$p" 2>/dev/null && return; }
    done
    return 1
}

# printed BYTES - waits until so many are, or all is over.
printed() {
    for _ in $(seq 3000); do
        [ "$(wc -c <"$dir/out")" -lt "$1" ] && kill -0 $launcher 2>/dev/null || return 0
        sleep 0.02
    done
}

# begin N OPTIONS ARGUMENT... - on N ranks; $input: standard input.
begin() {
    n=$1 options=$2
    shift 2
    timeout 120 $launch -n "$n" "$mpi" --timeout 3 --on-failure restart $options "$@" >"$dir/out" 2>"$dir/err" <"${input:-/dev/null}" &
    launcher=$!
}

filter=cat # what is compared of what is printed

# restarted RANKS - the run has printed what dagpt prints, and was started again, on so many ranks in the end.
restarted() {
    wait $launcher
    status=$?
    $filter "$dir/want" >"$dir/filtered"
    for _ in $(seq 50); do
        [ -n "$(ranks_of)" ] || break
        sleep 0.1
    done
    [ $status -eq 0 ] && [ -z "$(ranks_of)" ] && $filter "$dir/out" | cmp -s - "$dir/filtered" &&
        [ "$(sed -n 's/^dagpt-mpi: starts again on \([0-9]*\) rank.*/\1/p' "$dir/err" | tail -n 1)" = "$1" ]
}

# lose SIGNAL RANK BYTES - one is lost once so many bytes are printed, or as soon as it is there (0).
lose() {
    printed "$3"
    until hit "$1" "$2" || ! kill -0 $launcher 2>/dev/null; do sleep 0.05; done
}

# restarts LABEL SIGNAL RANK BYTES N OPTIONS ARGUMENT... - of N ranks one is lost, and the others go on.
restarts() {
    label=$1 signal=$2 rank=$3 bytes=$4 n=$5 options=$6
    shift 6
    "$program" "$@" >"$dir/want" <"${input:-/dev/null}"
    begin "$n" "$options" "$@"
    lose "$signal" "$rank" "$bytes"
    count "$label" restarted $((n - 1))
}

# A model whose texts last until the blow has come.
make_model --layers 8 --heads 4 --channels 384 --positions 512 --vocab 1557 --seed 4 -o "$dir/slow.bin"
slow="-m $dir/slow.bin --vocab models/demo/merges.txt"
story="complete $slow -n 300 --window 60 --ignore-eos --seed 1 -j1"
# shellcheck disable=SC2086
{
    restarts 'rank 0 killed in the middle' KILL 0 600 3 '--place columns' $story Once
    restarts 'rank 2 stopped in the middle' STOP 2 600 3 '' $story Once
    restarts 'rank 1 killed at the first words' KILL 1 1 2 '' $story Once
}
# shellcheck disable=SC2086
restarts 'samples' KILL 1 100 3 '' complete $slow -n 150 --ignore-eos --seed 3 --samples 9 --parallel 3 -j1 'Once upon'
for line in 'Once upon a time' '{"prompt": "The cat", "tokens": 90}' 'A dog and' '' 'There was' 'She said'; do
    echo "$line"
done >"$dir/prompts"
input=$dir/prompts
# shellcheck disable=SC2086
restarts 'prompts from standard input' KILL 0 50 2 '--place columns' complete $slow -n 150 --ignore-eos --seed 3 --prompts - --parallel 2 -j1
input=
printf 'Once upon a time\n\nThe cat\n' >"$dir/asked"
input=$dir/asked
# shellcheck disable=SC2086
restarts 'asked for prompts' KILL 1 150 3 '' complete -i $slow -n 200 --ignore-eos --seed 3 -j1
input=
filter='grep "token":' # the last line tells times
# shellcheck disable=SC2086
restarts 'objects of JSON' KILL 0 1000 2 '--place columns' complete $slow -n 400 --ignore-eos --seed 3 --json -j1 'Once upon'
filter=cat
"$program" complete -n 400 --window 60 --ignore-eos --seed 5 -j1 Once >"$dir/text"
restarts 'score' KILL 1 300 2 '' score -f "$dir/text" --tokens --stride 4 -j1

# What was drawn is evaluated at once: the trace, which is of the last run alone, has fewer steps than there are ids.
restarts 'ids' KILL 0 1200 2 '--place columns' tokens -m "$dir/slow.bin" -j1 --total 500 --trace "$dir/trace.json" --trace-events 400000 5 6 7
steps=$("$program" trace --json "$dir/trace.json" | sed -n 's/.*"steps": \([0-9]*\).*/\1/p' | head -n 1)
count "ids: those that were known at once, $steps steps" [ "${steps:-999}" -lt 250 ]

# A rank is lost, and one of those that are left; and with it all.
"$program" $story Once >"$dir/want"
begin 3 '--place columns' $story Once
lose KILL 1 300
until grep -q 'starts again on 2' "$dir/err" || ! kill -0 $launcher 2>/dev/null; do sleep 0.1; done
lose KILL 0 600
count 'one after the other' restarted 1
begin 2 '' $story Once
lose KILL 1 300
while kill -0 $launcher 2>/dev/null; do # which is there until the last
    hit KILL 0 || sleep 0.05
done
wait $launcher
count 'all of them' is_6 $?

ranks 2 --on-failure restart tokens -m "$tiny" --no-such-option 1
count 'a wrong option' one_line 2 'no-such-option'
ranks 2 --on-failure restart --launch "$dir/absent -x" tokens -m "$tiny" 1
count 'a launcher that is not there' one_line 2 "launch: cannot start '$dir/absent -x'"
ranks 2 --on-failure wait tokens -m "$tiny" 1
count '--on-failure wait' one_line 2 "got 'wait', expected stop or restart"
ranks 2 --on-failure restart complete -n 8 --json Once
seed=$(sed -n 's/.*"seed": \([0-9]*\).*/\1/p' "$dir/out")
grep '"token"' "$dir/out" >"$dir/ids"
"$program" complete -n 8 --json --seed "${seed:-0}" Once | grep '"token"' >"$dir/want"
count 'a seed from the clock' cmp -s "$dir/ids" "$dir/want"

# Whoever started the ranks is killed: none is left.
begin 2 '' $story Once
printed 40
pkill -KILL -P $launcher -f "^$launch" # its parent is timeout
gone=no
for _ in $(seq 200); do
    [ -n "$(ranks_of)" ] || { gone=yes && break; }
    sleep 0.1
done
count 'no orphans' [ $gone = yes ]

finish
