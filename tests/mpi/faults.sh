#!/bin/sh
# faults.sh - a rank of dagpt-mpi that is killed or stopped: the others leave within --timeout, and one line says whom
# they missed and for what that rank waited. $BUILD, $KIND: as in mpi.sh. Any moment: kills.sh.
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

count 'rank 0 killed' fault KILL 0 layers
count 'rank 2 killed' fault KILL 2 columns
count 'rank 0 stopped' fault STOP 0 columns
count 'rank 1 stopped' fault STOP 1 layers
count 'no orphans' orphans
finish
