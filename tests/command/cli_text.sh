#!/bin/sh
# cli_text.sh - text in, text out: encode, decode, complete, score, with the model in the program.
. tests/command/command.sh

demo=$(cd models/demo && pwd)

same_text() {
    [ "$status" -eq 0 ] && cmp -s "$dir/out" "$dir/expected"
}

# ---- what ships ----

count 'the weights and merges are those of models/demo/SHA256SUMS' \
    sh -c 'cd "$1" && sha256sum -c --quiet SHA256SUMS' sh "$demo"
head -c 4194304 /dev/urandom >"$dir/random"

# ---- encode and decode ----

from_stdin "$dir/random" encode
cp "$dir/out" "$dir/ids"
count 'encode: one line of ids' [ "$(wc -l <"$dir/ids")" -eq 1 ]
from_stdin "$dir/ids" decode
count 'decode: 4 MB of random bytes come back' said "$dir/random"
run encode -f "$dir/random"
count 'encode -f: as from standard input' said "$dir/ids"
printf 'Once upon a time\n' >"$dir/text"
from_stdin "$dir/text" encode
count 'encode: the final newline of standard input counts' [ "$(wc -w <"$dir/out")" -eq \
    $(($("$program" encode 'Once upon a time' | wc -w) + 1)) ]
run decode $("$program" encode 'Grüße, naïve 東京 🙂')
printf 'Grüße, naïve 東京 🙂' >"$dir/text"
count 'decode: ids as arguments' said "$dir/text"
printf 'one\0\0two\nlines\0end' >"$dir/records"
from_stdin "$dir/records" encode -0
count 'encode -0: a line for each text, also the empty one and the last' [ "$(wc -l <"$dir/out")" -eq 4 ]
cp "$dir/out" "$dir/ids"
from_stdin "$dir/ids" decode -0
printf 'one\0\0two\nlines\0end\0' >"$dir/records"
count 'decode -0: texts that end in NUL' said "$dir/records"
run encode ''
printf '\n' >"$dir/text"
count 'encode: no text, no ids' said "$dir/text"

vocab=$(($(wc -l <"$demo/merges.txt") - 1 + 257))
run decode $vocab
count 'decode: an id too high' failed_with 4 dagpt "got '$vocab', expected 0 to $((vocab - 1))"
run decode x
count 'decode: no number' failed_with 4 dagpt "token id 1: got 'x'"
run decode -- -1
count 'decode: a negative number' failed_with 4 dagpt "got '-1'"
run encode --vocab "$dir/absent" text
count 'encode: no such merges file' failed_with 4 dagpt 'absent: cannot open'
printf '#version: 0.2\na b\nab zz\n' >"$dir/merges"
run encode --vocab "$dir/merges" text
count 'encode: a merge of what is not there' failed_with 4 dagpt "merges: line 3: 'zz'"
run encode one two
count 'encode: two texts' failed_with 2 dagpt 'got 2 texts'
run encode -f "$dir/absent"
count 'encode -f: no such file' failed_with 5 dagpt 'absent: cannot open'
for arguments in 'complete x' 'score x' 'encode x' 'decode 1'; do
    run $arguments -m "$dir/nonexist"
    count "$arguments: no such model" failed_with 3 dagpt 'nonexist: cannot open'
done
for arguments in 'complete x' 'score x'; do
    run $arguments -m "$dir/nonexist" --vocab "$dir/absent"
    count "$arguments: no such model, and no such merges" failed_with 3 dagpt 'nonexist: cannot open'
done
printf 'one\n' >"$dir/text"
run encode -m "$dir/nonexist" --vocab "$demo/merges.txt" one
cp "$dir/out" "$dir/ids"
run encode one
count 'encode --vocab: needs no model' said "$dir/ids"
cp "$tiny" "$dir/alone.bin"
run encode -m "$dir/alone.bin" text
count 'encode: no merges beside the model' failed_with 4 dagpt '--vocab FILE names another'
mkdir "$dir/beside"
cp "$tiny" "$dir/beside/model.bin"
printf '#version: 0.2\nH i\n' >"$dir/beside/merges.txt"
run encode -m "$dir/beside/model.bin" Hi
printf '256\n' >"$dir/text"
count 'encode: merges.txt beside the model' said "$dir/text"
mv "$dir/beside/merges.txt" "$dir/beside/vocab.bpe"
run encode -m "$dir/beside/model.bin" Hi
count 'encode: vocab.bpe beside the model' said "$dir/text"

# A tokenizer in the model's file; a folder's, whose config.json says what ends a text.
printf '64 1008\n' >"$dir/text"
run encode -m "$golden/gguf/small-f32.gguf" --special 'a<|endoftext|>'
count 'encode: the tokenizer in a GGUF file' said "$dir/text"
run complete -m "$golden/gguf/small-q8_0.gguf" --greedy -n 4 Hello
mv "$dir/out" "$dir/narrow"
run complete -m "$golden/gguf/small-q8_0-expanded.gguf" --greedy -n 4 Hello
count 'complete: Q8_0 and its expansion' said "$dir/narrow"
cp -r "$golden/hf-bare" "$dir/folder"
run encode -m "$dir/folder" x
count 'encode: no tokenizer in the folder' failed_with 4 dagpt "no merges.txt"
printf '#version: 0.2\na b\n' >"$dir/folder/merges.txt"
run encode -m "$dir/folder" ab
printf '256\n' >"$dir/text"
count 'encode: merges.txt in the folder' said "$dir/text"
run info -m "$dir/folder"
count 'info: a folder' sh -c "grep -q 'safetensors, float32; maxT 32, V 150' '$dir/out'"

# ---- complete: the same text, whatever runs it ----

for case in greedy seed7; do
    case $case in
    greedy) set -- --greedy 'Once upon a time' ;;
    seed7) set -- --seed 7 'One day,' ;;
    esac
    for how in '-j 1' '-j 2' '-j 4 --cpus 4' '-j 7 --cpus 7' '--sched barrier' '--sched serial' '--isa scalar' \
        '--isa avx2' '--chunk 1' '--chunk 3' '--tile 1x16'; do
        case $how in *avx2*) instruction_sets | grep -qw avx2 || continue ;; esac
        run complete $how "$@"
        count "complete $how: $case is that of tests/golden/demo_$case.txt" said "$golden/demo_$case.txt"
    done
done
run complete --seed 8 'One day,'
count 'complete: another seed, another text' sh -c '! cmp -s "$1" "$2"' sh "$dir/out" "$golden/demo_seed7.txt"

# ---- complete: the prompt ----

run complete --seed 7 -n 9 'One day,'
cp "$dir/out" "$dir/expected"
printf 'One day,\n' >"$dir/text"
run complete --seed 7 -n 9 -f "$dir/text"
count 'complete -f: without the final newline' same_text
from_stdin "$dir/text" complete --seed 7 -n 9
count 'complete: standard input' same_text
from_stdin "$dir/text" complete --seed 7 -n 9 -f -
count 'complete -f -: standard input' same_text
run complete --seed 7 -n 9 --echo 'One day,'
{ printf 'One day,' && cat "$dir/expected"; } >"$dir/text"
count 'complete --echo: the prompt before it' said "$dir/text"
run complete --seed 7 -n 0 'One day,'
printf '\n' >"$dir/text"
count 'complete -n 0: nothing' said "$dir/text"
run complete --greedy -n 4
cp "$dir/out" "$dir/expected"
run complete --greedy -n 4 '<|endoftext|>'
count 'complete: <|endoftext|> in a prompt is text' sh -c '! cmp -s "$1" "$2"' sh "$dir/out" "$dir/expected"
run tokens -m demo --greedy --total 5 $((vocab - 1))
cp "$dir/out" "$dir/ids"
from_stdin "$dir/ids" decode
echo >>"$dir/out"
count 'complete: an empty prompt is the beginning of a text, as tokens has it' same_text

ids=$("$program" encode 'Once upon a time')
run tokens -m demo --seed 7 --total 20 $ids
cp "$dir/out" "$dir/ids"
from_stdin "$dir/ids" decode
{ cat "$dir/out" && echo; } >"$dir/expected"
run complete --seed 7 -n 16 'Once upon a time'
count 'complete: the ids that tokens draws with the same seed' same_text

positions=$("$program" info --json | sed -n 's/.*"maxT": \([0-9]*\).*/\1/p')
long=$(printf 'x %.0s' $(seq "$positions"))
run complete "$long"
count 'complete: a prompt longer than maxT, with both numbers' failed_with 4 dagpt "the prompt has $(
    "$program" encode "$long" | wc -w) tokens, expected at most maxT = $positions"
run complete --vocab "$dir/merges" x
count 'complete: bad merges' failed_with 4 dagpt 'merges: line 3'
printf '#version: 0.2\na b\n' >"$dir/merges"
run complete --vocab "$dir/merges" x
count "complete: another tokenizer's merges" failed_with 4 dagpt "has 258 tokens, expected the model's V = $vocab"
for wrong in '--temp -1' '--top-p 1.5' '--min-p 2' '--repeat-penalty 0.5' '--top-k 0' '--seed x' '--stop=' '-n -1'; do
    run complete $wrong text
    count "complete $wrong: refused" failed_with 2 dagpt "${wrong%%[= ]*}"
done
run complete -i prompt
count 'complete -i with a prompt' failed_with 2 dagpt '-i'

# ---- complete: ends ----

text=$(cat "$golden/demo_greedy.txt")
stop=$(printf '%s' "$text" | cut -c 20-27) # crosses borders of tokens
run complete --greedy --stop "$stop" 'Once upon a time'
printf '%s\n' "$(printf '%s' "$text" | cut -c 1-19)" >"$dir/text"
count "complete --stop '$stop': all before it" said "$dir/text"
run complete --greedy --stop zebra --stop "$stop" --stop "${stop}x" 'Once upon a time'
count 'complete --stop: any of several' said "$dir/text"
run complete --greedy --ignore-eos -n 100000 'Once upon a time'
count 'complete --ignore-eos: on to the last position' [ "$(wc -c <"$dir/out")" -gt "${#text}" ]
count 'complete --ignore-eos: <|endoftext|> is printed' has '<|endoftext|>' "$dir/out"

run complete --greedy --json 'Once upon a time'
cp "$dir/out" "$dir/json"
count 'complete --json: lines that add up to the text' python '
import json, sys
lines = [json.loads(l) for l in open(sys.argv[1], encoding="utf-8")]
text = "".join(l["text"] for l in lines)
assert text + "\n" == open(sys.argv[2], encoding="utf-8").read(), text
assert [l["token"] for l in lines[:-1]] == list(range(1, len(lines)))
assert all(l["logprob"] <= 0 and l["id"] >= 0 for l in lines[:-1])
end = lines[-1]
assert end["finish"] == "eos" and end["new_tokens"] == len(lines) - 1 and end["prompt_tokens"] > 0
assert end["prompt_ms"] > 0 and end["decode_ms_per_token"] > 0' "$dir/json" "$golden/demo_greedy.txt"
for case in 'length -n 3' "stop --stop ${text##* }" 'positions --ignore-eos -n 100000'; do
    finish=${case%% *}
    run complete --greedy --json ${case#* } 'Once upon a time'
    count "complete --json: finish $finish" has "\"finish\": \"$finish\"" "$dir/out"
done

# The ids of a code point, one at a time: nothing is printed of it until it is whole.
run complete --json --seed 3 --temp 100 --top-p 1 --ignore-eos -n 200 'x'
count 'complete --json: UTF-8, whatever the ids are' python '
import json, sys
for l in open(sys.argv[1], encoding="utf-8", errors="strict"): json.loads(l)' "$dir/out"

# ---- complete: signals and lines ----

"$maker" --layers 1 --heads 1 --channels 32 --positions 20000 --vocab "$vocab" -o "$dir/long.bin" \
    >"$dir/out" 2>"$dir/err" || "$maker" --help
env --default-signal=INT true 2>/dev/null || echo 'cli_text: no env --default-signal: signals are not tried'
for signal in INT TERM; do
    env --default-signal=INT true 2>/dev/null || break
    : >"$dir/out"
    # A shell starts a background command with SIGINT ignored, and what is ignored stays so.
    env --default-signal=INT,TERM "$program" complete -m "$dir/long.bin" --vocab "$demo/merges.txt" --ignore-eos -n 20000 --json x \
        >"$dir/out" 2>"$dir/err" </dev/null &
    child=$!
    while [ ! -s "$dir/out" ] && kill -0 $child 2>/dev/null; do sleep 0.05; done
    kill -$signal $child
    wait $child
    status=$?
    case $signal in INT) expected=130 ;; TERM) expected=143 ;; esac
    count "complete: SIG$signal ends it with $expected: got $status" [ "$status" -eq $expected ]
    count "complete: SIG$signal: the last line is whole" has '"finish": "interrupted"' "$dir/out"
done

printf 'One day,\n\nOnce\n' >"$dir/lines"
from_stdin "$dir/lines" complete -i --greedy -n 5
count 'complete -i: a text for each line' [ "$(wc -l <"$dir/out")" -eq 3 ]
{
    "$program" complete --greedy -n 10 'One day,'
    "$program" complete --greedy -n 5 Once
} >"$dir/expected"
sed -n '1h;2{H;x;s/\n//;p};3p' "$dir/out" >"$dir/joined"
count 'complete -i: an empty line goes on; another prompt begins anew' cmp -s "$dir/joined" "$dir/expected"
{ printf 'x %.0s' $(seq "$positions") && printf '\nOnce\n'; } >"$dir/lines"
from_stdin "$dir/lines" complete -i --greedy -n 5
count 'complete -i: a prompt too long is said to be, and the next is taken' \
    sh -c 'grep -q "expected at most maxT" "$1" && [ "$(wc -l <"$2")" -eq 1 ]' sh "$dir/err" "$dir/out"

# Any bytes, and both kinds of line end: the prompt is what encode reads of a file without them.
printf 'Once\0upon\033 \377\r\n\0\r\n\r\nx\ry\r' >"$dir/lines"
from_stdin "$dir/lines" complete -i --echo -n 0
printf 'Once\0upon\033 \357\277\275\n\0\n\nx\ry\r\n' >"$dir/text"
count 'complete -i: NUL and other bytes; CR LF ends a line, CR does not' said "$dir/text"
printf 'One\0 day,\r\n' >"$dir/lines"
from_stdin "$dir/lines" complete -i --greedy -n 6
cp "$dir/out" "$dir/expected"
printf 'One\0 day,' >"$dir/text"
from_stdin "$dir/text" complete --greedy -n 6
count 'complete -i: a NUL is a part of the prompt' same_text
for end in '\n' '\r\n'; do
    printf "One\\0 day,$end" >"$dir/text"
    run complete --greedy -n 6 -f "$dir/text"
    count "complete -f: without the final $end" same_text
done
printf 'One\r\nday\r' >"$dir/text"
run complete --echo -n 0 -f "$dir/text"
echo >>"$dir/text"
count 'complete -f: other line ends are as they stand there' said "$dir/text"

# ---- score ----

text='Once upon a time, there was a girl named Nora. She had a red ball.'
run score --tokens "$text"
cp "$dir/out" "$dir/score"
count 'score: tokens add up, perplexity is exp(-mean)' awk -v n="$("$program" encode "$text" | wc -w)" '
    /^-?[0-9]/ { sum += $1; lines++ }
    /^tokens/ { tokens = $2 } /^log-prob/ { total = $2 } /^perplexity/ { perplexity = $2 }
    END { d = sum - total; p = exp(-total / tokens) - perplexity
          exit !(lines == n && tokens == n && d * d < 1e-8 && p * p < 1e-8) }' "$dir/score"
first=$("$program" encode "$text" | cut -d ' ' -f 1)
run next -m demo --all $((vocab - 1))
expected=$(awk -v id="$first" '$1 == id { printf "%.4f", log($3) }' "$dir/out")
got=$(awk 'NR == 1 { printf "%.4f", $1 }' "$dir/score")
count "score: the first token as next has it: got $got, expected $expected" [ "$got" = "$expected" ]
for how in '-j 1' '--sched serial' '--isa scalar' '--tile 3x32'; do
    run score --tokens $how "$text"
    count "score $how: the same" said "$dir/score"
done
run score --json --tokens "$text"
count 'score --json: objects, one a line' python '
import json, sys
lines = [json.loads(l) for l in open(sys.argv[1], encoding="utf-8")]
assert "".join(l["text"] for l in lines[:-1]) == sys.argv[2] and lines[-1]["perplexity"] > 1' "$dir/out" "$text"
run score "$long"
count 'score: a text longer than maxT, with both numbers' failed_with 4 dagpt "expected at most maxT = $positions"
run score ''
count 'score: no text' failed_with 4 dagpt 'the text is empty'

finish
