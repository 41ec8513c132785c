#!/bin/sh
# cli_json.sh - what is said to be JSON is JSON, whatever the weights, texts and names are; and no name
# speaks to the terminal.
. tests/command/command.sh

merges=models/demo/merges.txt
vocab=$(($(wc -l <"$merges") - 1 + 257))
text=$(printf 'Once upon a time, there\twas a girl.\302\233 \377')

# strict FILE [CODE] - each line is JSON as RFC 8259 has it, without NaN and Infinity, as UTF-8 and without
# control characters; CODE may look at the list `lines`.
strict() {
    python '
import json, sys, unicodedata
def refuse(name): raise ValueError(name)
text = open(sys.argv[1], encoding="utf-8", errors="strict", newline="").read()
assert not [c for c in text if c != "\n" and unicodedata.category(c) == "Cc"], "a control character"
whole = sys.argv[2] == "whole"
lines = [json.loads(l, parse_constant=refuse) for l in ([text] if whole else text.splitlines())]
exec(sys.argv[3])' "$1" "$2" "${3:-}"
}

# patched FLOAT... - a model whose lnf weights, the 32 before the last 32 floats, have these bits first.
patched() {
    cp "$dir/plain.bin" "$dir/model.bin"
    le32 "$@" | dd of="$dir/model.bin" bs=4 seek=$(($(size_of "$dir/plain.bin") / 4 - 64)) conv=notrunc 2>/dev/null
}

make_model --layers 1 --heads 1 --channels 32 --positions 64 --vocab $vocab -o "$dir/plain.bin"
model="-m $dir/model.bin --vocab $merges"

# ---- weights that are no numbers ----

nan=2143289344 infinity=2139095040 minus_infinity=-8388608
for bits in $nan "$infinity $minus_infinity" $minus_infinity; do
    patched $bits
    for command in "score --json --tokens" "complete --json" "complete --json --greedy"; do
        run $command $model "$text"
        count "$command, lnf $bits: got status $status, expected 3 and one line" \
            eval '[ "$status" -eq 3 ] && [ "$(grep -c "damaged weights" "$dir/err")" -eq 1 ]'
        count "$command, lnf $bits: lines that are no JSON" strict "$dir/out" lines
    done
    run next --json -m "$dir/model.bin" 1 2
    count "next --json, lnf $bits: got status $status, expected 3" failed_with 3 dagpt 'damaged weights'
done

# ---- weights so large that the perplexity is none ----

large=1900671690 # 1e30
patched $(for i in $(seq 32); do echo $large; done)
run score --json --tokens $model "$text"
count 'score --json: an infinite perplexity' strict "$dir/out" lines '
assert lines[-1]["perplexity"] is None and lines[-1]["logprob"] < -1e6 and lines[-1]["bits_per_byte"] > 1e6
assert len(lines) == lines[-1]["tokens"] + 1'
run score $model "$text"
count 'score: an infinite perplexity' grep -q '^perplexity  *inf$' "$dir/out"
run complete --json $model -n 5 "$text"
count 'complete --json: logits of 1e30' strict "$dir/out" lines
run next --json --all -m "$dir/model.bin" 1 2
count 'next --json: logits of 1e30' strict "$dir/out" lines 'assert len(lines) == '$vocab
cp "$dir/plain.bin" "$dir/model.bin"

# ---- texts of any bytes ----

run complete --json --echo $model -n 20 --temp 3 --seed 5 "$text"
count 'complete --json: any bytes in the prompt' strict "$dir/out" lines \
    'assert lines[0]["prompt"] == "Once upon a time, there\twas a girl.\x9b \ufffd"'
run score --json --tokens $model "$text"
count 'score --json: any bytes in the text' strict "$dir/out" lines

# ---- counts where nothing is made ----

n=$("$program" encode "$text" | wc -w)
run complete --json $model -n 0 "$text"
count 'complete --json -n 0: other counts' strict "$dir/out" lines "
assert len(lines) == 1 and lines[0]['prompt_tokens'] == $n and lines[0]['new_tokens'] == 0
assert lines[0]['text'] == '' and lines[0]['finish'] == 'length'"
run complete --json $model -n 1 "$text"
count 'complete --json -n 1: other counts' strict "$dir/out" lines "
assert lines[-1]['prompt_tokens'] == $n and lines[-1]['new_tokens'] == 1"
run complete --json $model -n 0 ''
count 'complete --json -n 0, no prompt: the mark that begins a text is counted' strict "$dir/out" lines "
assert lines[0]['prompt_tokens'] == 1"

# ---- names ----

# In one name: ESC, BEL, a newline, U+009B, byte 0x9B, the start of a character, U+2028, and what JSON escapes.
name=$(printf 'a\033[2J\007\n\302\233[2J\233[2J\342\202 \342\200\250"\\z')
printable='a?[2J???[2J?[2J?? ?"\z'
cp "$tiny" "$dir/$name"
for arguments in 'info --json' 'graph --format json' 'graph --format json --tiles'; do
    run $arguments -m "$dir/$name"
    count "dagpt $arguments: a name of any bytes" eval 'succeeded && strict "$dir/out" whole'
done

# printable_lines FILE - UTF-8 without control characters but the ends of lines and tabs.
printable_lines() {
    python '
import sys, unicodedata
text = open(sys.argv[1], encoding="utf-8", errors="strict", newline="").read()
assert not [c for c in text if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Zl", "Zp")], text' "$1"
}

run info -m "$dir/$name"
count 'dagpt info: the name as one line' eval 'succeeded && has "$printable" "$dir/out"'
: >"$dir/both"
for arguments in info graph 'graph --format mermaid' 'graph --tiles' 'tokens 1 97' 'tokens --total 65 1' 'encode x'; do
    run $arguments -m "$dir/$name"
    cat "$dir/out" "$dir/err" >>"$dir/both"
done
count 'a name of any bytes reaches the terminal' printable_lines "$dir/both"
: >"$dir/both"
for arguments in 'info -m' 'tokens 1 -m' 'complete x -m' 'encode x --vocab' 'encode -f' 'graph -o' 'graph --show' \
    'graph --layers' 'graph --trace' 'tokens --sched' 'tokens --tile' 'complete --temp' 'info' 'tokens' 'next --top' \
    'info --' ''; do
    run $arguments "$name/none"
    count "dagpt $arguments NAME: the error has no name in one line" \
        eval '[ "$status" -ne 0 ] && [ "$(wc -l <"$dir/err")" -eq 1 ] && has "$printable" "$dir/err"'
    cat "$dir/err" >>"$dir/both"
done
run "--$name" x
cat "$dir/err" >>"$dir/both"
count 'an error with a name of any bytes reaches the terminal' printable_lines "$dir/both"

finish
