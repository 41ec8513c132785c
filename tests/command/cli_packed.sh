#!/bin/sh
# cli_packed.sh - packed files: the bits of what they were packed from, what info and --verify say of them, and one that
# does not stay as it is. To be run in the project's root.
. tests/command/command.sh

packed=$dir/model.dagpt

# ---- the same bits ----

for source in tiny.bin small.bin odd.bin padded.bin bf16.bin hf-bare hf-prefixed gguf/small-f32.gguf \
    gguf/small-q8_0.gguf; do
    run next -m "$golden/$source" --all 1 2 3
    mv "$dir/out" "$dir/logits"
    run convert --force "$golden/$source" "$packed"
    count "convert $source: status $status" [ "$status" -eq 0 ]
    for workers in 1 3; do
        run next -m "$packed" --verify -j $workers --all 1 2 3
        count "next -m $source, packed, $workers workers" said "$dir/logits"
    done
done
run convert --force "$golden/odd.bin" "$packed"
run convert "$packed" "$dir/back.bin"
count 'convert odd.bin, packed, and back' cmp -s "$golden/odd.bin" "$dir/back.bin"
run convert --to packed "$golden/odd.bin" -
count 'convert to a pipe' eval '[ "$status" -eq 0 ] && cmp -s "$dir/out" "$packed"'

run convert "$golden/bf16.bin" "$dir/half.dagpt"
run convert --dtype f32 "$golden/bf16.bin" "$dir/whole.dagpt"
run convert --dtype bf16 "$dir/whole.dagpt" "$dir/again.dagpt"
count 'convert: bf16 stays so' eval '[ "$status" -eq 0 ] && cmp -s "$dir/half.dagpt" "$dir/again.dagpt"'
count 'convert: bf16 takes less' [ "$(size_of "$dir/whole.dagpt")" -gt "$(size_of "$dir/half.dagpt")" ]
run info -m "$dir/half.dagpt"
count 'info: bf16, in place' eval 'has "bfloat16" "$dir/out" && has "used where they lie" "$dir/out"'
run info -m "$dir/half.dagpt" --weights f32
count 'info: bf16, widened' has 'packed in memory' "$dir/out"
run next -m "$golden/bf16.bin" --all 1 2 3
mv "$dir/out" "$dir/logits"
for file in half whole; do
    for weights in auto f32; do
        run next -m "$dir/$file.dagpt" --weights $weights --all 1 2 3
        count "next: bf16 in $file.dagpt, as $weights" said "$dir/logits"
    done
done
# Integers and their scales as they are: from floats rounded once, from Q8_0 and from a packed file not at all.
for source in odd.bin hf-bare gguf/small-q8_0.gguf; do
    run next -m "$golden/$source" --weights int8 --all 1 2 3
    mv "$dir/out" "$dir/logits"
    run convert --force --weights int8 "$golden/$source" "$dir/int8.dagpt"
    count "convert --weights int8 $source" [ "$status" -eq 0 ]
    for option in '' '--verify --weights int8' --isa=scalar; do
        run next -m "$dir/int8.dagpt" $option --all 1 2 3
        count "next: int8 of $source, packed $option" said "$dir/logits"
    done
    run info -m "$dir/int8.dagpt"
    count "info: int8 of $source, in place" eval 'has " int8 " "$dir/out" && has "used where they lie" "$dir/out"'
    run convert --force "$dir/int8.dagpt" "$dir/again.dagpt"
    count "convert: int8 of $source stays so" cmp -s "$dir/int8.dagpt" "$dir/again.dagpt"
done
run next -m "$golden/gguf/small-q8_0.gguf" --weights f32 --all 1 2 3
mv "$dir/out" "$dir/logits"
run next -m "$dir/int8.dagpt" --weights f32 --all 1 2 3
count 'next: what int8 means, in floats' said "$dir/logits"
run convert --force "$dir/int8.dagpt" "$dir/floats.gguf"
run next -m "$dir/floats.gguf" --all 1 2 3
count 'convert: what int8 means, in floats' said "$dir/logits"
expect_error 2 'got --dtype and --weights, expected one of them' convert --weights int8 --dtype f32 "$tiny" "$dir/no.dagpt"
expect_error 2 '--weights: got int8 for a GGUF file, expected a packed file' convert --weights int8 "$tiny" "$dir/no.gguf"
expect_error 3 'expected float32, bfloat16 or int8 in a packed file' convert --dtype f16 "$tiny" "$dir/no.dagpt"
run convert demo "$dir/demo.dagpt"
count 'convert demo: with its tokenizer' succeeded
run complete -m demo -n 8 --seed 1 'One day'
mv "$dir/out" "$dir/text"
run complete -m "$dir/demo.dagpt" -n 8 --seed 1 'One day'
count 'complete: the tokenizer in a packed file' said "$dir/text"
for load in --load ''; do
    run graph -m "$packed" --tiles $load
    mv "$dir/out" "$dir/graph$load"
done
count 'graph --load: there is nothing to load' cmp -s "$dir/graph" "$dir/graph--load"

# ---- what is said ----

run info -m "$packed" --verify
count 'info: in place' eval 'succeeded && has "used where they lie" "$dir/out" &&
    has "packed version 1, float32" "$dir/out" && has "all sections have the sums" "$dir/out"'
run info -m "$packed" --verify --json
count 'info --json' python 'import json, sys
m = json.load(open(sys.argv[1]))["model"]
assert m["format"] == "packed" and m["in_place"] and m["verified"]' "$dir/out"
run info -m "$tiny" --json
count 'info --json: an llm.c checkpoint' python 'import json, sys
m = json.load(open(sys.argv[1]))["model"]
assert not m["in_place"] and not m["verified"]' "$dir/out"
expect_error 2 'which has no sums to verify, expected a packed file' info -m "$tiny" --verify
expect_error 2 'which has no sums to verify' tokens --verify -m demo 1

# ---- damage ----

bytes=$(size_of "$packed")
cp "$packed" "$dir/bad.dagpt"
set_size "$dir/bad.dagpt" $((bytes - 1))
expect_error 3 "size: got $((bytes - 1)) bytes, expected $bytes" info -m "$dir/bad.dagpt"
cp "$packed" "$dir/bad.dagpt"
printf x | dd of="$dir/bad.dagpt" bs=1 seek=40 conv=notrunc 2>/dev/null
expect_error 3 'sum of the head: got 0x' info -m "$dir/bad.dagpt"
cp "$packed" "$dir/bad.dagpt"
printf x | dd of="$dir/bad.dagpt" bs=1 seek=20000 conv=notrunc 2>/dev/null
run tokens -m "$dir/bad.dagpt" 1
count 'a damaged weight is read without a word' succeeded
expect_error 3 "section 'wte': sum: got 0x" tokens -m "$dir/bad.dagpt" --verify 1
expect_error 3 "section 'wte': sum: got 0x" convert "$dir/bad.dagpt" "$dir/new.bin"
count 'convert: no sums are made of damage' [ ! -e "$dir/new.bin" ]
sed 's/\r$//' "$packed" >"$dir/bad.dagpt"
expect_error 3 'got a packed file whose line ends were changed' info -m "$dir/bad.dagpt"

# A number that is none in wte's first row, which the logits read; the sum is not asked for.
cp "$packed" "$dir/bad.dagpt"
printf '\000\000\300\177' | dd of="$dir/bad.dagpt" bs=1 seek=$(($(od -An -tu8 -j144 -N8 "$packed") + 64)) conv=notrunc 2>/dev/null
expect_error 3 "wte: row 0, column 1: got nan, expected a finite number" tokens -m "$dir/bad.dagpt" 5

# ---- a file that does not stay as it is ----

# while_open COMMAND - between two prompts COMMAND is run, with $changed; then there are $status and $dir/err.
mkfifo "$dir/prompts"
while_open() {
    changed=$dir/changed.dagpt
    cp "$dir/demo.dagpt" "$changed"
    : >"$dir/out"
    "$program" complete -i -n 2 -j 4 -m "$changed" \
        <"$dir/prompts" >"$dir/out" 2>"$dir/err" &
    running=$!
    exec 3>"$dir/prompts"
    echo 'One day' >&3
    while [ ! -s "$dir/out" ] && kill -0 $running 2>/dev/null; do sleep 0.02; done
    eval "$1"
    echo 'One day' >&3
    exec 3>&-
    wait $running
    status=$?
}
# ended TEXT - with status 3 and one line.
ended() {
    [ "$status" -eq 3 ] && [ "$(wc -l <"$dir/err")" -eq 1 ] && has "dagpt: $changed: " "$dir/err" && has "$1" "$dir/err"
}
while_open 'set_size "$changed" 4096'
count "cut off: status $status" ended 'size: got 4096 bytes, expected '
while_open 'set_size "$changed" $(($(size_of "$changed") - 1))'
count "cut off by a byte: status $status" ended 'was written to while it was in use'
while_open 'printf x | dd of="$changed" bs=1 seek=9000 conv=notrunc 2>/dev/null'
count "written to: status $status" ended 'was written to while it was in use'
# No page of the file is this process's own.
while_open 'grep -A 20 changed.dagpt /proc/$running/smaps | sed "/VmFlags/q" >"$dir/map"'
count "mapped: status $status" succeeded
[ ! -s "$dir/map" ] ||
    count 'mapped: no page is copied' eval 'grep -q "Private_Dirty: *0 kB" "$dir/map" &&
        grep -q "Anonymous: *0 kB" "$dir/map" && ! grep -q "Rss: *0 kB" "$dir/map"'
while_open 'rm "$changed"'
count "removed: status $status" succeeded
while_open '"$program" convert --force "$golden/tiny.bin" "$changed" 2>/dev/null'
count "replaced: status $status" succeeded

finish
