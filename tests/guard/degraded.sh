#!/bin/sh
# degraded.sh - machines that are less than one expects: one CPU, stacks of 64 KiB, a tenth of a CPU, no more threads
# from the k-th on, two busy neighbours. In each, tests/prove/soak compares bits for a second or more.
# $BUILD: the build folder; $CC: the compiler.
. tests/command/command.sh
soak=$build/tests/prove/soak

# same_bits COMMAND... - the command, in front of the soak, which ends well.
same_bits() {
    "$@" "$soak" 0.0003 >"$dir/out" 2>"$dir/err" || {
        cat "$dir/out"
        false
    }
}

run tokens -m "$tiny" -j 1 --total 16 1 2
cp "$dir/out" "$dir/ids"

# ---- one CPU ----

if command -v taskset >/dev/null; then
    count 'one CPU: other bits' same_bits taskset -c "$(taskset -pc $$ | sed 's/.*: *//; s/[-,].*//')"
fi

# ---- small stacks ----

small_stacks() {
    (ulimit -s 64 && exec "$@")
}
[ -n "$SAN" ] || count 'stacks of 64 KiB: other bits' same_bits small_stacks

# ---- a tenth of a CPU: on for 10 ms, stopped for 90 ----

a_tenth() {
    "$@" &
    pid=$!
    while kill -STOP "$pid" 2>/dev/null; do
        sleep 0.09
        kill -CONT "$pid"
        sleep 0.01
    done
    wait "$pid"
}
a_tenth "$program" tokens -m "$tiny" -j 4 --total 16 1 2 >"$dir/out" 2>"$dir/err" </dev/null
status=$?
count 'a tenth of a CPU: other ids' said "$dir/ids"

# ---- busy neighbours ----

neighbours() {
    sh -c 'while :; do :; done' &
    first=$!
    sh -c 'while :; do :; done' &
    second=$!
    "$@"
    ended=$?
    kill "$first" "$second"
    return "$ended"
}
count 'two busy neighbours: other bits' same_bits neighbours

# ---- few threads ----

few_threads() {
    FEW_THREADS=$few LD_PRELOAD=$dir/few_threads.so "$@"
}

# warns_once GOT - ids as they should be, and one line on standard error.
warns_once() {
    echo "dagpt: workers: got $1, expected 8: the system starts no more threads" >"$dir/expected"
    [ "$status" -eq 0 ] && cmp -s "$dir/out" "$dir/ids" && cmp "$dir/err" "$dir/expected"
}

if [ -z "$SAN" ] && ${CC:-gcc} -shared -fPIC -D_GNU_SOURCE -o "$dir/few_threads.so" tests/guard/few_threads.c -ldl 2>"$dir/err"; then
    for few in 0 1 2 6; do
        few_threads "$program" tokens -m "$tiny" -j 8 --cpus 8 --total 16 1 2 >"$dir/out" 2>"$dir/err" </dev/null
        status=$?
        count "from thread $few on none can be made" warns_once $((few + 1))
    done
    few=7
    few_threads "$program" tokens -m "$tiny" -j 8 --cpus 8 --total 16 1 2 >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    count 'all threads can be made: other ids, or a warning' said "$dir/ids"
    few=3
    count 'three of eight threads can be made: other bits' same_bits few_threads
    few=2
    few_threads "$program" bench --seconds 0.1 -m "$tiny" -j 8 --cpus 8 decode >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    count 'bench with few threads' [ "$status" -eq 0 ]
fi
finish
