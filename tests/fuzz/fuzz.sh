#!/bin/sh
# fuzz.sh [TARGET]... - runs targets of tests/fuzz/fuzz.c, request.c, and commands.py, all unless some are named, each for $FUZZ_SECONDS, two at a time. What
# was found lies in $BUILD/fuzz/, TARGET-crash-... and others; what is new in what was tried stays there for the next run.
# $BUILD: the build folder of dagpt; $FUZZ: the program; $FUZZ_REQUEST: that of the server's requests, if it is built.
seconds=${FUZZ_SECONDS:-20}
at=$BUILD/fuzz
rm -rf "$at/seeds"
mkdir -p "$at"
python3 tests/fuzz/seeds.py "$at/seeds" || exit 1
files=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d) || exit 1
trap 'rm -rf "$files"' EXIT
export FUZZ_FOLDER=$files # of the models that are folders
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1

# one TARGET
one() {
    if [ "$1" = commands ]; then
        python3 tests/fuzz/commands.py "$seconds"
        return
    fi
    case $1 in
    model | hf | trace) most=131072 ;;
    *) most=16384 ;;
    esac
    mkdir -p "$at/$1"
    program=$FUZZ
    [ "$1" != request ] || program=$FUZZ_REQUEST
    TARGET=$1 "$program" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=2048 -max_len=$most -print_final_stats=1 \
        -dict=tests/fuzz/words.txt -artifact_prefix="$at/$1-" "$at/$1" "$at/seeds/$1" >"$at/$1.log" 2>&1
    status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$at/$1.log")
    cover=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$at/$1.log" | tail -1)
    echo "fuzz: $1: ${runs:-no} executions, $cover edges$([ $status -eq 0 ] || echo ": FAILED, $at/$1.log")"
    [ $status -eq 0 ] || tail -40 "$at/$1.log"
    return $status
}

[ $# -gt 0 ] || set -- model hf tokenizer text escapes prompts json trace complete commands ${FUZZ_REQUEST:+request}
failed=0
while [ $# -gt 0 ]; do
    one "$1" &
    first=$!
    second=
    if [ $# -gt 1 ]; then
        one "$2" &
        second=$!
        shift
    fi
    shift
    wait $first || failed=1
    [ -z "$second" ] || wait $second || failed=1
done
exit $failed
