#!/bin/sh
# installed.sh - what `make install` leaves: a library that programs find by pkg-config (examples/, in C and C++,
# with gcc and clang, shared and static), manual pages, and completions that know every option; and `make
# uninstall` leaves nothing. $BUILD: the build folder; $CC: its compiler; $SAN: the sanitizer, if any.
. tests/command/command.sh
if [ -n "$SAN" ] || ! command -v pkg-config >/dev/null 2>&1; then
    echo "installed: skipped: ${SAN:+a sanitizer is not installed}${SAN:-no pkg-config}"
    exit 77
fi
demo=models/demo
root=$dir/root prefix=/opt/dagpt
there=$root$prefix
version=$(sed -n 's/^#define DG_VERSION "\(.*\)"/\1/p' src/dagpt.h)

# makes TARGET - for this build folder, below $root.
makes() {
    ${MAKE:-make} -s "$1" CC="${CC:-gcc}" BUILD="${BUILD:-build}" DESTDIR="$root" PREFIX="$prefix" >"$dir/log" 2>&1 || {
        tail -5 "$dir/log"
        return 1
    }
}

count 'make install fails' makes install
for file in bin/dagpt include/dagpt.h lib/libdagpt.a lib/libdagpt.so "lib/libdagpt.so.$version" \
    share/man/man1/dagpt.1 share/man/man3/dagpt.3 share/man/man5/dagpt-formats.5; do
    count "not installed: $file" [ -s "$there/$file" ]
done
count 'the command does not run where it is installed' [ "$("$there/bin/dagpt" --version)" = "dagpt $version" ]

# ---- the shared library ----

nm -D --defined-only "$there/lib/libdagpt.so" | awk '{ print $3 }' | LC_ALL=C sort >"$dir/shown"
count 'libdagpt.so shows other symbols than tests/guard/symbols.txt' diff "$dir/shown" tests/guard/symbols.txt
readelf -d "$there/lib/libdagpt.so" >"$dir/dynamic"
count 'libdagpt.so has no versioned soname' has "soname: [libdagpt.so.${version%.*}]" "$dir/dynamic"
count 'libdagpt.so has text relocations' lacks TEXTREL "$dir/dynamic"

# ---- the examples ----

PKG_CONFIG_PATH=$there/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
count 'pkg-config tells another version' [ "$(pkg-config --modversion dagpt)" = "$version" ]
printf 'One day, Nora went to the park.\n' >"$dir/text"
"$program" complete --greedy -n 100 "One day, Nora" >"$dir/expected.complete"
"$program" score --json -f "$dir/text" | sed 's/.*"perplexity": \([0-9.]*\),.*/\1/' >"$dir/expected.score"

# builds NAME COMPILER FLAG... - examples/NAME.c
builds() {
    name=$1
    shift
    "$@" -Wall -Wextra -Werror -pedantic $(pkg-config --cflags dagpt) -o "$dir/$name" "examples/$name.c" \
        -x none $libs -lm >"$dir/log" 2>&1 || {
        sed 's/^/    /;10q' "$dir/log"
        return 1
    }
}

# example NAME ARGUMENT... - its output, in $dir/out.
example() {
    name=$1
    shift
    LD_LIBRARY_PATH=$there/lib "$dir/$name" "$@" >"$dir/out" 2>"$dir/err"
}

says() {
    diff "$dir/out" "$1" >/dev/null || { head -c 300 "$dir/out" && false; }
}

# Both are rounded to four digits.
scores() {
    awk 'NR == FNR { a = $1; next } { exit !(a > 1 && a - $1 < 1e-4 && $1 - a < 1e-4) }' "$dir/out" "$dir/expected.score"
}

# Each matrix product's tiles are there, and the time they took.
tells() {
    grep -q '^matmul  *[1-9][0-9]* tiles  *[0-9.]* ms$' "$dir/out" && grep -q '^attention ' "$dir/out"
}

# tries COMPILER FLAG... - all examples.
tries() {
    for name in complete score trace; do
        count "examples/$name.c: $* $libs" builds $name "$@"
    done
    example complete $demo/demo.bin $demo/merges.txt 'One day, Nora'
    count "examples/complete.c, $*: another text than dagpt's" says "$dir/expected.complete"
    example score $demo/demo.bin $demo/merges.txt "$dir/text"
    count "examples/score.c, $*: another perplexity than dagpt's" scores
    example trace $demo/demo.bin 11
    count "examples/trace.c, $*: no times" tells
}

libs=$(pkg-config --libs dagpt)
tries ${CC:-gcc} -std=c11
for compiler in g++ clang++; do
    command -v $compiler >/dev/null 2>&1 && tries $compiler -x c++ -std=c++11
done
libs="$there/lib/libdagpt.a -lpthread"
! command -v clang >/dev/null 2>&1 || tries clang -std=c11
example complete /nonexistent $demo/merges.txt x
status=$?
count 'examples/complete.c: no error' failed_with 3 complete '/nonexistent: cannot open'

# ---- completions ----

bash=$there/share/bash-completion/completions/dagpt
zsh=$there/share/zsh/site-functions/_dagpt
fish=$there/share/fish/vendor_completions.d/dagpt.fish
options=0
for command in $("$program" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    for option in $("$program" "$command" --help | sed -n 's/^  \(-., \|    \)--\([a-z-]*\).*/\2/p'); do
        options=$((options + 1))
        count "bash: dagpt $command --$option" eval "sed -n '/^    $command)/,/;;/p' \"\$bash\" | grep -q -e ' --$option[ \"]'"
        count "zsh: dagpt $command --$option" eval "sed -n '/^    $command)/,/;;/p' \"\$zsh\" | grep -q -e \"'--$option[=[]\""
        count "fish: dagpt $command --$option" grep -q -e "from $command' .*-l $option " "$fish"
    done
done
count 'there are fewer options than the command has' [ "$options" -gt 60 ]

# completes COMMAND LINE... - what bash makes of the last word.
completes() {
    bash -c 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dagpt; echo "${COMPREPLY[@]}"' - "$bash" "$@"
}

if command -v bash >/dev/null 2>&1; then
    count 'bash: dagpt tok' [ "$(completes dagpt tok)" = tokens ]
    count 'bash: dagpt complete --te' [ "$(completes dagpt complete --te)" = --temp ]
    count 'bash: dagpt info -m models/de' [ "$(completes dagpt info -m models/de)" = models/demo ]
fi
! command -v zsh >/dev/null 2>&1 || count 'zsh does not parse its completion' zsh -n "$zsh"
! command -v fish >/dev/null 2>&1 ||
    count 'fish: dagpt tok' [ "$(fish -c "source $fish; complete -C 'dagpt tok'" | cut -f 1)" = tokens ]

# ---- manual pages ----

# explains SYMBOL
explains() {
    grep -q "$1(" "$there/share/man/man3/dagpt.3"
}

while read -r symbol; do
    count "dagpt.3 lacks $symbol" explains "$symbol"
done <tests/guard/symbols.txt
if command -v groff >/dev/null 2>&1; then
    for page in man1/dagpt.1 man3/dagpt.3 man5/dagpt-formats.5; do
        groff -ww -k -man -Tutf8 "$there/share/man/$page" >/dev/null 2>"$dir/log"
        count "$page: $(head -1 "$dir/log")" [ ! -s "$dir/log" ]
    done
fi

count 'make uninstall fails' makes uninstall
count 'make uninstall leaves files' [ -z "$(find "$root" ! -type d)" ]

# Blanks in both, and a file of somebody else's.
root="$dir/a root" prefix='/my own'
count "make install below '$root$prefix' fails" makes install
count 'the command does not run there' [ "$("$root$prefix/bin/dagpt" --version)" = "dagpt $version" ]
: >"$root$prefix/bin/other"
count "make uninstall below '$root$prefix' fails" makes uninstall
count 'make uninstall leaves something, or takes what is not its own' \
    [ "$(find "$root" ! -type d)" = "$root$prefix/bin/other" ]
finish
