#!/bin/sh
# cli_build.sh - the Makefile: flags of one's own, what is built again and when, the order of the tests'
# preparations, and `make install`. Builds in a copy of the build folder, so that little is compiled.
if [ -n "$SAN" ]; then
    echo "cli_build: skipped: a sanitizer's build says nothing about the Makefile"
    exit 77
fi
. tests/command/command.sh

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
    -o "$copy/tools/cli/output.o" -o "$copy/tools/cli/signals.o" \
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

# ---- a user's flags, and those that the program needs ----

# compiles FILE FLAG... - with CFLAGS of the user's own, FILE gets them and each FLAG, and the last
# -ffp-contract is "off", and -fno-fast-math behind a -ffast-math.
compiles() {
    file=$1
    shift
    build -n -W "$file.c" CFLAGS='-O1 -ffp-contract=fast -ffast-math -DOWN' "$copy/$file.o"
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
    case $line in
    *-ffast-math*-fno-fast-math*) ;;
    *) return 1 ;;
    esac
}

count 'make CFLAGS=...: flags that arena.c needs are lost' compiles src/base/arena
for isa in avx2 avx512; do
    case $isa in
    avx2) flags='-mavx2 -mfma' ;;
    avx512) flags='-mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma' ;;
    esac
    [ ! -f "$build/src/ops/kernels/$isa.o" ] ||
        count "make CFLAGS=...: flags that $isa.c needs are lost" compiles src/ops/kernels/$isa $flags
done
build -n CFLAGS=-O1 SAN=thread -W src/base/arena.c "$arena"
count 'make CFLAGS=... SAN=thread: no sanitizer' has -fsanitize=thread "$dir/out"
build -n LDLIBS=-lown LDFLAGS=-Lown -W src/base/arena.c "$copy/make-model"
for flag in -Lown -lown -lpthread -lm; do
    count "make LDLIBS=... LDFLAGS=...: no $flag" has " $flag" "$dir/out"
done

# ---- make -j test compiles no suite before the headers are there ----

# A tree with a compiler, a need.sh, and nothing that runs, of its own. need.sh takes until the command is
# built, which needs no header; the compiler writes down each suite that comes earlier.
tree=$dir/tree
mkdir "$tree" || exit 1
for part in *; do
    case $part in
    build* | tests) ;;
    *) ln -s "$PWD/$part" "$tree" ;;
    esac
done
mkdir "$tree/tests" && cp -r tests/unit tests/support tests/guard "$tree/tests" || exit 1
for script in "$tree/tests/run.sh" "$tree"/tests/guard/*.sh; do
    printf '#!/bin/sh\n' >"$script"
    chmod +x "$script"
done
cat >"$tree/cc" <<'END'
#!/bin/sh
# Makes what -o names, empty.
case $* in
*-dumpmachine*) exec cc -dumpmachine ;;
*-ledit*) exit 1 ;;
esac
while [ "$1" != -o ]; do
    shift
done
case $2 in
*/tests/*.o)
    for header in check.h pcre2.h; do
        [ -f "$TREE/has-$header" ] || echo "$2 before $header" >>"$TREE/early"
    done
    ;;
esac
: >"$2"
END
cat >"$tree/tests/support/need.sh" <<'END'
#!/bin/sh
for second in 1 2 3 4 5 6 7 8 9 10; do
    [ -f "$TREE/out/dagpt" ] || sleep 1
done
: >"$TREE/has-$1"
END
chmod +x "$tree/cc"
TREE=$tree "${MAKE:-make}" -C "$tree" -j8 CC="$tree/cc" AR=true BUILD=out test >"$dir/out" 2>"$dir/err"
status=$?
count "make -j8 test: status $status" [ "$status" -eq 0 ]
count 'make -j8 test: no suite was compiled' [ -f "$tree/out/tests/unit/base/check_base.o" ]
count "make -j8 test: compiled $(head -n 1 "$tree/early" 2>/dev/null)" [ ! -e "$tree/early" ]

# ---- make install ----

build install DESTDIR="$dir/root" PREFIX=/usr
count 'make install: no command that runs' eval \
    '[ "$status" -eq 0 ] && [ "$("$dir/root/usr/bin/dagpt" decode 72)" = i ]'
count 'make install: no man page' cmp -s docs/man/dagpt.1 "$dir/root/usr/share/man/man1/dagpt.1"
count 'make install: something else' [ "$(find "$dir/root" -type f | wc -l)" -eq 2 ]
for name in complete score encode decode tokens next info graph bench trace; do
    for option in $("$program" $name --help | sed -n '/^options:/,$s/^ *\(-.,\)* *--\([a-z-]*\).*/\2/p'); do
        count "dagpt.1: nothing about $name --$option" \
            has "$(echo "\\-\\-$option" | sed 's/\([a-z]\)-/\1\\-/g')" docs/man/dagpt.1
    done
done
count 'dagpt.1: says not that bench records, too' grep -q '^\.SS Recording (.*bench.*)' docs/man/dagpt.1
count 'dagpt.1: of another version than the program' \
    has "\"$("$program" --version)\"" docs/man/dagpt.1
finish
