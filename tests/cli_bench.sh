#!/bin/sh
# cli_bench.sh - dagpt tokens --no-cache, and dagpt bench: fields, pictures, errors. No times.
. tests/command.sh

# ---- tokens --no-cache: the same ids, by other steps ----

ids='449 449 50 50 50 50 50' # of small.txt, after its first prompt and id
for option in '' --sched=serial --chunk=3 -j1; do
    expect_ids "$ids" tokens --no-cache -m "$golden/small.bin" $option 838 659 404
done
run tokens --greedy --total 64 -m "$tiny" 24 94 91
mv "$dir/out" "$dir/cached"
run tokens --no-cache --greedy --total 64 -m "$tiny" 24 94 91
count 'dagpt tokens --no-cache --total 64: other ids' \
    eval 'succeeded && cmp -s "$dir/cached" "$dir/out"'

# evaluated ROWS ARGUMENT... - so many rows went through the network for 3 ids in and 4 out.
evaluated() {
    rows=$1
    shift
    run tokens "$@" --stats -m "$tiny" --total 7 24 94 91
    count "dagpt tokens $* --stats: expected $rows rows" grep -q "^evaluated  *$rows rows" "$dir/err"
}
evaluated $((3 + 1 + 1 + 1))
evaluated $((3 + 4 + 5 + 6)) --no-cache
evaluated $((3 + 4 + 5 + 6)) --no-cache --chunk 2

finish
