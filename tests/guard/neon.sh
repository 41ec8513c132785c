#!/bin/sh
# neon.sh [SUITE...] - cross-builds for AArch64 and runs test suites under qemu-user: those named (kernels,
# cli, ...), else all that depend on the machine: arithmetic, threads, and the command. Debian packages that
# are missing are installed. The target's Check is not: dpkg would take it only after --add-architecture,
# which is for the owner of the machine to say; it is unpacked into the build folder.
cc=aarch64-linux-gnu-gcc
build=build-$cc
check=$build/check
emulated=$build/qemu # for each program a script that runs it under qemu
[ $# -gt 0 ] || set -- base kernels ops cache bits golden sequence queue team sched cli

QEMU_LD_PREFIX=/usr/aarch64-linux-gnu # the target's libc
CPATH=$check/usr/include
CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-3600}
export QEMU_LD_PREFIX CPATH CK_DEFAULT_TIMEOUT

# unpack_check - the arm64 packages, with package lists of their own: the system's stay as they are.
unpack_check() {
    echo "unpacking Debian's check for arm64 into $check"
    apt=$PWD/$build/apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$check" || return 1
    printf '%s\n' 'APT::Architecture "arm64";' 'APT::Architectures { "arm64"; };' \
        'APT::Sandbox::User "";' 'Acquire::Languages "none";' \
        "Dir::State::Lists \"$apt/lists\";" "Dir::Cache \"$apt/cache\";" >"$apt/apt.conf"
    (
        APT_CONFIG=$apt/apt.conf
        export APT_CONFIG
        cd "$apt" && apt-get -qq update && apt-get -qq download check libsubunit-dev
    ) || return 1
    for package in "$apt"/*.deb; do
        dpkg -x "$package" "$check" || return 1
    done
}

CC=$cc tests/support/need.sh stdio.h gcc-aarch64-linux-gnu libc6-dev-arm64-cross || exit 1
tests/support/need.sh qemu-aarch64 qemu-user || exit 1
[ -f $check/usr/include/check.h ] || unpack_check || exit 1

for suite in "$@"; do
    ls tests/unit/*/check_"$suite".c tests/command/"$suite".sh 2>/dev/null | grep -q . || {
        echo "no suite $suite: neither tests/unit/*/check_$suite.c nor tests/command/$suite.sh" >&2
        exit 1
    }
done

programs="$build/dagpt $build/make-model"
for suite in "$@"; do
    for source in tests/unit/*/check_"$suite".c; do
        [ ! -f "$source" ] || programs="$programs $build/${source%.c}"
    done
done
${MAKE:-make} --no-print-directory CC=$cc SAN= DEBUG= LDFLAGS=-L$check/usr/lib/aarch64-linux-gnu \
    $programs || exit 1
mkdir -p $emulated
for program in $programs; do
    script=$emulated/$(basename "$program")
    printf '#!/bin/sh\nexec qemu-aarch64 "%s" "$@"\n' "$PWD/$program" >"$script"
    chmod +x "$script"
done

BUILD=$emulated
export BUILD
failed=
for suite in "$@"; do
    if [ -f "tests/command/$suite.sh" ]; then
        sh "tests/command/$suite.sh"
    else
        $emulated/check_$suite
    fi || failed="$failed $suite"
done
[ -z "$failed" ] || echo "failed on AArch64:$failed"
[ -z "$failed" ]
