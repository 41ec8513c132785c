#!/bin/sh
# cli_output.sh - what the program writes never takes the place of what it reads, or of another output; and an output may be
# what is no file. tests/unit/cli/check_output.c has what becomes of the file that was there.
. tests/command/command.sh
cd "$dir" || exit 1
mkdir here
cp "$tiny" here/m.bin
cp "$golden/vocab.bpe" here/vocab.bpe
ln -s here/m.bin link.bin
ln here/m.bin hard.bin
ln -s here folder
run tokens -m here/m.bin 1 2 --trace t.json
count 'a trace' succeeded
echo 'Once upon' >prompt
cp -R here kept
cp t.json prompt kept

untouched() {
    cmp -s here/m.bin kept/m.bin && cmp -s here/vocab.bpe kept/vocab.bpe && cmp -s t.json kept/t.json &&
        cmp -s prompt kept/prompt && [ "$(ls here)" = "$(ls kept | grep -v 't.json\|prompt')" ] &&
        [ -L link.bin ] && ! ls ./*.part* here/*.part* >/dev/null 2>&1
}

# refuses OUTPUT INPUT ARGUMENT... - with 2, naming both, and leaves all as it was.
refuses() {
    output=$1 input=$2
    shift 2
    run "$@"
    count "dagpt $*: got status $status, expected 2 and a line with '$output' and '$input'" \
        eval 'failed_with 2 dagpt "$output" && has "$input" "$dir/err"'
    count "dagpt $*: changes nothing" untouched
}

for name in here/m.bin ./here/../here/m.bin "$dir/here/m.bin" folder/m.bin link.bin hard.bin; do
    refuses "--trace $name: " here/m.bin tokens -m here/m.bin --trace "$name" 1 2
    refuses "-o $name: " here/m.bin graph -m here/m.bin -o "$name"
done
refuses '--trace here/m.bin: ' link.bin tokens -m link.bin --trace here/m.bin 1 2
refuses '--svg hard.bin: ' here/m.bin bench -m here/m.bin --svg hard.bin
refuses '--trace hard.bin: ' here/m.bin bench -m here/m.bin --trace hard.bin
refuses '--html t.json: ' ./t.json trace ./t.json --html t.json
refuses '-o t.json: ' ./t.json graph --trace ./t.json -o t.json
refuses '--trace prompt: ' ./prompt complete -f ./prompt --trace prompt
"$maker" --layers 1 --heads 1 --channels 16 --vocab 50257 --positions 8 -o here/v.bin
cp here/v.bin kept
refuses '--trace here/vocab.bpe: ' 'read, as here/vocab.bpe' complete -m here/v.bin --vocab folder/vocab.bpe --trace here/vocab.bpe x
refuses '--trace folder/vocab.bpe: ' here/vocab.bpe complete -m here/v.bin --trace folder/vocab.bpe x
refuses '--trace new: ' './new' bench -m here/m.bin --svg ./new --trace new
refuses '--trace t.json: ' '--svg' bench -m here/m.bin --svg t.json --trace t.json
DAGPT_MODEL=here/m.bin
export DAGPT_MODEL
refuses '--trace hard.bin: ' here/m.bin tokens --trace hard.bin 1
unset DAGPT_MODEL
cp "$tiny" gpt2_124M.bin
refuses '--trace gpt2_124M.bin: ' gpt2_124M.bin tokens --trace gpt2_124M.bin 1
"$program" complete --trace prompt <prompt >out 2>err
status=$?
count 'standard input is read, too' eval 'failed_with 2 dagpt "standard input" && untouched'

# Results are on standard output already, by whatever name.
for name in - /dev/stdout /dev/fd/1 /proc/self/fd/1; do
    refuses "--trace $name: " 'standard output' tokens -m here/m.bin --trace $name 1
    refuses "--svg $name: " 'standard output' bench -m here/m.bin --svg $name
done
"$program" tokens -m here/m.bin 1 --trace both >both 2>err
count 'ids and a trace in one file' [ $? -eq 2 ]

# ---- what is no file ----

steps_of() {
    "$program" trace "$1" 2>"$dir/err" | grep -c '^steps  *9 steps'
}

# holds FILE - a trace of the nine steps.
holds() {
    [ "$(steps_of "$1")" -eq 1 ]
}

for name in /dev/stderr /dev/fd/2; do
    "$program" tokens -m here/m.bin --trace $name 1 >ids 2>got
    count "--trace $name: the ids" [ "$(wc -l <ids)" -eq 9 ]
    count "--trace $name: the trace" holds got
done
"$program" tokens -m here/m.bin --trace /dev/fd/7 1 >ids 2>err 7>got
count '--trace /dev/fd/7' holds got
mkfifo fifo
cat fifo >got &
"$program" tokens -m here/m.bin --trace fifo 1 >ids 2>err
count '--trace fifo: status' [ $? -eq 0 ]
wait
count '--trace fifo: the trace' holds got
count '--trace fifo: it stays one' [ -p fifo ]
cat fifo >got &
"$program" graph -m here/m.bin -o fifo >out 2>err
wait
"$program" graph -m here/m.bin -o - >out 2>err
count '-o - is standard output' eval '[ -s out ] && cmp -s out got'
"$program" trace t.json --html - >out 2>err
"$program" trace t.json --html page
count '--html - is standard output' eval '[ -s out ] && cmp -s out page'
if command -v bash >/dev/null; then
    bash -c '"$1" tokens -m here/m.bin --trace >(cat >got) 1 >ids; wait $!' bash "$program" 2>err
    count '--trace >( )' holds got
fi

# ---- nothing to record ----

# What can be no file is told before the work.
expect_error 5 'new/: cannot write: Is a directory' tokens -m here/m.bin --trace new/ 1 2
expect_error 5 ': cannot write: No such file' tokens -m here/m.bin --trace '' 1 2

echo yesterday >t.json
run tokens -m here/m.bin --total 2 --trace t.json 1 2
count 'nothing to complete: says that nothing was recorded' has 't.json: no step was recorded' err
count 'nothing to complete: status' [ "$status" -eq 0 ]
count "nothing to complete: not yesterday's trace" eval '! grep -q yesterday t.json'
echo yesterday >t.json
run tokens -m here/m.bin --trace-tokens 90:91 --trace t.json 1 2
count 'nothing in the window: says so' has 't.json: no step was recorded' err
run trace t.json
count 'a trace without steps can be read' [ "$status" -eq 0 ]

# ---- links that were planted where a new file gets its first name ----

# The shell's number is that of the program that takes its place. What the link leads to stays as it is, and the output
# is no link.
planted() {
    for victim in victim nowhere; do
        rm -rf new new.part-*
        echo 'as it was' >victim
        sh -c 'ln -s "$0" "new.part-$$" && exec "$@"' $victim "$@" >out 2>err
        status=$?
        count "$*: a link to $victim was followed" \
            eval '[ "$status" -eq 0 ] && [ "$(cat victim)" = "as it was" ] && [ ! -e nowhere ] && [ -e new ] && [ ! -L new ]'
        count "$*: a link to $victim is another's" eval '[ "$(ls -d new.part-* | wc -l)" -eq 1 ] && [ -L new.part-* ]'
    done
    rm -rf new new.part-*
}

planted "$maker" --layers 1 --heads 1 --channels 16 --vocab 40 --positions 8 -o new
planted "$program" tokens -m here/m.bin --trace new 1 2
planted "$program" graph -m here/m.bin -o new
planted "$program" trace t.json --html new
planted "$program" bench --quick -m here/m.bin decode --svg new
for to in llmc1 gguf packed hf; do
    planted "$program" convert here/m.bin new --to $to
done

finish
