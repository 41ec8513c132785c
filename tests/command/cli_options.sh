#!/bin/sh
# cli_options.sh - what options and ids take: whole numbers, others, and no two that contradict each other.
. tests/command/command.sh

# ---- whole numbers ----

# 2^53 + 1 and its neighbour are one number where numbers are doubles; 2^64 - 1 is the last.
for seed in 0 9007199254740992 9007199254740993 18446744073709551614 18446744073709551615 \
    00018446744073709551615; do
    run complete --json -n 12 --seed $seed 'One day,'
    cp "$dir/out" "$dir/json"
    count "complete --seed $seed: another in --json" has "\"seed\": $(echo $seed | sed 's/^0*\(.\)/\1/')," "$dir/json"
    run complete --stats -n 1 --seed $seed x
    count "complete --seed $seed: another in --stats" has "seed $(echo $seed | sed 's/^0*\(.\)/\1/')" "$dir/err"
    tr -d '\n' <"$dir/json" | sed 's/"prompt_ms.*//' >"$dir/seed$seed"
done
count 'complete --seed: 2^53 + 1 gives what 2^53 gives' \
    eval '! cmp -s "$dir/seed9007199254740992" "$dir/seed9007199254740993"'
count 'complete --seed: 2^64 - 1 gives what 2^64 - 2 gives' \
    eval '! cmp -s "$dir/seed18446744073709551614" "$dir/seed18446744073709551615"'
for value in 18446744073709551616 99999999999999999999999 -1 +1 ' 1' '1 ' 1e3 0x10 1.0 '' x; do
    expect_error 2 "--seed: got '$value', expected a number from 0 to 18446744073709551615" \
        complete --seed "$value" x
done
full_width='１２'
for value in 16777217 18446744073709551617 "$full_width" 1e1 1_0 1,0; do
    expect_error 2 "--chunk: got '$value', expected a number from 1 to 16777216" next -m "$tiny" --chunk "$value" 1
done

# The seed of the clock is one that --seed takes: the same text again.
run complete --json -n 12 --temp 2 'One day,'
seed=$(sed -n 's/.*"seed": \([0-9]*\).*/\1/p' "$dir/out")
sed 's/"prompt_ms.*//' "$dir/out" >"$dir/expected"
run complete --json -n 12 --temp 2 --seed "$seed" 'One day,'
sed 's/"prompt_ms.*//' "$dir/out" >"$dir/again"
count "complete --seed $seed, from the clock: another text" cmp -s "$dir/again" "$dir/expected"

for value in 4294967295x1 1x1000000 0x1 1x0 1x 1 x ' 1x1' 1x1x1; do
    expect_error 2 "--tile: got '$value', expected ROWSxCOLUMNS, as in 48x64, each from 1 to 999999" \
        next -m "$tiny" --tile "$value" 1
done

# ---- other numbers ----

run complete --greedy -n 5 'One day,'
cp "$dir/out" "$dir/expected"
for value in 0 0.0 .0 0. 0e5 0.0E-3 00 0e+1; do
    run complete --temp "$value" -n 5 'One day,'
    count "complete --temp $value: not 0" said "$dir/expected"
done
run complete --temp 1.5e0 --seed 1 'One day,'
cp "$dir/out" "$dir/expected"
for value in 1.5 01.50 15e-1 .15E1 0.15e+1; do
    run complete --temp "$value" --seed 1 'One day,'
    count "complete --temp $value: not 1.5" said "$dir/expected"
done
for value in ' 1' '1 ' +1 -1 -0 0x1 0x1p0 inf INF infinity nan 'nan(1)' 1e 1e+ e1 . '' 1.5.5 1,5 1f "$full_width" \
    1e999; do
    expect_error 2 "--temp: got '$value', expected a number from 0 to 1000000" complete --temp "$value" x
done
expect_error 2 "--top-p: got '1.0000001', expected a number from 0 to 1" complete --top-p 1.0000001 x
expect_error 2 "--repeat-penalty: got '0.99', expected a number from 1 to 1000000" complete --repeat-penalty 0.99 x

# A comma is no point, and a point is one, whatever the locale says; and in Turkish I is no capital of i. The locales are
# made here, and a program that asks for them (printf of $LANG's) shows that they are there.
for locale in de_DE tr_TR; do
    localedef -i "$locale" -f UTF-8 "$dir/$locale" 2>/dev/null || continue
    [ "$(LOCPATH=$dir LC_ALL=$locale python3 -c 'import locale; locale.setlocale(locale.LC_ALL, ""); print(locale.str(1.5))' 2>/dev/null)" = 1,5 ] ||
        continue
    LOCPATH=$dir LC_ALL=$locale "$program" complete --temp 1.5 --seed 1 'One day,' >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    count "complete --temp 1.5 in $locale: another text" said "$dir/expected"
    for command in 'graph --format json' 'info --json' 'next --json 1' 'convert OUT' 'bench --isa AVX2 lab'; do
        set -- $command
        first=$1
        shift
        for each in C "$locale"; do
            rm -f "$dir/made.gguf"
            [ "$first" != convert ] || set -- "$tiny" "$dir/made.gguf"
            [ "$first" = convert ] || set -- "$@" -m "$tiny"
            LOCPATH=$dir LC_ALL=$each "$program" "$first" "$@" >"$dir/$each.out" 2>&1 </dev/null
            [ ! -f "$dir/made.gguf" ] || cksum <"$dir/made.gguf" >>"$dir/$each.out"
        done
        count "$command in $locale" cmp -s "$dir/C.out" "$dir/$locale.out"
    done
done

# Whatever memory there is, a command is done, or says that there is not enough; another line tells of fewer workers. (With
# less than its libraries take, 127, it does not begin.)
if [ -n "$(at_most 1)" ]; then
    for kilobytes in 12000 12500 13000 14000 16000 20000 28000 40000 80000 256000; do
        (eval "$(at_most $kilobytes)" && exec "$program" tokens -m "$tiny" -j 2 --cpus 2 1 2) >"$dir/out" 2>"$dir/err" </dev/null
        status=$?
        count "tokens with $kilobytes KB: got $status" eval '[ "$status" -eq 127 ] || [ "$status" -eq 0 -o "$status" -eq 6 ] && [ "$(grep -vc "^dagpt: workers: " "$dir/err")" -eq $((status / 6)) ]'
    done
    count 'tokens with 256 MB' [ "$status" -eq 0 ]
fi

# ---- contradictions ----

expect_error 2 'got --coin and --greedy, expected one of them' tokens --coin 0.3 --greedy 1
expect_error 2 'got --coin and --seed, expected one of them' tokens --seed 3 --coin 0.3 1
for option in temp top-k top-p min-p seed; do
    expect_error 2 "got --greedy and --$option, expected one of them" complete --greedy --$option 1 x
    expect_error 2 "got --greedy and --$option, expected one of them" tokens --$option 1 --greedy 1
done
expect_error 2 'got --quick and --seconds, expected one of them' bench --seconds 1 --quick lab
expect_error 2 'got --load and --past, expected one of them' graph --past 3 --load
for option in '--trace-events 10' '--trace-tokens 0:1' '--trace-edges all'; do
    expect_error 2 "got ${option% *}, expected --trace with it" tokens -m "$tiny" $option --total 3 1
done
expect_error 2 'got --top and --all, expected one of them' next -m "$tiny" --all --top 3 1
expect_error 2 'got --layers and --all, expected one of them' graph --layers 0:1 --all
expect_error 2 'got --check and --output, expected one of them' graph --check -o "$dir/none"
expect_error 2 'got --check and --format, expected one of them' graph --format dot --check

finish
