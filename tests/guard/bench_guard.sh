#!/bin/sh
# bench_guard.sh [update] - counts instructions of a prompt of 32 and of one decoded token under callgrind
# and compares them with tests/guard/bench_guard.txt, or writes that file. A count does not depend on how busy
# the machine is. It does on the compiler: figures of another one are refused. $BUILD: the build folder.
figures=tests/guard/bench_guard.txt
percent=2
build=${BUILD:-build}
compiler="$(${CC:-gcc} --version | head -n 1)"
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

fail() {
    echo "bench-guard: $*" >&2
    exit 1
}

command -v valgrind >/dev/null || fail "needs valgrind (Debian: apt-get install valgrind)"

# GPT-2's proportions, small enough for callgrind: most of the work is in the kernels.
"$build/make-model" --layers 2 --heads 4 --channels 128 --vocab 2000 --positions 64 -o "$dir/model" ||
    exit 1

# instructions FUNCTION - while it runs, with all that it calls.
instructions() {
    valgrind --tool=callgrind --collect-atstart=no --toggle-collect="guarded_$1" \
        --callgrind-out-file="$dir/$1" "$build/tests/guard/bench_guard" "$dir/model" >"$dir/log" 2>&1 || {
        cat "$dir/log" >&2
        return 1
    }
    sed -n 's/^summary: *\([0-9][0-9]*\).*/\1/p' "$dir/$1"
}

for name in prompt decode; do
    n=$(instructions $name)
    [ "${n:-0}" -gt 0 ] || fail "callgrind counted nothing in guarded_$name"
    echo "$name $n" >>"$dir/now"
done

if [ "$1" = update ]; then
    {
        echo "# Instructions of one step by callgrind: tests/guard/bench_guard.sh. make bench-guard-update writes it."
        echo "compiler $compiler"
        cat "$dir/now"
    } >"$figures"
    cat "$figures"
    exit
fi

grep -qxF "compiler $compiler" "$figures" ||
    fail "$figures is of '$(sed -n 's/^compiler //p' "$figures")', this is '$compiler':" \
        "make bench-guard-update on the commit to compare with"
awk -v percent=$percent '
    NR == FNR { now[$1] = $2; next }
    $1 in now {
        change = 100 * (now[$1] / $2 - 1)
        bad = change > percent || change < -percent
        printf "%-7s %10d instructions, %10d committed: %+.2f %%%s\n", $1, now[$1], $2, change, \
            bad ? ", more than " percent " %" : ""
        failed += bad
        compared++
    }
    END { exit failed || compared != 2 }' "$dir/now" "$figures" ||
    fail "the counts differ: find out why; make bench-guard-update if it is meant"
