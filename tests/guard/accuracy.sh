#!/bin/sh
# accuracy.sh [all] - what bf16 and int8 lose, and a bf16 cache: of the demo model on 200 held-out stories, which int8 must
# do, with either cache, within 0.1 % of f32's perplexity and with 99 % of its likeliest ids; and of a model with outliers,
# on random ids, where int8 may diverge as far as Q8_0 does by its definition, and by a tenth more, since rounding is
# luck; with `all` of more such models, on more ids, and of the golden models. $BUILD: the build folder.
. tests/command/command.sh

# ids_of MODEL TEXTS - so many texts of random ids, as long as the model takes them.
ids_of() {
    run info -m "$1" --json
    awk -v texts="$2" -v vocab="$(sed -n 's/.*"V": \([0-9]*\),.*/\1/p' "$dir/out")" \
        -v n="$(sed -n 's/.*"maxT": \([0-9]*\),.*/\1/p' "$dir/out")" 'BEGIN {
        for (line = 0; line < texts; line++)
            for (i = 1; i <= n; i++) {
                s = (s * 1103515245 + 12345) % 2147483648
                printf "%d%s", int(s / 65536) % vocab, i < n ? " " : "\n"
            }
    }'
}

if ! python3 -c '' 2>/dev/null; then
    echo 'accuracy: skipped: needs python3, which writes the stories'
    exit 77
fi
# A text begins and ends with the mark between stories, 1556.
python3 tools/dev/demo/generate.py --seed 2 --stories 200 | sed 's/<|endoftext|>/\x00/g' >"$dir/stories"
"$program" encode --vocab models/demo/merges.txt -0 <"$dir/stories" | sed '/./!d; s/^/1556 /; s/$/ 1556/' >"$dir/ids"
count 'accuracy: fewer than 20,000 ids' [ "$(wc -w <"$dir/ids")" -ge 20000 ]
"$build/tests/guard/accuracy" models/demo/demo.bin 0.1 99 <"$dir/ids" >"$dir/table"
count 'accuracy: int8 is further from f32 than 0.1 % of perplexity, or agrees in less than 99 %' [ $? -eq 0 ]
cat "$dir/table"

# beside_q8_0 OUTLIERS TEXTS TIMES
beside_q8_0() {
    "$build/make-model" --layers 6 --heads 6 --channels 384 --vocab 4000 --positions 128 --outliers $1 -o "$dir/outliers"
    echo "6 layers of 384 channels, $1 of them outliers"
    ids_of "$dir/outliers" $2 | "$build/tests/guard/accuracy" "$dir/outliers" 1e9 0 $3 >"$dir/table"
    count "accuracy: $1 outliers: int8 diverges from f32 more than $3 times as far as Q8_0" [ $? -eq 0 ]
    cat "$dir/table"
}

if [ "$1" = all ]; then
    for outliers in 0 3 24; do
        beside_q8_0 $outliers 20 1.1
    done
    for model in tiny odd small padded bf16; do
        echo "tests/golden/$model.bin"
        ids_of "$golden/$model.bin" 20 | "$build/tests/guard/accuracy" "$golden/$model.bin"
    done
else
    beside_q8_0 3 2 1.1
fi
finish
