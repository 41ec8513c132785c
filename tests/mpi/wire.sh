#!/bin/sh
# shellcheck disable=SC2086
# wire.sh - dagpt-mpi behind wire.c: messages that are late, overtake each other or are lost.
# $BUILD, $KIND: as in mpi.sh; $ALL: 1: more of it.
. tests/mpi/ranks.sh

make_model --layers 5 --heads 6 --channels 96 --positions 64 --vocab 500 --seed 9 -o "$dir/made.bin"

# late LABEL N SETTINGS ARGUMENT... - on N ranks, with that environment of wire.c's, what dagpt prints.
late() {
    label=$1 n=$2 settings=$3
    shift 3
    while [ "${1#--place}" != "$1" ]; do
        options=$1
        shift
    done
    run "$@"
    mv "$dir/out" "$dir/want"
    timeout 120 env $settings $launch -n "$n" "$wired" $options "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    count "$label" said_by_ranks "$dir/want"
}

# lost LABEL N CUT WHO SAYS - of N ranks, whose timeout is 1 s, that is cut: one line says who is missed.
lost() {
    timeout 120 env DAGPT_WIRE_CUT="$3" $launch -n "$2" "$wired" --timeout 1 --place columns tokens -m "$dir/made.bin" -j1 \
        --total 60 --no-cache 1 2 3 >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    count "$1: got status $status, expected 6" is_6 $status
    count "$1: one line" [ "$(grep -c '^dagpt' "$dir/err")" -eq 1 ]
    count "$1: who it is" grep -q "^dagpt-mpi: rank $4 on .*: not heard of for [01][.].*; rank $5 on .* waited for" "$dir/err"
}

ids="tokens -m $dir/made.bin -j1 --total 12 1 2 3 4 5 6 7"
texts="complete -n 12 --seed 3 --samples 4 --parallel 3 -j2 Once"
late 'columns, messages overtake each other' 3 'DAGPT_WIRE_DELAY=50:1500 DAGPT_WIRE_SEED=1' --place=columns $ids
late 'layers, messages overtake each other' 4 'DAGPT_WIRE_DELAY=50:1500 DAGPT_WIRE_SEED=2' --place=layers $texts
lost 'a rank that is cut off' 3 1:900 1 0
lost 'two ranks that do not hear each other' 3 1:900:2 '[12]' '[12]'
if [ "$ALL" = 1 ]; then
    for how in layers columns both; do
        for n in 2 3 4; do
            late "$how, $n ranks: late" $n 'DAGPT_WIRE_DELAY=2000' --place=$how $ids
            late "$how, $n ranks: slow" $n 'DAGPT_WIRE_MBS=1' --place=$how $texts
            for seed in 1 2 3 4 5 6; do
                late "$how, $n ranks: by chance $seed" $n "DAGPT_WIRE_DELAY=0:5000 DAGPT_WIRE_SEED=$seed" --place=$how $ids
                late "$how, $n ranks: texts by chance $seed" $n "DAGPT_WIRE_DELAY=0:3000 DAGPT_WIRE_MBS=5 DAGPT_WIRE_SEED=$seed" --place=$how $texts
            done
        done
    done
    for k in 1 2 3 5 10 20 40 80 200 400 1500; do
        for r in 0 1 2; do
            lost "rank $r cut off from message $k on" 3 $r:$k $r $((r == 0))
        done
    done
fi

finish
