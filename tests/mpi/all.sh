#!/bin/sh
# all.sh - the tests of dagpt-mpi with Open MPI and with MPICH, as far as they are here; fails where neither is, or with
# DAGPT_NEED=all where one is not. $BUILD: the build folder; $MAKE: make; $SUITES: which of them (all).
status=0
found=

# has KIND PACKAGES
has() {
    if command -v "mpicc$1" && command -v "mpirun$1"; then
        found="$found mpicc$1"
    else
        echo "no mpicc$1 or mpirun$1 (Debian: $2): dagpt-mpi is not tested with it" >&2
        [ "$DAGPT_NEED" != all ] || status=1
    fi
} >/dev/null

has .openmpi 'libopenmpi-dev, openmpi-bin'
has .mpich 'libmpich-dev, mpich'
[ -n "$found" ] || has '' 'either of them'
[ -n "$found" ] || exit 1
for cc in $found; do
    $MAKE --no-print-directory MPICC="$cc" mpi-wire || status=1
    for suite in ${SUITES:-mpi faults wire kills restart}; do
        KIND=${cc#mpicc} sh "tests/mpi/$suite.sh" || status=1
    done
done
exit $status
