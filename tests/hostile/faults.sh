#!/bin/sh
# faults.sh [all] [WORD]... - calls of the command that fail, one after the other: tests/hostile/faults.py, with tests/support/faults.c
# loaded before the program. $BUILD, $CC, $SAN: as for tests/run.sh.
skip() {
    echo "faults: skipped: $*"
    exit 77
}
cd "$(dirname "$0")/../.." || exit 1
command -v python3 >/dev/null || skip "no python3"
[ -z "$SAN" ] || skip "$SAN's own allocator is to be the first that is loaded"
BUILD=$(cd "${BUILD:-build}" && pwd)
export BUILD
preload=$BUILD/faults.so
${CC:-gcc} -std=c11 -O2 -fPIC -shared -o "$preload" tests/support/faults.c 2>/dev/null || skip "not with this C library"
rm -f "$preload.log"
LD_PRELOAD=$preload FAULT_LOG=$preload.log "$BUILD/dagpt" encode x >/dev/null && [ -s "$preload.log" ] || skip "nothing can be loaded before it"
exec python3 tests/hostile/faults.py "$@"
