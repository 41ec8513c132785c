#!/bin/sh
# faults.sh - a rank of dagpt-mpi that is killed or stopped: the others leave within --timeout, and one line says whom
# they missed and for what that rank waited. $BUILD, $KIND: as in mpi.sh; $MOMENTS: how many more are killed, some time
# after the start (2).
. tests/mpi/ranks.sh

# others - the ranks of this test but $hit.
others() {
    pgrep -fx "$mpi --timeout 1[.]5 .*" | grep -vxF "$hit"
}

# begun - waits until the story has begun.
begun() {
    for _ in $(seq 200); do
        [ "$(wc -c <"$dir/out")" -lt 40 ] || break
        sleep 0.1
    done
}

# all_left - waits until there are no others; those that are left are ended, and a failure.
all_left() {
    for _ in $(seq 200); do
        [ -n "$(others)" ] || return 0
        sleep 0.1
    done
    ps -o pid,ppid,stat,comm -p "$(others | paste -s -d ,)"
    # shellcheck disable=SC2046
    kill -KILL $(others)
    return 1
}

# rank_of PID
rank_of() {
    [ "$(cat "/proc/$1/comm")" != dagpt-mpi-keep ] && tr '\0' '\n' <"/proc/$1/environ" | sed -n 's/^\(OMPI_COMM_WORLD_RANK\|PMI_RANK\)=//p'
}

# is_6 STATUS - hydra, MPICH's starter, kills what is left when one rank has ended, and may tell of that instead.
is_6() {
    [ "$1" -eq 6 ] || { [ "$KIND" = .mpich ] && [ "$1" -ne 0 ]; }
}

story="complete -n 100000 --window 60 --ignore-eos --seed 1 -j1 Once"

# fault SIGNAL RANK HOW - one of three ranks that tell a long story gets that signal.
fault() {
    # shellcheck disable=SC2086
    $launch -n 3 "$mpi" --timeout 1.5 --place "$3" $story >"$dir/out" 2>"$dir/err" </dev/null &
    launcher=$!
    hit=none
    begun
    for p in $(others); do
        [ "$(rank_of "$p")" != "$2" ] || hit=$p
    done
    kill -"$1" "$hit"
    left=none
    all_left || left=some
    kill -KILL "$hit" 2>/dev/null
    wait $launcher
    ended=$?
    [ "$left" != some ] && is_6 "$ended" && [ "$(wc -c <"$dir/out")" -ge 40 ] && [ "$(grep -c '^dagpt' "$dir/err")" -eq 1 ] &&
        grep -q "^dagpt-mpi: rank $2 on .*: not heard of for 1[.].*; rank $(($2 == 0)) on .* waited for" "$dir/err"
}

# orphans - whoever started the ranks is killed: none is left.
orphans() {
    # shellcheck disable=SC2086
    $launch -n 2 "$mpi" --timeout 1.5 $story >"$dir/out" 2>"$dir/err" </dev/null &
    launcher=$!
    hit=none
    begun
    kill -KILL $launcher
    all_left
}

# moment TENTHS RANK - a rank is killed so long after the start: all leave, and there is one line at most.
moment() {
    # shellcheck disable=SC2086
    $launch -n 3 "$mpi" --timeout 1.5 --place columns $story >"$dir/out" 2>"$dir/err" </dev/null &
    launcher=$!
    hit=none
    sleep "$(($1 / 10)).$(($1 % 10))"
    for p in $(others); do
        [ "$(rank_of "$p" 2>/dev/null)" != "$2" ] || hit=$p
    done
    if ! kill -KILL "$hit" 2>/dev/null; then # it is not there yet
        kill -TERM $launcher
        hit=none
        all_left
        return
    fi
    all_left && wait $launcher
    ended=$?
    [ $ended -ne 0 ] && [ "$(grep -c '^dagpt' "$dir/err")" -le 1 ]
}

count 'rank 0 killed' fault KILL 0 layers
count 'rank 2 killed' fault KILL 2 columns
count 'rank 0 stopped' fault STOP 0 columns
count 'rank 1 stopped' fault STOP 1 layers
count 'no orphans' orphans
for i in $(seq "${MOMENTS:-2}"); do
    tenths=$(((i * 7 + 2) % 23))
    count "rank $((i % 3)) killed after $tenths tenths of a second" moment $tenths $((i % 3))
done

finish
