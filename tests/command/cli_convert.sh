#!/bin/sh
# cli_convert.sh - dagpt convert: every source to every format, by bytes and by bits of logits; what is refused;
# nothing half-written. To be run in the project's root.
. tests/command/command.sh

# convert LABEL ARGUMENT... - must succeed without a word.
convert() {
    label=$1
    shift
    run convert "$@"
    count "convert $label" eval 'succeeded && [ ! -s "$dir/out" ]'
}

# refused LABEL STATUS WORD ARGUMENT... - must leave with STATUS and one line with WORD, and nothing at $new.
new=$dir/new.bin
refused() {
    label=$1 code=$2 word=$3
    shift 3
    run convert "$@"
    count "convert $label: status $status" [ "$status" -eq "$code" ]
    count "convert $label: message" eval '[ "$(wc -l <"$dir/err")" -eq 1 ] && has "$word" "$dir/err"'
    count "convert $label: left something" [ ! -e "$new" ]
}

# ---- every source to every version ----

for source in tiny.bin small.bin odd.bin padded.bin bf16.bin hf-bare hf-prefixed gguf/small-f32.gguf \
    gguf/small-bf16.gguf gguf/small-f16.gguf gguf/small-q8_0.gguf; do
    run next -m "$golden/$source" --all 1 2 3
    mv "$dir/out" "$dir/logits"
    for to in llmc1 llmc3; do
        convert "$source to $to" "$golden/$source" "$dir/$to" --to $to --force
        run next -m "$dir/$to" --all 1 2 3
        count "convert $source to $to: other logits" said "$dir/logits"
    done
    convert "$source to llmc1, by way of 3" "$dir/llmc3" "$dir/back.bin" --force
    count "convert $source to llmc1, by way of 3: other bytes" cmp -s "$dir/llmc1" "$dir/back.bin"
done
for source in tiny odd; do
    convert "$source: itself" "$golden/$source.bin" "$dir/same.bin" --force
    count "convert $source: itself: other bytes" cmp -s "$golden/$source.bin" "$dir/same.bin"
done

# ---- refused ----

refused 'no OUT' 2 'IN and OUT' "$tiny"
refused 'no format' 2 'expected one in .bin or .dagpt' "$tiny" "$dir/new"
refused 'no model' 3 'cannot open' "$dir/none" "$new"
cp "$tiny" "$dir/here.bin"
ln -sf here.bin "$dir/link.bin"
refused 'onto itself' 2 'a file that is read' "$dir/here.bin" "$dir/here.bin" --force
refused 'onto itself, by a link' 2 'a file that is read' "$dir/here.bin" "$dir/link.bin" --force
refused 'onto a file' 2 'force' "$tiny" "$dir/here.bin"
count 'convert onto a file: it has changed' cmp -s "$tiny" "$dir/here.bin"

finish
