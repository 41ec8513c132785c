#!/bin/sh
# cli_build.sh - the Makefile: flags and compilers of one's own, what is built again and when, a folder with a
# blank; and what `make test` says of what is missing. Most of it in a copy of the build folder, so that little
# is compiled.
if [ -n "$SAN" ]; then
    echo "cli_build: skipped: a sanitizer's build says nothing about the Makefile"
    exit 77
fi
. tests/command/command.sh

# The server wants the shared library's objects, which are as many again.
SERVE=0
export SERVE

copy=$dir/build
mkdir "$copy" || exit 1
for part in src tools libdagpt.a dagpt make-model viewer_page.h compiled-with linked-with; do
    cp -a "$build/$part" "$copy" || exit 1
done

# build ARGUMENT... - make in the copy; leaves $dir/out, $dir/err and $status.
build() {
    "${MAKE:-make}" BUILD="$copy" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
}

# says TEXT ARGUMENT... - make succeeds and prints TEXT and nothing else; no TEXT: nothing.
says() {
    text=$1
    shift
    build "$@"
    grep -v -e "^make" -e "Nothing to be done" -e "is up to date" "$dir/out" >"$dir/said"
    [ "$status" -eq 0 ] && [ "$(cat "$dir/said")" = "$text" ] || {
        echo "    got '$(head -n 3 "$dir/said")', status $status"
        false
    }
}

# ---- what is built again ----

build all # where the build folder was made with other flags than this make has
cp -a "$copy" "$dir/kept"
arena=$copy/src/base/arena.o
count 'make, nothing changed: built something' says '' all
count 'make CFLAGS=-O1: an object is as it was' says "CC   $arena" CFLAGS=-O1 "$arena"
count 'make CFLAGS=-O1 again: built again' says '' CFLAGS=-O1 "$arena"
count 'make CPPFLAGS=-DX: an object is as it was' says "CC   $arena" CPPFLAGS=-DX CFLAGS=-O1 "$arena"
count 'make LDFLAGS=-s: the program is as it was' \
    says "LINK $copy/make-model" LDFLAGS=-s CPPFLAGS=-DX CFLAGS=-O1 -o "$copy/libdagpt.a" \
    -o "$copy/tools/cli/output.o" -o "$copy/tools/cli/part.o" -o "$copy/tools/cli/signals.o" -o "$copy/tools/cli/writing.o" \
    -o "$copy/tools/dev/make_model.o" "$copy/make-model"
rm -r "$copy"
cp -a "$dir/kept" "$copy"

# The flags of one file are not those of all others.
rm "$copy/tools/trace/trace_html.o"
build "$copy/tools/trace/trace_html.o"
count "make trace_html.o alone: flags are now '$(cat "$copy/compiled-with")'" \
    cmp -s "$dir/kept/compiled-with" "$copy/compiled-with"

# Without line editing and with it again.
if grep -q lines_editline "$copy/linked-with"; then
    count 'make EDIT=0: not linked' says "CC   $copy/tools/cli/lines_plain.o
LINK $copy/dagpt" EDIT=0 "$copy/dagpt"
    if python3 -c 'import pty' 2>/dev/null; then
        count 'EDIT=0: complete -i says on a terminal that lines cannot be edited' python3 -c '
import os, pty, subprocess, sys
master, slave = pty.openpty()
child = subprocess.Popen([sys.argv[1], "complete", "-i"], stdin=slave, stderr=subprocess.PIPE)
os.write(master, b"\4")
assert b"dagpt: built without libedit" in child.communicate(timeout=60)[1]' "$copy/dagpt"
    fi
    count 'make EDIT=0: libedit is still there' eval '! grep -q history_init "$copy/dagpt"'
    count 'make EDIT=0, make: not linked again' says "LINK $copy/dagpt" "$copy/dagpt"
    count 'make EDIT=0, make: no libedit' grep -q history_init "$copy/dagpt"
else
    echo "cli_build: without libedit: nothing to leave out"
fi

# Without the server's libraries.
count 'make without libmicrohttpd: not built, or not said' \
    eval 'rm "$copy/dagpt"; build SERVE= all; [ "$status" -eq 0 ] && has "NOTE dagpt-serve: not built" "$dir/out" && [ ! -e "$copy/dagpt-serve" ]'
count 'make serve without libmicrohttpd: does not say what to install' \
    eval 'build serve; [ "$status" -ne 0 ] && has "apt-get install pkgconf libmicrohttpd-dev libjansson-dev" "$dir/err"'

# ---- a user's flags, and those that the program needs ----

# compiles FILE FLAG... - with CFLAGS of the user's own, FILE gets them and each FLAG, and the last
# -ffp-contract is "off".
compiles() {
    file=$1
    shift
    build -n -W "$file.c" CFLAGS='-O1 -ffp-contract=fast -DOWN' "$copy/$file.o"
    line=$(grep -e "-o $copy/$file.o" "$dir/out")
    for flag in -DOWN -std=c11 "$@"; do
        case " $line " in
        *" $flag "*) ;;
        *) return 1 ;;
        esac
    done
    case ${line##*-ffp-contract=} in
    'off '*) ;;
    *) return 1 ;;
    esac
}

count 'make CFLAGS=...: flags that arena.c needs are lost' compiles src/base/arena
for isa in avx2 avx_vnni avx512 avx512_vnni amx; do
    case $isa in
    avx2) flags='-mavx2 -mfma' ;;
    avx_vnni) flags='-mavx2 -mfma -mavxvnni' ;;
    avx512) flags='-mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma' ;;
    avx512_vnni) flags='-mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma -mavx512vnni' ;;
    amx) flags='-mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma -mamx-tile -mamx-int8' ;;
    esac
    [ ! -f "$build/src/ops/kernels/$isa.o" ] ||
        count "make CFLAGS=...: flags that $isa.c needs are lost" compiles src/ops/kernels/$isa $flags
done
if [ -f "$build/src/ops/kernels/amx.o" ]; then # a compiler without AMX's instructions
    build -n NO_AMX=1 -W src/base/cpu.c -W src/ops/kernels/amx.c "$copy/libdagpt.a"
    count 'make without AMX: amx.c is there, or is not said to be missing' \
        eval 'has -DDG_NO_AMX "$dir/out" && ! grep -q kernels/amx "$dir/out"'
fi
build -n CFLAGS=-O1 SAN=thread -W src/base/arena.c "$arena"
count 'make CFLAGS=... SAN=thread: no sanitizer' has -fsanitize=thread "$dir/out"
build -n LDLIBS=-lown LDFLAGS=-Lown -W src/base/arena.c "$copy/make-model"
for flag in -Lown -lown -lpthread -lm; do
    count "make LDLIBS=... LDFLAGS=...: no $flag" has " $flag" "$dir/out"
done

# ---- flags that would change results ----

# refused FLAGS - by make, whatever the compiler; by the header, as far as $cc tells what it was called with.
refused() {
    build CFLAGS="$1" "$arena"
    [ "$status" -ne 0 ] && grep -q "^Makefile:.* is refused: it changes results" "$dir/err"
}

refused_by_header() {
    ! $cc $1 -fsyntax-only src/ops/kernels/scalar.c 2>"$dir/err" && grep -q 'platform.h:.*error.*dagpt: ' "$dir/err"
}

for flag in -Ofast -ffast-math -funsafe-math-optimizations -ffinite-math-only -fassociative-math -freciprocal-math \
    -fno-signed-zeros -fsingle-precision-constant -fno-honor-nans -ffp-model=fast; do
    count "make CFLAGS=$flag: compiles" refused "-O2 $flag -g"
done
build CC='gcc -Ofast' "$arena"
count 'make CC="gcc -Ofast": compiles' [ "$status" -ne 0 ]
for cc in gcc clang; do
    command -v $cc >/dev/null || continue
    for flag in -Ofast -ffast-math -ffinite-math-only; do
        count "$cc $flag: compiles" refused_by_header $flag
    done
    count "$cc -O3 -march=native: does not compile" eval '! refused_by_header "-O3 -march=native"'
done

# ---- machines of the other byte order ----

big='-U__BYTE_ORDER__ -D__BYTE_ORDER__=__ORDER_BIG_ENDIAN__'
build CPPFLAGS="$big" "$arena"
count 'make on a big-endian machine: compiles' [ "$status" -ne 0 ]
count 'make on a big-endian machine: not one line that says why' \
    eval '[ "$(wc -l <"$dir/err")" -eq 1 ] && has "dagpt: this machine is big-endian" "$dir/err"'
cc=gcc
count 'the header takes a big-endian machine' refused_by_header "$big"

# ---- builds as others make them, in a folder with a blank ----

tree="$dir/a tree"
mkdir "$tree" || exit 1
for part in Makefile src spec tools models docs; do
    ln -s "$PWD/$part" "$tree" || exit 1
done
run next -m "$tiny" --all 11 12
cp "$dir/out" "$dir/expected"

# plain ARGUMENT... - make in the tree, with no flag of this make's.
plain() {
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u CC -u CFLAGS -u CPPFLAGS -u EDIT CCACHE_DIR="$dir/ccache" \
        "${MAKE:-make}" -j2 -C "$tree" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
}

# builds FOLDER ARGUMENT... - the command is built there, without a warning, and computes the same bits.
builds() {
    folder=$1
    shift
    plain BUILD="$folder" "$@" all
    [ "$status" -eq 0 ] && [ ! -s "$dir/err" ] &&
        "$tree/$folder/dagpt" next -m "$tiny" --all 11 12 >"$dir/out" 2>"$dir/err" &&
        cmp -s "$dir/expected" "$dir/out"
}

native='-O1 -march=native -ffp-contract=fast'
LDFLAGS=-Wl,-z,now
export LDFLAGS
if command -v ccache >/dev/null; then
    through='ccache gcc'
else
    through=gcc
    echo "cli_build: skipped: CC='ccache gcc': no ccache (Debian: ccache)"
fi
count "make CC='$through' CFLAGS='$native' CPPFLAGS=-D_FORTIFY_SOURCE=3" \
    builds gnu CC="$through" CFLAGS="$native" CPPFLAGS="-D_FORTIFY_SOURCE=3 -DOWN=\"'x'\""
count 'LDFLAGS=-Wl,-z,now make: not so linked' eval 'readelf -d "$tree/gnu/dagpt" | grep -q "FLAGS.*NOW"'
unset LDFLAGS
if command -v clang >/dev/null; then
    count "make CC=clang CFLAGS='$native' CPPFLAGS=-D_FORTIFY_SOURCE=2" \
        builds clang CC=clang CFLAGS="$native" CPPFLAGS=-D_FORTIFY_SOURCE=2
else
    echo "cli_build: skipped: CC=clang: no clang (Debian: clang)"
fi
if command -v musl-gcc >/dev/null; then
    plain BUILD=musl CC=musl-gcc CFLAGS=-O0 musl/src/base/cpu.o musl/src/base/arena.o musl/src/runtime/trace.o
    count 'make CC=musl-gcc CFLAGS=-O0 (what Linux alone has)' eval '[ "$status" -eq 0 ] && [ ! -s "$dir/err" ]'
    count 'make CC=musl-gcc CFLAGS=-O0, without what Linux alone has' \
        builds musl CC=musl-gcc CFLAGS=-O0 CPPFLAGS="-include '$PWD/tests/support/elsewhere.h'"
else
    echo "cli_build: skipped: CC=musl-gcc: no musl-gcc (Debian: musl-tools)"
fi
count "make CFLAGS='-O2 -g'" says "CC   $arena" CFLAGS='-O2 -g -DOWN' "$arena"

# ---- the man page ----

for name in complete score encode decode tokens next info convert graph bench trace; do
    for option in $("$program" $name --help | sed -n '/^options:/,$s/^ *\(-.,\)* *--\([a-z-]*\).*/\2/p'); do
        count "dagpt.1: nothing about $name --$option" \
            has "$(echo "\\-\\-$option" | sed 's/\([a-z]\)-/\1\\-/g')" docs/man/dagpt.1
    done
done
count 'dagpt.1: says not that bench records, too' grep -q '^\.SS Recording (.*bench.*)' docs/man/dagpt.1
count 'dagpt.1: of another version than the program' \
    has "\"$("$program" --version)\"" docs/man/dagpt.1

# ---- make test: nothing is installed, and what is left out is said ----

# A tree of tests that do little, on a machine with little: a PATH of these tools and of an apt-get and an npm
# that write down how they are called.
tree=$dir/tests
mkdir -p "$tree/bin" "$tree/tests/command" "$tree/tests/support" "$tree/tests/viewer" "$tree/tests/serve" || exit 1
cp tests/run.sh "$tree/tests" && cp tests/support/need.sh "$tree/tests/support" &&
    cp tests/viewer/package-lock.json "$tree/tests/viewer" && cp tests/serve/package-lock.json "$tree/tests/serve" || exit 1
for tool in sh env timeout sed cat grep mktemp rm basename dirname tr id; do
    ln -s "$(command -v $tool)" "$tree/bin" || exit 1
done
cat >"$tree/bin/apt-get" <<'END'
#!/bin/sh
echo "apt-get $*" >>"$TREE/calls"
case $* in
*-s*) printf 'Inst chromium (1.2 Debian:12 [amd64])\nInst libc6 [2.1] (2.2 Debian:12 [amd64])\nConf x\n' ;;
esac
END
printf '#!/bin/sh\necho "npm $*" >>"$TREE/calls"\n' >"$tree/bin/npm"
printf '#!/bin/sh\nexec "$@"\n' >"$tree/bin/sudo"
chmod +x "$tree/bin/apt-get" "$tree/bin/npm" "$tree/bin/sudo"
# Those that run.sh names one by one pass.
named=0
for script in $(sed -n 's|^for script in tests/command/cli\*.sh \(.*\); do$|\1|p' tests/run.sh); do
    mkdir -p "$(dirname "$tree/$script")" && : >"$tree/$script" && named=$((named + 1))
done
count 'run.sh names no scripts' [ $named -gt 5 ]
echo "echo chatter; echo 'cli_some: skipped: a part'; echo 'cli_some: 3 passed, 0 failed'" >"$tree/tests/command/cli_some.sh"
echo "echo 'cli_out: skipped: all'; exit 77" >"$tree/tests/command/cli_out.sh"

# tests COMMAND... - in the tree.
tests() {
    (cd "$tree" && PATH=$tree/bin TREE=$tree SAN= CC=cc DAGPT_NEED= "$@" >"$dir/out" 2>"$dir/err" </dev/null)
    status=$?
}

tests tests/run.sh
count "run.sh: status $status" [ "$status" -eq 0 ]
count 'run.sh installs something' [ ! -e "$tree/calls" ]
count 'run.sh: another last line' [ "$(tail -n 1 "$dir/out")" = "$((named + 1)) passed, 0 failed, 1 skipped" ]
for line in 'cli_some: skipped: a part' 'cli_some: 3 passed, 0 failed' 'cli_out: skipped: all' \
    "left out: no chromium (Debian: chromium): the viewer's tests" \
    "'make test-tools' installs what is missing"; do
    count "run.sh does not say: $line" grep -qxF "$line" "$dir/out"
done
count 'run.sh tells what is good' lacks chatter "$dir/out"
tests env DAGPT_NEED=all tests/run.sh
count 'DAGPT_NEED=all run.sh: what is left out is no failure' [ "$status" -ne 0 ]
echo 'echo chatter; exit 1' >"$tree/tests/command/cli_bad.sh"
tests tests/run.sh not-built
count "run.sh with a test that fails: status $status" [ "$status" -eq 1 ]
count 'run.sh does not say which test failed' grep -qx 'failed: cli_bad.sh' "$dir/out"
count 'run.sh does not say what that printed' has chatter "$dir/out"
count 'run.sh: another last line' [ "$(tail -n 1 "$dir/out")" = "$((named + 1)) passed, 1 failed, 2 skipped" ]
tests tests/support/need.sh install
count "need.sh install: status $status" [ "$status" -eq 0 ]
count 'need.sh install does not list what comes' grep -qx 'installs chromium 1.2' "$dir/out"
count 'need.sh install does not list what is upgraded' grep -qx 'upgrades libc6 2.1 to 2.2' "$dir/out"
count 'need.sh install takes what is only recommended' \
    eval '[ "$(grep -c "^apt-get install.*--no-install-recommends .*chromium" "$tree/calls")" -eq 2 ]'
count 'need.sh install gets nothing of npm' has 'npm ci' "$tree/calls"
finish
