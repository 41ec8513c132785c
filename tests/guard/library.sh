#!/bin/sh
# library.sh - the library as others link it: it shows the symbols of tests/guard/symbols.txt and no others,
# which are those that dagpt.h declares; and the example in dagpt.h, which README shows, too, compiles without
# a warning as C11 and as C++11, and prints what dagpt does. $BUILD: the build folder; $CC, $CXX: compilers.
. tests/command/command.sh
cc=${CC:-gcc}
case $cc in
*clang*) cxx=${CXX:-clang++} ;;
*) cxx=${CXX:-$(echo "$cc" | sed 's/gcc/g++/; s/\bcc$/c++/')} ;;
esac
lib=$build/libdagpt.a
flags="-Wall -Wextra -Werror -Isrc"

# ---- symbols ----

# lacks_lines PATTERN FILE
lacks_lines() {
    ! grep -n "$1" "$2"
}

readelf -sW "$lib" 2>/dev/null |
    awk '$5 == "GLOBAL" && $6 == "DEFAULT" && $7 != "UND" { print $8 }' | sort -u >"$dir/shown"
grep -v '^#' src/dagpt.h | tr '\n' ' ' | grep -o 'DG_API [^;]*;' | sed 's/^[^(]*[ *]\(dg_[a-z_0-9]*\)(.*/\1/' |
    sort -u >"$dir/declared"
if [ -z "$SAN" ]; then # a sanitizer adds its own
    count 'the library shows other symbols than tests/guard/symbols.txt' \
        diff "$dir/shown" tests/guard/symbols.txt
fi
count 'dagpt.h declares other functions than tests/guard/symbols.txt' \
    diff "$dir/declared" tests/guard/symbols.txt
count 'dagpt.h declares a function without DG_API' \
    lacks_lines '^[a-z][a-z_ ]*[ *]dg_[a-z_0-9]*(' src/dagpt.h
count 'there are fewer symbols than a library has' [ "$(wc -l <"$dir/shown")" -gt 20 ]

# ---- the example ----

sed '1,/^ \* example.c:/d; /^ \* Options:/,$d; s/^ \*\(     \)\{0,1\}//' src/dagpt.h |
    sed '1d;$d' >"$dir/example.c"
count 'dagpt.h has no example' grep -q 'int main' "$dir/example.c"
sed -n '/^```c$/,/^```$/p' README.md | sed '1d;$d' >"$dir/readme.c"
count 'README shows another example than dagpt.h' diff "$dir/example.c" "$dir/readme.c"
cp "$dir/example.c" "$dir/example.cc"
san=${SAN:+-fsanitize=$SAN}

# compiles NAME COMMAND... - into $dir/NAME.
compiles() {
    name=$1
    shift
    "$@" $flags $san -o "$dir/$name" "$lib" -lpthread -lm >"$dir/log" 2>&1 || {
        sed 's/^/    /;10q' "$dir/log"
        return 1
    }
}

run tokens -m "$tiny" --greedy --total 8 11 12
cp "$dir/out" "$dir/expected"

# says_the_same NAME - the compiled example prints the ids that dagpt prints.
says_the_same() {
    "$dir/$1" "$tiny" >"$dir/out" 2>"$dir/err" && cmp -s "$dir/out" "$dir/expected"
}

count 'the example is no C11' compiles c $cc -std=c11 -pedantic "$dir/example.c"
count 'the example in C prints other ids than dagpt' says_the_same c
"$dir/c" /nonexistent >"$dir/out" 2>"$dir/err"
status=$?
count "the example: got status $status, expected the error of a file that is not there" \
    failed_with 3 example '/nonexistent: cannot open'
if command -v ${cxx%% *} >/dev/null 2>&1; then
    count 'the example is no C++11' compiles cc $cxx -std=c++11 -pedantic "$dir/example.cc"
    count 'the example in C++ prints other ids than dagpt' says_the_same cc
else
    echo "library: skipped: no C++ compiler ($cxx)"
fi
finish
