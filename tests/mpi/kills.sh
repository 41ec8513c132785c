#!/bin/sh
# shellcheck disable=SC2086
# kills.sh - one of three ranks of dagpt-mpi ends at one of many moments, which wire.c counts: the others leave within
# --timeout, what was printed is the beginning of the right text, and with --on-failure restart it is all of it.
# $BUILD, $KIND: as in mpi.sh; $MOMENTS: how many, evenly over the run (2); $HOW: kill (the default), stop or leave.
. tests/mpi/ranks.sh

moments=${MOMENTS:-2}
how=${HOW:-kill}
timeout=1.25 # of these ranks alone
story="complete -n 12 --seed 3 -j1 --trace $dir/trace.json Once"
longest=0

# gone - are all ranks? Those that are not are ended.
gone() {
    for _ in $(seq 100); do
        left=$(pgrep -fx "$wired.* --timeout $timeout .*")
        [ -n "$left" ] || return 0
        sleep 0.1
    done
    ps -o pid,ppid,stat,args -p "$(echo "$left" | paste -s -d ,)"
    kill -KILL $left
    return 1
}

# begins FILE - is what was printed its beginning? Hydra may have said more, behind it.
begins() {
    sed -i -z 's/\n=\{50,\}\n.*//' "$dir/out"
    cmp -s -n "$(size_of "$dir/out")" "$dir/out" "$1"
}

# no_part - there is a whole trace, or none.
no_part() {
    [ ! -e "$dir/trace.json" ] || "$program" trace "$dir/trace.json" >/dev/null 2>&1
}

# told COMMAND... - the command succeeds, or what the ranks said is shown.
told() {
    "$@" || {
        echo "    status $status, $(size_of "$dir/out") bytes; $(grep '^dagpt' "$dir/err" | paste -s -d '|')"
        false
    }
}

# take_time - how long after the blow this is, in ms, where it is the longest.
take_time() {
    ms=$((($(date +%s%N) - $(stat -c '%.9Y' "$dir/blown" | tr -d .)) / 1000000))
    [ $ms -le $longest ] || longest=$ms
}

# ended RANK - the ranks but that one have left as they should.
ended() {
    [ -e "$dir/blown" ] || return 1
    take_time
    gone && is_6 $status && begins "$dir/want" && no_part && [ "$(grep -c '^dagpt' "$dir/err")" -le 1 ] &&
        { [ "$how" = leave ] || grep -q "^dagpt-mpi: rank $1 on .*: not heard of for [01][.].*; rank $(($1 == 0)) on .* waited for" "$dir/err"; }
}

# blow RANK K PLACE - that rank ends at its K-th event, and all others.
blow() {
    rm -f "$dir/blown" "$dir/trace.json"
    timeout 240 env DAGPT_WIRE_BLOWN="$dir/blown" DAGPT_WIRE_BLOW="$1/3:$2:$how" \
        $launch -n 3 "$wired" --timeout $timeout --place "$3" $story >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    [ "$how" != stop ] || pkill -KILL -fx "$wired --timeout $timeout .*"
    count "$how rank $1 at event $2, $3: the others leave" told ended "$1"
}

# all_is_said - by those that are left.
all_is_said() {
    [ -e "$dir/blown" ] && gone && [ $status -eq 0 ] && cmp -s "$dir/out" "$dir/want" && no_part &&
        grep -q '^dagpt-mpi: starts again on 2 ranks' "$dir/err"
}

# restart RANK K PLACE - the same with --on-failure restart; the ranks that start others are not ended.
restart() {
    rm -f "$dir/blown" "$dir/trace.json"
    timeout 240 env DAGPT_WIRE_BLOWN="$dir/blown" $launch -n 3 "$wired" --timeout $timeout --place "$3" --on-failure restart \
        --launch "$launch $(setenv DAGPT_WIRE_BLOW "$1/3:$2:$how")" $story >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    [ "$how" != stop ] || pkill -KILL -fx "$wired .* --timeout $timeout .*"
    count "$how rank $1 at event $2, $3: starts again" told all_is_said
}

# both I - moment I of all, by turns of each rank and placement.
both() {
    place=$([ $(($1 / 3 % 2)) -eq 0 ] && echo columns || echo layers)
    events=$(cat "$dir/$place.$(($1 % 3))")
    k=$((1 + (2 * $1 + 1) * (events - 1) / (2 * moments)))
    blow $(($1 % 3)) $k "$place"
    restart $(($1 % 3)) $k "$place"
}

"$program" $story >"$dir/want" 2>/dev/null
for place in layers columns; do
    timeout 240 env DAGPT_WIRE_EVENTS="$dir/$place" $launch -n 3 "$wired" --place $place $story >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    count "$place: no blow" said_by_ranks "$dir/want"
done
for i in $(seq 0 $((moments - 1))); do
    both "$i"
done
echo "$suite: $how at $moments moments: the last rank is gone $longest ms after the blow at most, with --timeout $timeout"

finish
