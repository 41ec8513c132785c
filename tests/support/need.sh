#!/bin/sh
# need.sh - what the tests use beside gcc and make: a line for each thing that is not here, with what is left
# out without it. Fails where there is one.
# need.sh install - what is missing: Debian's packages, and what the tests need of npm's registry.
# need.sh get PACKAGE... - installs Debian's packages with apt-get, as root or by sudo, each listed before.
# $CC: the compiler that has to find the headers.
tests=$(dirname "$0")/..

# A header, or programs of which one will do; Debian's package; what is left out without it.
things() {
    cat <<'END'
check.h                                   check         unit tests on Check; they run all the same, by a stand-in
pcre2.h                                   libpcre2-dev  check_split, and the split of texts against an oracle
python3                                   python3       checks of JSON, of traces, of pictures, of the terminal
dot                                       graphviz      pictures beside their graphs
node                                      nodejs        the viewer's tests, and the server's
npm                                       npm           what tests need of npm's registry
chromium|chromium-browser|google-chrome   chromium      the viewer's tests
microhttpd.h                              libmicrohttpd-dev  dagpt-serve, and its tests
jansson.h                                 libjansson-dev     dagpt-serve, and its tests
histedit.h                                libedit-dev   editing lines in dagpt complete -i
pkg-config                                pkgconf       what is installed, and the examples
g++                                       g++           dagpt.h in C++
clang                                     clang         building with clang
ccache                                    ccache        building through ccache
musl-gcc                                  musl-tools    building with musl
mpicc.openmpi                             libopenmpi-dev  make test-mpi, with Open MPI
mpirun.openmpi                            openmpi-bin   make test-mpi, with Open MPI
mpicc.mpich                               libmpich-dev  make test-mpi, with MPICH
mpirun.mpich                              mpich         make test-mpi, with MPICH
strace                                    strace        which weights a rank of dagpt-mpi reads
END
}

# found THING
found() {
    case $1 in
    *.h) echo "#include <$1>" | ${CC:-gcc} -DPCRE2_CODE_UNIT_WIDTH=8 -E - ;;
    *)
        for name in $(echo "$1" | tr '|' ' '); do
            command -v "$name" && return
        done
        false
        ;;
    esac >/dev/null 2>&1
}

# modules - FOLDER/NAME of each test module that is not here.
modules() {
    for name in viewer/playwright-core viewer/speedscope viewer/@huggingface/gguf viewer/@huggingface/tokenizers serve/openai; do
        [ -f "$tests/${name%%/*}/node_modules/${name#*/}/package.json" ] || echo "$name"
    done
}

# missing THING-OR-PACKAGE - prints that column, or with `line` all, of each thing that is not here.
missing() {
    things | while read -r thing package use; do
        found "$thing" && continue
        case $1 in
        line) echo "no ${thing%%|*} (Debian: $package): $use" ;;
        package) echo "$package" ;;
        esac
    done
}

get() {
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    command -v apt-get >/dev/null || {
        echo "no apt-get here; wanted is what Debian calls: $*" >&2
        return 1
    }
    plan=$(apt-get install -s --no-install-recommends "$@" 2>/dev/null) || {
        $sudo apt-get update -qq
        plan=$(apt-get install -s --no-install-recommends "$@") || return 1
    }
    echo "$plan" | sed -n 's/^Inst \([^ ]*\) (\([^ ]*\).*/installs \1 \2/p
                           s/^Inst \([^ ]*\) \[\([^]]*\)\] (\([^ ]*\).*/upgrades \1 \2 to \3/p'
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    $sudo apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

install() {
    packages=$(missing package)
    [ -z "$packages" ] || get $packages || return 1
    for folder in viewer serve; do
        modules | grep -q "^$folder/" || continue
        sed -n "s|^ *\"node_modules/\(.*\)\": {|installs \1 (npm, in tests/$folder)|p" "$tests/$folder/package-lock.json"
        (cd "$tests/$folder" && npm ci --silent --no-audit --no-fund) || return 1
    done
}

case ${1:-} in
install) install ;;
get)
    shift
    get "$@"
    ;;
*)
    lines=$(
        missing line
        for name in $(modules); do
            echo "no ${name#*/} (npm's registry): what tests/${name%%/*} needs"
        done
    )
    [ -z "$lines" ] || echo "$lines"
    [ -z "$lines" ]
    ;;
esac
