#!/bin/sh
# cross.sh MACHINE [SUITE...] - cross-builds for a machine (aarch64, armhf, i386) and runs test suites under
# qemu-user: those named (kernels, cli_text, ...), else the unit suites and some of the command's. What is missing
# is installed: Debian's cross compiler, C library and emulator.
# cross.sh s390x - make refuses that machine, which is big-endian, in one line.
machine=$1
shift
case $machine in
aarch64) triple=aarch64-linux-gnu libc=libc6-dev-arm64-cross qemu=qemu-aarch64 ;;
armhf) triple=arm-linux-gnueabihf libc=libc6-dev-armhf-cross qemu=qemu-arm ;;
i386) triple=i686-linux-gnu libc=libc6-dev-i386-cross qemu=qemu-i386 ;;
s390x) triple=s390x-linux-gnu libc=libc6-dev-s390x-cross qemu=true ;;
*)
    echo "no machine $machine: aarch64, armhf, i386 or s390x" >&2
    exit 2
    ;;
esac
cc=$triple-gcc
build=build-$cc
emulated=$build/qemu # for each program a script that runs it under qemu
# The second variable: or the loader of /usr/$triple would take this machine's own libraries for that CPU, where
# /etc/ld.so.cache has some (/lib32): another libc than the loader's, whose threads never start.
export QEMU_LD_PREFIX=/usr/$triple
export QEMU_SET_ENV="LD_LIBRARY_PATH=/usr/$triple/lib"
# What the tests leave out there. qemu-i386 7.2 forgets, where a signal comes, which floating-point exceptions were
# raised, by which libc's fmaf() rounds: no timer looks for hangs, an hour ends them. qemu-user 7.2 ends with a failed
# assertion of its own where a forked process makes a thread. And its own memory is the program's, for ulimit -v.
export DAGPT_EMULATED=1
export CK_DEFAULT_TIMEOUT="${CK_DEFAULT_TIMEOUT:-3600}"

{ echo '#include <stdio.h>' | $cc -E - && command -v $qemu; } >/dev/null 2>&1 ||
    tests/support/need.sh get gcc-$triple $libc qemu-user || exit 1

# All unit suites, but for split, which needs PCRE2, spec, which compares with a program of this machine, and amx, of x86-64. Of the command,
# what numbers, files and threads have a part in: the rest asks a shell more than a processor, or, as cli_score, for the
# logits of thousands of tokens, and takes hours there.
all_suites() {
    for suite in tests/unit/*/check_*.c; do
        name=$(basename "$suite" .c)
        case $name in
        check_split | check_spec | check_amx) ;;
        *) echo "${name#check_}" ;;
        esac
    done | sort -u # two folders have a suite of one name
    echo cli cli_ids cli_json cli_options cli_output cli_packed
}
if [ "$machine" = s390x ]; then
    ! said=$(${MAKE:-make} --no-print-directory CC=$cc SAN= DEBUG= 2>&1) || exit 1
    echo "s390x: $said"
    [ "$(echo "$said" | grep -c 'dagpt: this machine is big-endian')" -eq 1 ] && [ "$(echo "$said" | wc -l)" -eq 1 ]
    exit
fi
[ $# -gt 0 ] || set -- $(all_suites)

programs="$build/dagpt $build/make-model"
units=
for suite in "$@"; do
    if [ -n "$(ls tests/unit/*/check_"$suite".c 2>/dev/null)" ]; then
        units="$units $(ls tests/unit/*/check_"$suite".c | sed "s|^|$build/|; s|\.c$||")"
    elif [ ! -f "tests/command/$suite.sh" ]; then
        echo "no suite $suite: neither tests/unit/*/check_$suite.c nor tests/command/$suite.sh" >&2
        exit 1
    fi
done
${MAKE:-make} --no-print-directory CC=$cc SAN= DEBUG= $programs $units || exit 1
mkdir -p $emulated
for program in $programs; do
    script=$emulated/$(basename "$program")
    printf '#!/bin/sh\nexec %s "%s" "$@"\n' $qemu "$PWD/$program" >"$script"
    chmod +x "$script"
done

BUILD=$emulated
export BUILD
failed=
for unit in $units; do
    echo "$machine: ${unit#$build/tests/unit/}"
    $qemu "$unit" || failed="$failed ${unit#$build/tests/unit/}"
done
for suite in "$@"; do
    [ -f "tests/command/$suite.sh" ] || continue
    echo "$machine: $suite"
    sh "tests/command/$suite.sh" || failed="$failed $suite"
done
[ -z "$failed" ] || echo "failed on $machine:$failed"
[ -z "$failed" ]
