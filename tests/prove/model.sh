#!/bin/sh
# model.sh - checks every state of the model of the runtime (tests/prove/sched.pml) with spin, and that spin finds
# the faults that can be switched on. A minute; some 600 MB.
command -v spin >/dev/null || {
    echo "model: skipped: spin is not installed (Debian: spin)"
    exit 77
}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
status=0

# check WHAT EXPECTED "SPIN'S FLAGS" "COMPILER'S" "THE CHECKER'S": as many errors as expected, in how many states?
check() {
    spin -a $3 "$here/sched.pml" >spin.log 2>&1 && ${CC:-gcc} -O2 -w -DMEMLIM=4000 -DCOLLAPSE $4 -o pan pan.c || {
        cat spin.log
        exit 1
    }
    ./pan -m1000000 $5 >pan.log
    errors=$(sed -n 's/.*errors: //p' pan.log)
    states=$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log | head -1)
    printf '%-48s %12s states, %s errors\n' "$1" "$states" "$errors"
    if [ "$errors" != "$2" ] || grep -q 'max search depth too small\|out of memory' pan.log; then
        echo "model: FAILED: expected $2 errors"
        status=1
    fi
}

once="-DSAFETY -DNOCLAIM"
check "diamond, 2 steps: once, in order, none asleep" 0 -DPLAN=0 "$once" ""
check "two pushers: once, in order, none asleep" 0 -DPLAN=1 "$once" ""
check "diamond: none parked while a tile lies" 0 -DPLAN=0 -DSAFETY "-N conserving"
check "two pushers: none parked while a tile lies" 0 -DPLAN=1 -DSAFETY "-N conserving"
check "diamond: it ends, under weak fairness" 0 -DPLAN=0 "" "-a -f -N ends"
check "fault: no second look before parking" 1 "-DPLAN=0 -DNO_SECOND_LOOK" "$once" ""
check "fault: who takes a tile wakes nobody" 1 "-DPLAN=1 -DNO_PASS_ON" -DSAFETY "-N conserving"
exit $status
