#!/bin/sh
# cli_convert.sh - dagpt convert: every source to every format, by bits of logits and by bytes of round trips; what
# transformers has written, byte for byte; what is refused; nothing half-written. To be run in the project's root.
. tests/command/command.sh

# convert LABEL ARGUMENT... - must succeed, and say nothing but that there is no tokenizer.
convert() {
    label=$1
    shift
    run convert --force "$@"
    grep -v 'got no tokenizer' "$dir/err" >"$dir/said"
    count "convert $label" eval '[ "$status" -eq 0 ] && [ ! -s "$dir/said" ] && [ ! -s "$dir/out" ]'
}

# same LABEL FILE FILE - files of the same bytes, or folders of such files.
same() {
    count "convert $1: other bytes" diff -rq "$2" "$3" >/dev/null
}

# has_dtypes LABEL MODEL DTYPES
has_dtypes() {
    run info -m "$2" --json
    count "convert $1: other dtypes than $3" has "\"dtypes\": [$3]" "$dir/out"
}

# refused LABEL STATUS WORD ARGUMENT... - must leave with STATUS and one line with WORD, and nothing at $new.
new=$dir/new.bin
refused() {
    refused=$1 code=$2 word=$3
    shift 3
    run convert "$@"
    count "convert $refused: status $status, expected $code" [ "$status" -eq "$code" ]
    count "convert $refused: message" eval '[ "$(wc -l <"$dir/err")" -eq 1 ] && has "$word" "$dir/err"'
    count "convert $refused: left something" [ ! -e "$new" ]
}

mkdir "$dir/real"
cp "$golden"/transformers/*.json "$golden/transformers/model.safetensors" "$dir/real"
cp "$golden/vocab.bpe" "$dir/real/merges.txt"

# ---- every source to every format ----

for source in tiny.bin small.bin odd.bin padded.bin bf16.bin hf-bare hf-prefixed gguf/small-f32.gguf \
    gguf/small-bf16.gguf gguf/small-f16.gguf gguf/small-q8_0.gguf transformers; do
    run next -m "$golden/$source" --weights f32 --all 1 2 3
    mv "$dir/out" "$dir/logits"
    for to in llmc1 llmc3 hf gguf packed; do
        convert "$source to $to" "$golden/$source" "$dir/as-$to" --to $to
        run next -m "$dir/as-$to" --weights f32 --all 1 2 3
        count "convert $source to $to: other logits" said "$dir/logits"
        convert "$source to $to to llmc1" "$dir/as-$to" "$dir/back" --to llmc1
        same "$source to $to to llmc1" "$dir/as-llmc1" "$dir/back"
    done
    convert "$source to llmc5" "$golden/$source" "$dir/bf16" --to llmc5
    convert "$source to a bf16 folder" "$golden/$source" "$dir/as-hf" --dtype bf16
    has_dtypes "$source to a bf16 folder" "$dir/as-hf" '"bfloat16"'
    for to in hf gguf; do
        convert "$source to llmc5 to $to" "$dir/bf16" "$dir/as-$to" --to $to
        convert "$source to llmc5 to $to to llmc5" "$dir/as-$to" "$dir/back" --to llmc5
        same "$source to llmc5 to $to to llmc5" "$dir/bf16" "$dir/back"
    done
done
for source in tiny odd small; do
    convert "$source" "$golden/$source.bin" "$dir/same.bin"
    same "$source" "$golden/$source.bin" "$dir/same.bin"
done

# ---- dtypes ----

convert 'bf16, by its name' "$golden/bf16.bin" "$dir/5.bin"
has_dtypes 'bf16, by its name' "$dir/5.bin" '"bfloat16"'
convert 'bf16 as f32' "$golden/bf16.bin" "$dir/1.bin" --dtype f32
has_dtypes 'bf16 as f32' "$dir/1.bin" '"float32"'
convert 'bf16 to a folder' "$golden/bf16.bin" "$dir/folder"
has_dtypes 'bf16 to a folder' "$dir/folder" '"bfloat16"'
convert 'bf16 to GGUF' "$golden/bf16.bin" "$dir/bf16.gguf"
has_dtypes 'bf16 to GGUF' "$dir/bf16.gguf" '"float32", "bfloat16"'
convert 'f16 to a folder' "$golden/gguf/small-f16.gguf" "$dir/folder"
has_dtypes 'f16 to a folder' "$dir/folder" '"float32", "float16"'
convert 'f16 and back' "$dir/folder" "$dir/f16.gguf"
convert 'f16 again' "$golden/gguf/small-f16.gguf" "$dir/other.gguf"
same 'f16 and back' "$dir/f16.gguf" "$dir/other.gguf"
convert 'f16 as f16' "$golden/gguf/small-f32.gguf" "$dir/f16.gguf" --dtype f16
convert 'f32 as f16, and f16' "$dir/f16.gguf" "$dir/f16" --dtype f16
convert 'f32 as f16' "$golden/gguf/small-f32.gguf" "$dir/other" --dtype f16
same 'f32 as f16, by way of GGUF' "$dir/f16" "$dir/other"

# ---- what transformers has written ----

convert 'transformers to llmc1' "$dir/real" "$dir/real.bin"
convert 'transformers from llmc1' "$dir/real.bin" "$dir/folder" --vocab "$golden/vocab.bpe"
convert 'transformers to GGUF' "$dir/real" "$dir/real.gguf"
count 'convert transformers to GGUF: said something' succeeded
convert 'transformers from GGUF' "$dir/real.gguf" "$dir/other"
for file in model.safetensors tokenizer.json vocab.json merges.txt; do
    same "transformers from llmc1: $file" "$dir/real/$file" "$dir/folder/$file"
done
same 'transformers from GGUF' "$dir/folder" "$dir/other"
convert 'the demo to GGUF' demo "$dir/demo.gguf"
run complete --greedy -n 20 'Once upon'
mv "$dir/out" "$dir/expected"
run complete --greedy -n 20 -m "$dir/demo.gguf" 'Once upon'
count 'convert demo to GGUF: another text' said "$dir/expected"

# ---- what a folder's other files say ----

cp -R "$dir/real" "$dir/other-files"
sed 's/"eos_token_id": 50256/"eos_token_id": [7, 8]/' "$golden/transformers/generation_config.json" \
    >"$dir/other-files/generation_config.json"
convert 'a generation_config.json' "$dir/other-files" "$dir/ends.gguf"
run info -m "$dir/ends.gguf" --json
count 'convert: generation_config.json is not read' has '"begin": 50256, "end": 7}' "$dir/out"
echo '{"eos_token_id": "x"}' >"$dir/other-files/generation_config.json"
refused 'a bad generation_config.json' 3 'generation_config.json: line 1, byte' "$dir/other-files" "$new"
rm "$dir/other-files/generation_config.json"
echo '{"<p>": 3}' >"$dir/other-files/added_tokens.json"
refused 'a bad added_tokens.json' 4 "which is another token's" "$dir/other-files" "$new" --to gguf
rm "$dir/other-files/added_tokens.json"
echo '{"pad_token": 3}' >"$dir/other-files/special_tokens_map.json"
refused 'a bad special_tokens_map.json' 4 'special_tokens_map.json: line 1, byte' "$dir/other-files" "$new" --to gguf

# ---- what the format does not hold ----

mkdir "$dir/odd-ones"
make_odd() {
    cp "$golden/hf-bare/model.safetensors" "$dir/odd-ones"
    sed "$1" "$golden/hf-bare/config.json" >"$dir/odd-ones/config.json"
}
make_odd 's/"gelu_new"/"relu"/'
for to in llmc1 llmc3 llmc5 gguf; do
    refused "relu to $to" 3 'activation: got relu, expected gelu' "$dir/odd-ones" "$new" --to $to
done
convert 'relu to a folder' "$dir/odd-ones" "$dir/folder"
run info -m "$dir/folder" --json
count 'convert relu to a folder: another activation' has '"activation": "relu"' "$dir/out"
make_odd 's/"gelu_new"/"gelu"/'
convert 'gelu by erf to a folder' "$dir/odd-ones" "$dir/folder"
run info -m "$dir/folder" --json
count 'convert gelu by erf: another activation' has '"activation": "gelu_erf"' "$dir/out"
make_odd 's/1e-05/0.00012345678/'
refused 'epsilon to llmc3' 3 'epsilon: got 0.000123457, expected 1e-05' "$dir/odd-ones" "$new" --to llmc3
run info -m "$dir/odd-ones" --json
grep -o '"epsilon": [^,]*' "$dir/out" >"$dir/epsilon"
for to in gguf hf; do
    convert "epsilon to $to" "$dir/odd-ones" "$dir/as-$to" --to $to
    run next -m "$dir/odd-ones" --all 1 2 3
    mv "$dir/out" "$dir/logits"
    run next -m "$dir/as-$to" --all 1 2 3
    count "convert epsilon to $to: other logits" said "$dir/logits"
done

# ---- refused ----

refused 'no OUT' 2 'IN and OUT' "$tiny"
refused 'no format' 2 'got a name of no format' "$tiny" "$dir/new.txt"
refused 'no model' 3 'cannot open' "$dir/none" "$new"
refused 'a dtype of another version' 2 'expected float32' "$tiny" "$new" --to llmc1 --dtype bf16
refused 'a tokenizer to llm.c' 2 'holds none' "$dir/real" "$new" --vocab "$golden/vocab.bpe"
refused 'another tokenizer' 4 'expected the model' "$tiny" "$new" --to gguf --vocab "$golden/vocab.bpe"
refused 'a folder to standard output' 2 "got '-', expected the name of a folder" "$tiny" - --to hf
refused 'no name' 2 "got '', expected the name of a file" "$tiny" '' --to gguf
cp "$tiny" "$dir/here.bin"
ln -sf here.bin "$dir/link.bin"
ln -f "$dir/here.bin" "$dir/hard.bin"
refused 'onto itself' 2 'a file that is read' "$dir/here.bin" "$dir/here.bin" --force
refused 'onto itself, by a link' 2 'a file that is read' "$dir/here.bin" "$dir/link.bin" --force
refused 'onto itself, by a hard link' 2 'a file that is read' "$dir/here.bin" "$dir/hard.bin" --force
refused 'onto a folder' 2 'name of a folder' "$tiny" "$dir/folder" --to gguf --force
refused 'a folder onto a file' 2 'name of a file' "$tiny" "$dir/hard.bin" --to hf --force
refused 'onto its own folder' 2 'a file that is read' "$dir/real" "$dir/real" --force
refused 'onto a file of its folder' 2 'a file that is read' "$dir/real" "$dir/real/config.json" --to gguf --force
ln -sfn real "$dir/linked"
refused 'onto its own folder, by a link' 2 'a file that is read' "$dir/real" "$dir/linked" --force
refused 'onto a file' 2 'or --force' "$tiny" "$dir/here.bin"
refused 'onto a folder that is there' 2 'or --force' "$tiny" "$dir/folder"
count 'convert onto a file: it has changed' cmp -s "$tiny" "$dir/here.bin"
mkdir "$dir/mine"
echo mine >"$dir/mine/notes"
refused 'onto a folder with other files' 2 'notes in it' "$tiny" "$dir/mine" --force
cp "$tiny" "$dir/mine/model.bin"
refused 'onto the folder with IN' 2 'in it' "$dir/mine/model.bin" "$dir/mine" --force
count 'convert onto a folder with other files: they are gone' [ -s "$dir/mine/notes" ]

# ---- nothing half-written ----

# A disk that is full: a file may not grow beyond 64 blocks. SIGXFSZ is an error of the write.
mkdir "$dir/full"
for to in llmc1 gguf hf; do
    (ulimit -f 64 && "$program" convert "$golden/small.bin" "$dir/full/out" --to $to >"$dir/out" 2>"$dir/err")
    status=$?
    count "convert to $to, a full disk: status $status" eval '[ $status -eq 5 ] && has "cannot write" "$dir/err"'
    count "convert to $to, a full disk: left something" [ -z "$(ls -A "$dir/full")" ]
    refused "$to into a folder that is not there" 5 'cannot write' "$tiny" "$dir/none/new.bin" --to $to
done
run convert "$tiny" - --to llmc1
count 'convert to standard output: other bytes' said "$tiny"


# interrupted SIGNAL TO - converts the large model, and sends a signal once something of OUT is there; leaves $status.
interrupted() {
    for try in 1 2 3 4 5 6; do
        rm -rf "$dir/full/out"
        "$program" convert "$dir/large.bin" "$dir/full/out" --to "$2" >"$dir/out" 2>"$dir/err" &
        running=$!
        while kill -0 $running 2>/dev/null && ! ls "$dir/full" | grep -q part; do
            sleep 0.01
        done
        kill -"$1" $running 2>/dev/null
        { wait $running; } 2>/dev/null
        status=$?
        [ $status -eq 0 ] || return # else it was done before
    done
}
make_model --channels 768 --heads 12 --layers 2 --vocab 2000 --positions 64 -o "$dir/large.bin"
for to in llmc3 gguf hf; do
    for signal in TERM:143 HUP:129; do
        interrupted ${signal%:*} $to
        count "convert to $to, SIG${signal%:*}: status $status" [ $status -eq "${signal#*:}" ]
        count "convert to $to, SIG${signal%:*}: left something" [ -z "$(ls -A "$dir/full")" ]
    done
    interrupted KILL $to
    count "convert to $to, killed: nothing was left to be removed" [ -n "$(ls -A "$dir/full")" ]
    convert "to $to, after one that was killed" "$tiny" "$dir/full/out" --to $to
    count "convert to $to, killed: not removed by the next" [ "$(ls -A "$dir/full")" = out ]
    rm -rf "$dir/full/out"
done
rm "$dir/large.bin"

# ---- the published sizes ----

# Folders with tensors where the published ones have them. All are 0 (holes) but two numbers, by which id 50000
# follows each token. The largest, of 6 GB, is only described.
if command -v python3 >/dev/null; then
    for size in '12 12 768 124439808' '24 16 1024 354823168' '36 20 1280 774030080' '48 25 1600 1557611200'; do
        set -- $size
        mkdir "$dir/published"
        python3 - "$dir/published" "$1" "$2" "$3" <<'END'
import json, struct, sys

folder, layers, heads, C = sys.argv[1], *map(int, sys.argv[2:])
of_layer = {"attn.bias": [1, 1, 1024, 1024], "attn.c_attn.bias": [3 * C], "attn.c_attn.weight": [C, 3 * C], "attn.c_proj.bias": [C],
            "attn.c_proj.weight": [C, C], "ln_1.bias": [C], "ln_1.weight": [C], "ln_2.bias": [C], "ln_2.weight": [C],
            "mlp.c_fc.bias": [4 * C], "mlp.c_fc.weight": [C, 4 * C], "mlp.c_proj.bias": [C], "mlp.c_proj.weight": [4 * C, C]}
shapes = {f"h.{i}.{name}": shape for i in range(layers) for name, shape in of_layer.items()}
shapes |= {"ln_f.bias": [C], "ln_f.weight": [C], "wpe.weight": [1024, C], "wte.weight": [50257, C]}
header, end = {}, 0
for name, shape in sorted(shapes.items()):
    n = 4
    for extent in shape:
        n *= extent
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + n]}
    end += n
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open(folder + "/model.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text)
    begin = file.tell()
    file.truncate(begin + end)
    for name, index in (("ln_f.bias", C - 1), ("wte.weight", 50000 * C + C - 1)):
        file.seek(begin + header[name]["data_offsets"][0] + 4 * index)
        file.write(struct.pack("<f", 1))
with open(folder + "/config.json", "w") as file:
    json.dump({"model_type": "gpt2", "n_positions": 1024, "vocab_size": 50257, "n_layer": layers, "n_head": heads, "n_embd": C}, file)
END
        run info -m "$dir/published" --json
        count "a folder of $4 parameters: info" eval "succeeded && has '\"parameters\": $4,' \"\$dir/out\""
        if [ "$3" -lt 1600 ]; then
            run tokens -m "$dir/published" --weights int8 --greedy --total 3 31373
            count "a folder of $4 parameters: tokens" eval 'succeeded && [ "$(tail -n 2 "$dir/out" | tr "\n" " ")" = "50000 50000 " ]'
        fi
        rm -r "$dir/published"
    done
else
    echo "cli_convert: skipped: folders of the published sizes: no python3"
fi

# ---- the formats' own tools ----

tools=$golden/../viewer/node_modules/@huggingface
if ! command -v node >/dev/null || [ "$(node -p 'parseInt(process.versions.node)')" -lt 20 ]; then
    echo "cli_convert: skipped: @huggingface/gguf and tokenizers: no node 20 (Debian: nodejs)"
elif [ ! -d "$tools/gguf" ] || [ ! -d "$tools/tokenizers" ]; then
    echo "cli_convert: skipped: @huggingface/gguf and tokenizers are not here (make test-tools)"
else
    convert 'the demo to a folder' demo "$dir/demo-folder"
    text="Once upon a time, there's a café  in Łódź.
2 + 2 = 4"
    run encode -m "$dir/demo.gguf" "$text"
    mv "$dir/out" "$dir/expected"
    node tests/command/formats.mjs ids "$dir/demo-folder" "$text" >"$dir/out" 2>"$dir/err"
    status=$?
    count "convert: tokenizers' ids of the folder's tokenizer" said "$dir/expected"
    for source in demo.gguf real.gguf bf16.gguf f16.gguf; do
        run info -m "$dir/$source" --json
        sed -n 's/.*"format": "GGUF", "version": \([0-9]*\), .*"L": \([0-9]*\), .*"parameters": \([0-9]*\),.*/\1 \2 \3/p' \
            "$dir/out" >"$dir/expected"
        node tests/command/formats.mjs gguf "$dir/$source" >"$dir/out" 2>"$dir/err"
        status=$?
        count "convert: @huggingface/gguf reads another $source" said "$dir/expected"
    done
fi

finish
