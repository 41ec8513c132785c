#!/bin/sh
# spec.sh - spec/gpt2.c as a reader builds it: one file, of at most 500 lines, of standard C and its headers; the
# same ids with each compiler and level of optimization; plain errors. tests/unit/model/check_spec.c compares
# its logits with the library's. $BUILD: the build folder; $CC: a compiler.
. tests/command/command.sh

count 'spec/gpt2.c has more than 500 lines' [ "$(wc -l <spec/gpt2.c)" -le 500 ]
count 'spec/gpt2.c includes a file of the project' lacks '#include "' spec/gpt2.c

# spec ARGUMENT... - runs it as `run` runs dagpt.
spec() {
    "$build/spec-gpt2" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
}

# builds NAME COMMAND... - spec/NAME.c, with the flags of the file's first lines, and without a warning.
builds() {
    name=$1
    shift
    "$@" -ffp-contract=off -Wall -Wextra -Wshadow -Werror -o "$dir/$name" "spec/$name.c" -lm >"$dir/err" 2>&1
}

# completes NAME PROMPT IDS
completes() {
    [ "$("$dir/$1" -m "$golden/odd.bin" $2 | paste -s -d ' ')" = "$3" ]
}

for compiler in ${CC:-gcc} clang; do
    command -v "$compiler" >/dev/null 2>&1 || continue
    for flags in -O2 '-std=c11 -pedantic -O0' '-std=c11 -pedantic -O3'; do
        count "$compiler $flags spec/gpt2.c: does not build" builds gpt2 $compiler $flags
        count "$compiler $flags: other ids" completes gpt2 '90 53 115 67 111 15 119 106' '18 78'
        count "$compiler $flags spec/int8.c: does not build" builds int8 $compiler $flags
        count "$compiler $flags: other ids of int8" completes int8 '90 53 115 67 111 15 119 106' \
            "$("$build/dagpt" tokens -m "$golden/odd.bin" --weights int8 90 53 115 67 111 15 119 106 | paste -s -d ' ')"
        count "$compiler $flags spec/bf16_cache.c: does not build" builds bf16_cache $compiler $flags
        count "$compiler $flags spec/bf16_cache.c with int8: does not build" builds bf16_cache $compiler $flags -DINT8
    done
done

# ---- errors ----

# expect_spec_error CODE TEXT ARGUMENT...
expect_spec_error() {
    code=$1 text=$2
    shift 2
    spec "$@"
    count "spec-gpt2 $*: got status $status, expected $code and one line with '$text'" \
        failed_with "$code" gpt2 "$text"
}

# damaged BYTES AT - tiny.bin with other bytes there (printf's escapes).
damaged() {
    cp "$tiny" "$dir/damaged.bin"
    printf "$1" | dd of="$dir/damaged.bin" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

expect_spec_error 2 usage
expect_spec_error 2 usage -m
expect_spec_error 2 usage --logit 1
expect_spec_error 3 'gpt2_124M.bin: cannot open' 1
expect_spec_error 3 'not a checkpoint' -m tests 1
expect_spec_error 3 'not a checkpoint' -m /dev/null 1
expect_spec_error 3 'not a checkpoint' -m Makefile 1
for id in 97 1x 0x1 ' 1' 1e3 99999999999999999999; do
    expect_spec_error 4 'no id of this model' -m "$tiny" 1 "$id"
done
expect_spec_error 4 'fewer positions' -m "$tiny" -n 65 1
damaged '\002' 4
expect_spec_error 3 'version' -m "$dir/damaged.bin" 1
for at in 8 12 16 20 24; do
    for bytes in '\000\000\000\000' '\377\377\377\377' '\000\000\000\200' '\377\377\017\000'; do
        damaged "$bytes" "$at"
        expect_spec_error 3 damaged.bin -m "$dir/damaged.bin" 1
    done
done
for size in 0 1023 1024 1028 $(($(size_of "$tiny") - 1)) $(($(size_of "$tiny") + 1)); do
    cp "$tiny" "$dir/damaged.bin"
    set_size "$dir/damaged.bin" "$size"
    expect_spec_error 3 damaged.bin -m "$dir/damaged.bin" 1
done
damaged '\000\000\300\177' 1024 # NaN, in wte
expect_spec_error 3 'not finite' -m "$dir/damaged.bin" 0
"$build/spec-gpt2" -m "$tiny" 1 >/dev/full 2>"$dir/err"
status=$?
: >"$dir/out"
count "spec-gpt2 >/dev/full: got status $status, expected 5" failed_with 5 gpt2 'standard output'
finish
