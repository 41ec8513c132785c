#!/bin/sh
# cli.sh - the command as a user runs it: ids, candidates, options, errors, exit codes, and make-model.
. tests/command/command.sh

# ---- golden files ----

# check_golden NAME - all prompts of a golden model; under a sanitizer the first one.
check_golden() {
    bin=$golden/$1.bin prompts=0 max=0 vocab=0
    while read -r kind rest; do
        case $kind in
        '#')
            max=${rest#*maxT=} max=${max%% *}
            vocab=${rest#* V=} vocab=${vocab%% *}
            [ "$max" -lt 32 ] || max=32
            ;;
        prompt)
            prompt=$rest
            [ -z "$SAN" ] || [ "$prompts" -eq 0 ] || break
            prompts=$((prompts + 1))
            ;;
        lab) expect_ids "$rest" tokens -m "$bin" $prompt ;;
        greedy) expect_ids "$rest" tokens -m "$bin" --greedy --total "$max" $prompt ;;
        logits)
            run next -m "$bin" --all $prompt
            count "dagpt next -m $bin --all $prompt: other logits" candidates "$vocab" "$rest"
            ;;
        esac
    done <"$golden/$1.txt"
    count "$1.txt: no prompts" [ "$prompts" -gt 0 ]
}

for name in tiny odd padded bf16 small; do
    check_golden "$name"
done

# ---- the same output, however it is computed ----

prompt='90 53 115 67 111 15 119 106' # of odd.txt
run next -m "$golden/odd.bin" --all $prompt
cp "$dir/out" "$dir/candidates"
isas=$(instruction_sets)
case $isas in
*neon*) simd=neon foreign=avx2 ;;
*avx2*) simd=avx2 foreign=neon ;;
*) simd=scalar foreign=neon ;;
esac
[ -z "$SAN" ] && threads='-j1 -j2 -j3 -j7 -j16 -j256 --workers=4' || threads='-j1 -j3'
for option in $threads --cpus=1 --cpus=3 --sched=serial --sched=barrier --sched=dataflow \
    $(printf ' --isa=%s' $isas) --chunk=1 --chunk=3 --chunk=7 --chunk=8 --chunk=1000 \
    --tile=1x16 --tile=3x7 --tile=48x64 --tile=999999x999999 \
    '-j 4 --cpus 4' '-j 4 --cpus 4 --sched barrier --chunk 5 --tile 2x32 --isa '$simd; do
    run next -m "$golden/odd.bin" --all $option $prompt
    count "dagpt next $option: other candidates" cmp -s "$dir/out" "$dir/candidates"
    expect_ids '18 78' tokens -m "$golden/odd.bin" $option $prompt
done

# ---- weights in memory ----

prompt='1 2 3 4 5'
run next -m "$golden/bf16.bin" --all $prompt
cp "$dir/out" "$dir/candidates"
for weights in auto f32 bf16; do
    run next -m "$golden/bf16.bin" --weights $weights --all $prompt
    count "dagpt next --weights $weights: other candidates" cmp -s "$dir/out" "$dir/candidates"
done
run next -m "$golden/odd.bin" --all $prompt
cp "$dir/out" "$dir/candidates"
for weights in bf16 int8; do
    run next -m "$golden/odd.bin" --weights $weights --all $prompt
    count "dagpt next --weights $weights: the candidates of f32" [ "$(cat "$dir/out")" != "$(cat "$dir/candidates")" ]
    cp "$dir/out" "$dir/narrow"
    for option in $(printf ' --isa=%s' $isas) '-j 3 --chunk 2 --tile 3x7'; do
        run next -m "$golden/odd.bin" --weights $weights --all $option $prompt
        count "dagpt next --weights $weights $option: other candidates" cmp -s "$dir/out" "$dir/narrow"
    done
done
for dtype in bfloat16 int8; do
    run info -m "$golden/odd.bin" --weights $(echo $dtype | sed s/bfloat/bf/)
    count "dagpt info --weights: no $dtype" has " $dtype " "$dir/out"
done
run next -m "$golden/odd.bin" --cache bf16 --all $prompt
cp "$dir/out" "$dir/narrow"
count 'dagpt next --cache bf16: the candidates of f32' [ "$(cat "$dir/out")" != "$(cat "$dir/candidates")" ]
for option in --chunk=2 --chunk=5 '--isa=scalar -j1' --sched=barrier; do
    run next -m "$golden/odd.bin" --cache bf16 --all $option $prompt
    count "dagpt next --cache bf16 $option: other candidates" cmp -s "$dir/out" "$dir/narrow"
done
run next -m "$golden/odd.bin" --cache f32 --all $prompt
count 'dagpt next --cache f32: other candidates' cmp -s "$dir/out" "$dir/candidates"
run info -m demo --cache bf16
count 'dagpt info --cache bf16: not half of 2162688 bytes' has '1114112 for the KV cache in bfloat16' "$dir/out"
run graph -m "$golden/odd.bin" --cache bf16
count 'dagpt graph --cache bf16: no dtype of it' has bfloat16 "$dir/out"
expect_error 2 "--cache: got 'int8', expected f32 or bf16" info --cache int8
run graph -m "$golden/odd.bin" --weights int8
count 'dagpt graph --weights int8: no op that quantizes' has quantize "$dir/out"
if [ "$simd" = avx2 ]; then # not every machine has it, and none that has not says another number
    run next -m "$golden/odd.bin" --weights int8 --all --isa amx $prompt
    count 'dagpt next --isa amx: other candidates, or not refused' \
        eval 'cmp -s "$dir/out" "$dir/narrow" || failed_with 2 dagpt "--isa: got amx, expected one that this processor"'
fi
expect_error 2 "--weights: got 'f16', expected auto or f32 or bf16 or int8" info --weights f16

# ---- ways to say it ----

ids='37 37 37' # after these seven of tiny.txt: the rest of its first `lab`
prompt='24 94 91 6 18 19 30'
expect_ids "$ids" tokens -m "$tiny" $prompt
expect_ids "$ids" -m "$tiny" $prompt
expect_ids "$ids" $prompt -m "$tiny"
expect_ids "$ids" tokens $prompt --model "$tiny"
expect_ids "$ids" "--model=$tiny" $prompt
expect_ids "$ids" "-m$tiny" $prompt
expect_ids "$ids" -j 2 --sched serial -m "$tiny" -- $prompt
expect_ids "$ids" tokens 24 94 91 -m "$tiny" 6 18 19 30
expect_ids '37 37' tokens -n 9 -m "$tiny" $prompt
expect_ids '37 37' tokens --total=9 -m "$tiny" $prompt
expect_ids "$ids" tokens -m "$tiny" --coin 0.5 $prompt
expect_ids "$ids" tokens -m "$tiny" 024 94 91 6 18 19 0030 # decimal all the same

DAGPT_MODEL=$tiny
export DAGPT_MODEL
expect_ids "$ids" $prompt
expect_ids "$ids" tokens $prompt
expect_ids '18 78' tokens -m "$golden/odd.bin" 90 53 115 67 111 15 119 106
DAGPT_MODEL=/nonexistent/model
expect_error 3 /nonexistent/model $prompt
DAGPT_MODEL=
mkdir "$dir/home"
cd "$dir/home" || exit 1
expect_error 3 'gpt2_124M.bin: cannot open' $prompt
expect_error 3 '(make lab makes a model to try, -m demo takes the one in the program, ' $prompt
expect_error 3 '-m or $DAGPT_MODEL names another)' next 1
cp "$tiny" gpt2_124M.bin
expect_ids "$ids" $prompt
unset DAGPT_MODEL
expect_ids "$ids" tokens $prompt
run info
count 'dagpt info: not of the model in the program' has 'model     demo' "$dir/out"
cd "$OLDPWD" || exit 1

# --coin: 0 is the first id with any probability; 1 is never exceeded by much: a high id
run tokens -m "$tiny" --coin 0 --total 8 $prompt
count 'dagpt tokens --coin 0: not id 0' prints_ids 0
run tokens -m "$tiny" --coin 1 --total 8 $prompt
coin_id=$(cat "$dir/out")
count "dagpt tokens --coin 1: got '$coin_id', expected 60 to 96" \
    eval 'succeeded && [ "$coin_id" -ge 60 ] && [ "$coin_id" -le 96 ]'

# All weights 0, so all 97 logits 0: the lowest id of equals, and ids in order. 49 / 97 exceeds 0.5.
le32 20240326 1 64 97 2 2 16 0 >"$dir/zeros"
set_size "$dir/zeros" 37696
expect_ids '0 0' tokens -m "$dir/zeros" --greedy --total 3 96
expect_ids '48 48' tokens -m "$dir/zeros" --total 3 96
run next -m "$dir/zeros" --all 1
count 'dagpt next: equal logits not in the order of ids' candidates 97

# nothing left to complete
for given in "$prompt 37 37 37" "$prompt 37 37 37 37"; do
    run tokens -m "$tiny" $given
    count "dagpt tokens $given: got status $status, expected no output and 0" \
        eval '[ "$status" -eq 0 ] && [ ! -s "$dir/out" ]'
done
expect_ids 40 tokens -m "$tiny" --total 3 56 33 # one is left
# Nothing to complete is no excuse for ids or a model that are none.
expect_error 4 'token id 3: got 97, expected 0 to 96' tokens -m "$tiny" --total 3 56 33 97
expect_error 4 'expected at most maxT = 64' tokens -m "$tiny" --total 65 $(seq 0 64)
expect_error 3 'cannot open' tokens -m "$dir/none" --total 2 56 33
run tokens -m "$tiny" --greedy --total 64 24 94 91 6 18 19
count "dagpt tokens --total 64: not 58 ids, as many as maxT allows" \
    eval 'succeeded && [ "$(wc -l <"$dir/out")" -eq 58 ]'

# ---- next ----

run next -m "$tiny" --all $prompt
cp "$dir/out" "$dir/all"
run next -m "$tiny" $prompt
count 'dagpt next: not the first ten of --all' \
    eval 'succeeded && head -n 10 "$dir/all" | cmp -s - "$dir/out"'
run next -m "$tiny" --top 3 $prompt
count 'dagpt next --top 3: not the first three of --all' \
    eval 'succeeded && head -n 3 "$dir/all" | cmp -s - "$dir/out"'
run next -m "$tiny" --top 1000 $prompt
count 'dagpt next --top 1000: not all 97' cmp -s "$dir/all" "$dir/out"

python=
python3 -c 'import json' 2>/dev/null && python=python3

# same_candidates - the JSON lines of $dir/out say what the lines of $dir/all say.
same_candidates() {
    if [ "$python" ]; then
        python3 -c '
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
text = [line.rstrip("\n").split("\t") for line in open(sys.argv[2])]
assert all(list(r) == ["id", "logit", "probability"] for r in rows)
assert [[r["id"], r["logit"], r["probability"]] for r in rows] == \
    [[int(a), float(b), float(c)] for a, b, c in text]' "$dir/out" "$dir/all"
    else
        [ "$(grep -cE '^\{"id": [0-9]+, "logit": [-+.e0-9]+, "probability": [-+.e0-9]+\}$' \
            "$dir/out")" -eq 97 ]
    fi
}

run next -m "$tiny" --all --json $prompt
count 'dagpt next --json: not what next prints' same_candidates

# ---- info ----

run info -m "$tiny"
for fact in 'version 1' 'maxT 64' 'V 97' 'L 2' 'NH 2' 'C 16' '9168 parameters' '37696 bytes'; do
    count "dagpt info: no '$fact'" eval 'succeeded && has "$fact" "$dir/out"'
done

# check_info PATH WORKERS AWAKE - the JSON of $dir/out, about a copy of tiny.bin.
check_info() {
    if [ "$python" ]; then
        python3 -c '
import json, sys
info = json.load(open(sys.argv[1]))
model = info["model"]
assert model["path"] == sys.argv[2]
assert [model[k] for k in ("version", "maxT", "V", "L", "NH", "C", "parameters", "file_bytes")] == \
    [1, 64, 97, 2, 2, 16, 9168, 37696]
assert [info["machine"][k] for k in ("workers", "awake")] == [int(sys.argv[3]), int(sys.argv[4])]
assert info["machine"]["cpus"] >= 1 and info["machine"]["isa"] in (
    "scalar", "avx2", "avx-vnni", "avx512", "avx512-vnni", "amx", "neon", "neon-dot")
assert [p["rows"] for p in info["plans"]] == [1, 9]
assert all(p[k] > 0 for p in info["plans"] for k in ("ops", "tiles", "edges", "arena_bytes"))
' "$dir/out" "$@"
    else
        has '"V": 97' "$dir/out" && has "\"workers\": $2, \"awake\": $3" "$dir/out"
    fi
}

# What a sequence asks for: 16 blocks of 16 positions of 6 layers' keys and values of 128 channels, each a
# page more than a multiple of 64 KiB (the demo).
run info -m demo --json
count 'dagpt info --json: not the bytes of the KV cache' \
    eval 'succeeded && has "\"cache_bytes\": 2162688" "$dir/out"'

odd_name="$dir/a\"b\\c
d	e.bin"
cp "$tiny" "$odd_name"
for model in "$tiny" "$odd_name"; do
    run info -m "$model" --json -j 3 --cpus 2 --rows 9
    count "dagpt info --json -m $model: not the facts" eval 'succeeded && check_info "$model" 3 2'
    run info -m "$model" --json -j 2 --cpus 5 --rows 9
    count "dagpt info --json -j 2 --cpus 5: not the facts" eval 'succeeded && check_info "$model" 2 2'
done

# ---- help ----

# check_help COMMAND OPTION... - its help names these options, and no others.
check_help() {
    command=$1
    shift
    run "$command" --help
    count "dagpt $command --help: no usage" eval 'succeeded && has "usage: dagpt $command" "$dir/out"'
    printf -- '--%s\n' "$@" help | sort >"$dir/expected"
    sed -n 's/^  [- ][a-z0-9 ][, ] \(--[a-z-]*\).*/\1/p' "$dir/out" | sort >"$dir/named"
    count "dagpt $command --help: names $(paste -s -d ' ' "$dir/named")" \
        cmp -s "$dir/named" "$dir/expected"
    mv "$dir/out" "$dir/help"
    run "$command" -h --unknown
    count "dagpt $command -h: not what --help prints" eval 'succeeded && cmp -s "$dir/help" "$dir/out"'
}

trace='trace trace-tokens trace-edges trace-events'
sampling='greedy temp top-k top-p min-p repeat-penalty seed'
check_help tokens model verify total coin no-cache $sampling workers cpus sched isa chunk tile weights cache stats sandbox $trace
check_help complete model verify tokens stop ignore-eos echo json interactive window samples prompts parallel logprobs vocab file escapes special $sampling workers cpus sched isa \
    chunk tile weights cache stats sandbox $trace
check_help score model verify tokens stride json vocab file escapes special workers cpus sched isa chunk tile weights cache stats sandbox
check_help encode model verify null vocab file escapes special sandbox
check_help decode model verify null vocab file sandbox
check_help next model verify top all text vocab json workers cpus sched isa chunk tile weights cache stats sandbox
check_help convert to dtype weights force vocab sandbox
check_help info model verify rows json workers cpus tile weights cache sandbox
for option in -m -j -n; do
    run tokens --help
    count "dagpt tokens --help: no $option" has "  $option, --" "$dir/out"
done
for word in --help -h help; do
    run $word
    for name in complete tokens next score encode decode info convert graph trace bench 'exit codes'; do
        count "dagpt $word: no '$name'" eval 'succeeded && has "$name" "$dir/out"'
    done
done
run --version
count 'dagpt --version: no version' \
    eval 'succeeded && grep -Eq "^dagpt [0-9]+\.[0-9]+\.[0-9]+$" "$dir/out"'

# ---- 2: usage ----

run
count 'dagpt: no usage on standard error, or not 2' \
    eval '[ "$status" -eq 2 ] && [ ! -s "$dir/out" ] && has "usage: dagpt" "$dir/err"'
expect_error 2 "unknown command 'foo'" foo
expect_error 2 "unknown command ''" ''
expect_error 2 "unknown option '--foo'" tokens --foo 1
expect_error 2 "unknown option '--foo=1'" --foo=1
expect_error 2 "unknown option '-x'" 1 -x
expect_error 2 "unknown option '--tota'" tokens --tota 12 1 # no abbreviations
expect_error 2 "unknown option '--totals'" tokens --totals 12 1
expect_error 2 "unknown option '--all'" tokens --all 1
expect_error 2 "unknown option '--greedy'" next --greedy 1
expect_error 2 'no token ids' tokens
expect_error 2 'no token ids' tokens -m "$tiny"
expect_error 2 'no token ids' -m "$tiny"
expect_error 2 'no token ids' next -m "$tiny" --
expect_error 2 "got 'extra'" info -m "$tiny" extra
for value in 0 257 -1 x '' 1x ' 1' +1 0x2 99999999999999999999; do
    expect_error 2 "-j: got '$value', expected a number from 1 to 256" tokens -m "$tiny" -j "$value" 1
done
for option in cpus chunk total; do
    for value in 0 -1 x 1.5 99999999999999999999; do
        expect_error 2 "got '$value', expected a number from 1 to" tokens -m "$tiny" "--$option" \
            "$value" 1
    done
done
expect_error 2 "--top: got '0'" next -m "$tiny" --top 0 1
expect_error 2 "--rows: got 'x'" info -m "$tiny" --rows x
expect_error 2 "--sched: got 'foo', expected dataflow or barrier or serial" --sched foo 1
expect_error 2 "--isa: got '$foreign', expected $(echo $isas | sed 's/ / or /g')" --isa $foreign 1
for value in -0.1 1.1 nan x '' 0.5x; do
    expect_error 2 "--coin: got '$value', expected a number from 0 to 1" tokens --coin "$value" 1
done
for value in 0x16 1x0 16 x16 1x 1x16x 1.5x16 -1x16 1x-1 ' 1x16' '1x 16' 1234567x16; do
    expect_error 2 "--tile: got '$value', expected ROWSxCOLUMNS" tokens -m "$tiny" --tile "$value" 1
done
for option in -m -j -n --model --workers --cpus --sched --isa --chunk --tile --coin --total; do
    expect_error 2 "'$option' wants a value" tokens 1 $option
done
expect_error 2 "'--greedy=1' takes no value" tokens --greedy=1 1
expect_error 2 "'--stats=no' takes no value" next --stats=no 1

# ---- 3: model ----

printf 'this is no model\n' >"$dir/garbage"
expect_error 3 "$dir/garbage: kind of file: got text, expected a Hugging Face folder, " tokens -m "$dir/garbage" 1
set_size "$dir/garbage" 5000
expect_error 3 "$dir/garbage: magic number: got " tokens -m "$dir/garbage" 1
cp "$tiny" "$dir/short"
set_size "$dir/short" 37695
expect_error 3 "$dir/short: size: got 37695 bytes, expected 37696" tokens -m "$dir/short" 1
: >"$dir/empty"
for command in tokens next; do
    expect_error 3 '/nonexistent: cannot open' $command -m /nonexistent 1
    expect_error 3 "$dir: got a folder without config.json" $command -m "$dir" 1
    expect_error 3 "$dir/empty: kind of file: got an empty file" $command -m "$dir/empty" 1
    expect_error 3 "$dir/short: size" $command -m "$dir/short" 1
done
expect_error 3 '/nonexistent: cannot open' info -m /nonexistent
expect_error 3 "$dir/short: size" info --json -m "$dir/short"
expect_error 3 ': cannot open' -m '' 1
cp "$golden/padded.bin" "$dir/misnumbered"
le32 20240326 1 | dd of="$dir/misnumbered" conv=notrunc 2>/dev/null
expect_error 3 'it is the size of a version 3 file' tokens -m "$dir/misnumbered" 1

expect_error 4 "$dir/empty: kind of file: got an empty file, expected a tokenizer" encode --vocab "$dir/empty" a

# names that would be several lines, or speak to the terminal
expect_error 3 'no?such?[2Jfile: cannot open' tokens -m "$(printf 'no\nsuch\033[2Jfile')" 1
expect_error 2 'un?known' "$(printf 'un\nknown')"
expect_error 2 'un?known' "$(printf -- '--un\rknown')"
expect_error 2 'a?b' --sched "$(printf 'a\nb')"
expect_error 4 '1?2' tokens -m "$tiny" "$(printf '1\n2')"

# ---- 4: tokens ----

for id in x -1 -5 1.5 '' ' 1' '1 ' +1 0x10 1e1 - 2147483648 99999999999999999999; do
    expect_error 4 "token id 2: got '$id', expected a number" tokens -m "$tiny" 1 "$id" 3
done
expect_error 4 "token id 1: got '-7'" -7
expect_error 4 "token id 1: got '--foo'" tokens -- --foo
for command in tokens next; do
    expect_error 4 'token id 3: got 97, expected 0 to 96' $command -m "$tiny" 1 96 97
    expect_error 4 'token id 1: got 2147483647, expected 0 to 96' $command -m "$tiny" 2147483647
done
expect_error 4 'token id 1: got 211, expected 0 to 210' next -m "$golden/padded.bin" 211 # padding
expect_error 4 'at most maxT = 64' tokens -m "$tiny" --total 65 1
expect_error 4 'at most maxT = 64' -n 16777216 -m "$tiny" 1
many=$(awk 'BEGIN { for (i = 0; i < 65; i++) print i }')
expect_error 4 'at most maxT = 64' next -m "$tiny" $many
expect_error 4 'at most maxT = 64' tokens -m "$tiny" --total 100 $many

# Before any work: this model has a size of 825 GB, all of it a hole. Loading it would end with 6.
C=131072
{
    le32 20240326 1 8 10 1 1 $C 0
} >"$dir/huge"
set_size "$dir/huge" $((1024 + 4 * (12 * C * C + (10 + 8 + 13 + 2) * C))) && run info -m "$dir/huge"
if [ -s "$dir/huge" ] && lacks 'more weights than 32 bits can address' "$dir/err"; then
    limit=$(at_most 4000000)
    for arguments in '--total 9 1' '--total 8 1 10' '1 2 3'; do
        (eval "$limit" && exec "$program" tokens -m "$dir/huge" $arguments) >"$dir/out" 2>"$dir/err"
        status=$?
        count "dagpt tokens -m HUGE $arguments: got status $status, expected 4" \
            failed_with 4 dagpt expected
    done
    if [ -n "$limit" ]; then
        (eval "$limit" && exec "$program" tokens -m "$dir/huge" -n 3 1 2) >"$dir/out" 2>"$dir/err"
        status=$?
        count "dagpt tokens -m HUGE: got status $status, expected 6" \
            failed_with 6 dagpt 'out of memory'
    fi
fi
rm -f "$dir/huge"

# ---- 5: output ----

for arguments in "tokens -m $tiny 1 2" "-m $tiny 1 2" "next -m $tiny 1" "next --all --json -m $tiny 1" \
    "info -m $tiny" "info --json -m $tiny" --version --help help 'tokens --help' 'info -h'; do
    expect_unwritable $arguments
done

# results on stdout, all else on stderr
for command in "tokens -m $tiny" "next -m $tiny --all"; do
    run $command $prompt
    mv "$dir/out" "$dir/plain"
    run $command --stats $prompt
    count "dagpt $command --stats: other results" \
        eval '[ "$status" -eq 0 ] && cmp -s "$dir/plain" "$dir/out"'
    for word in prompt 'tokens/s'; do
        count "dagpt $command --stats: no '$word' on stderr" has "$word" "$dir/err"
    done
done
run tokens --stats -m "$tiny" $prompt
count 'dagpt tokens --stats: no time to the first token' has 'first token' "$dir/err"

# ---- make-model ----

dimensions='--layers 2 --heads 2 --channels 24 --vocab 130 --positions 20'
weights=$((20 * 24 + 2 * (12 * 24 * 24 + 13 * 24) + 2 * 24)) # without wte
for version in 1 3 5; do
    case $version in
    1) bytes=$((1024 + 4 * (130 * 24 + weights))) ;;
    3) bytes=$((1024 + 4 * (256 * 24 + weights))) ;;
    5) bytes=$((1024 + 2 * (256 * 24 + weights))) ;;
    esac
    model=$dir/v$version
    make_model $dimensions --version $version -o "$model"
    count "make-model --version $version: got status $status and $(size_of "$model") bytes, expected $bytes" \
        eval 'succeeded && [ ! -s "$dir/out" ] && [ "$(size_of "$model")" -eq $bytes ]'
    count "make-model --version $version: leaves $model.part" [ ! -e "$model.part" ]
    run info -m "$model"
    count "dagpt info -m v$version: not version $version" \
        eval 'succeeded && has "version $version" "$dir/out" && has "V 130" "$dir/out"'
    run tokens -m "$model" --total 20 3 1 4 1 5 129
    count "dagpt tokens -m v$version: not 14 ids below 130" \
        eval 'succeeded && awk "!/^[0-9]+\$/ || \$1 > 129 { bad = 1 } END { exit bad || NR != 14 }" "$dir/out"'
    run next -m "$model" --all 3 1 4 1 5 129
    count "dagpt next -m v$version: not 130 candidates" candidates 130
    cp "$dir/out" "$dir/candidates$version"
    top=$(head -n 1 "$dir/out" | cut -f 3)
    count "make-model: logits are not peaked: the most likely id has $top" \
        awk "BEGIN { exit !($top > 0.05) }"
    make_model --seed 1 --version $version $dimensions -o "$dir/again"
    count 'make-model --seed 1: other bytes than by default' cmp -s "$model" "$dir/again"
    make_model --seed 2 --version $version $dimensions -o "$dir/again"
    count 'make-model --seed 2: the same bytes' eval 'succeeded && ! cmp -s "$model" "$dir/again"'
    count 'make-model --seed 2: another size' [ "$(size_of "$dir/again")" -eq $bytes ]
done

count 'make-model: versions 1 and 3 are not the same model' \
    cmp -s "$dir/candidates1" "$dir/candidates3"

# The sizes by name: their dimensions show in what is said of a wrong one.
for size in '124M 768' '355M 1024' '774M 1280' '1558M 1600'; do
    expect_no_model 2 "NH: got 7, expected a divisor of C = ${size#* }" --size "${size% *}" --heads 7 \
        -o "$dir/none"
    make_model --size "${size% *}" --layers 1 --heads 1 --channels 4 --vocab 5 --positions 4 -o "$dir/again"
    count "make-model --size ${size% *} and small dimensions: got status $status" succeeded
done

expect_no_model 2 'no -o FILE' $dimensions
expect_no_model 2 "got '1G', expected 124M" --size 1G -o "$dir/none"
expect_no_model 2 'version: got 2, expected 1, 3 or 5' --version 2 -o "$dir/none"
for option in layers heads channels vocab positions; do
    expect_no_model 2 ' got 0, expected 1 to ' "--$option" 0 -o "$dir/none"
    for value in -1 x '' 1.5 99999999999; do
        expect_no_model 2 "--$option: got '$value', expected a number" "--$option" "$value" -o "$dir/none"
    done
done
expect_no_model 2 "--seed: got '-1'" --seed -1 -o "$dir/none"
expect_no_model 2 "--outliers: got 'x'" --outliers x -o "$dir/none"
expect_no_model 2 '--outliers: got 769, expected at most 768' --outliers 769 -o "$dir/none"
expect_no_model 2 --foo --foo 1 -o "$dir/none"
expect_no_model 2 -o -o
expect_no_model 2 --seed -o "$dir/none" --seed
count 'make-model: writes a file after a usage error' [ ! -e "$dir/none" ]
run_help() {
    make_model "$1"
    succeeded && for option in -o --size --layers --heads --channels --vocab --positions --version --seed --outliers; do
        has " $option " "$dir/out" || return 1
    done
}
count 'make-model --help: does not name every option' run_help --help
count 'make-model -h: does not name every option' run_help -h
"$maker" --help >/dev/full 2>"$dir/err"
status=$?
: >"$dir/out"
count "make-model --help >/dev/full: got status $status, expected 5" failed_with 5 make-model 'cannot write'

# writes that fail
expect_no_model 5 'cannot create' $dimensions -o /dev/full/x
expect_no_model 5 'cannot create' $dimensions -o "$dir/missing/x"
expect_no_model 5 'no?such' $dimensions -o "$dir/$(printf 'no\nsuch')/x"
mkdir "$dir/target"
expect_no_model 5 'target' $dimensions -o "$dir/target"
count 'make-model -o FOLDER: leaves a part' [ ! -e "$dir/target.part" ]
cp "$dir/v1" "$dir/kept"
(
    trap '' XFSZ # beyond 4 or 8 KiB, write fails
    ulimit -f 8
    exec "$maker" $dimensions --seed 3 -o "$dir/kept"
) >"$dir/out" 2>"$dir/err"
status=$?
count "make-model, file too large: got status $status, expected 5" failed_with 5 make-model 'cannot write'
count 'make-model: a failed write changes the file that was there' cmp -s "$dir/v1" "$dir/kept"
count 'make-model: a failed write leaves a part' [ ! -e "$dir/kept.part" ]
make_model $dimensions --seed 3 -o "$dir/kept"
count 'make-model: does not replace a file' eval 'succeeded && ! cmp -s "$dir/v1" "$dir/kept"'

# ---- each id as soon as it is known ----

# 799 lines of two bytes fit into stdio's buffer: without a flush, the first would come when all are
# known, and the program would end with 0. All of them take seconds; head ends after the first.
make_model --layers 48 --heads 2 --channels 64 --vocab 10 --positions 800 -o "$dir/slow"
{
    "$program" tokens -m "$dir/slow" --total 800 --sched serial --isa scalar 1 2>"$dir/err"
    echo $? >"$dir/status"
} | head -n 1 >"$dir/out"
status=$(cat "$dir/status")
count "dagpt tokens | head -n 1: got '$(cat "$dir/out")', expected an id" grep -q '^[0-9]$' "$dir/out"
case $status in
141 | 5) ended=early ;; # SIGPIPE; or EPIPE, where the caller ignores the signal
*) ended=late ;;
esac
count "dagpt tokens | head -n 1: ended with $status, expected SIGPIPE (141)" [ "$ended" = early ]

finish
