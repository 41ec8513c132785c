#!/bin/sh
# cli_sandbox.sh - what a command prints and writes is the same with --sandbox; what it has no right to, fails. And how the
# programs were linked. tests/unit/cli/check_sandbox.c tries the rights themselves.
cd "$(dirname "$0")/../.." && . tests/command/command.sh

trace=$dir/trace.json
"$program" tokens -m "$tiny" -j 2 --cpus 2 --total 4 --trace "$trace" 1 2 >/dev/null

echo 1 2 3 >"$dir/ids"

# same ARGUMENT... - the same output, exit code and file `made`, in the sandbox and out of it.
same() {
    for how in "" --sandbox; do
        rm -rf "$dir/made"
        "$program" "$@" $how >"$dir/out$how" 2>"$dir/err" </dev/null
        printf "\n%s\n" $? >>"$dir/out$how"
        [ ! -e "$dir/made" ] || find "$dir/made" -type f -exec cksum {} + >>"$dir/out$how"
    done
    count "$* --sandbox" cmp -s "$dir/out" "$dir/out--sandbox"
    count "$*: exit code" grep -qx 0 "$dir/out"
}

same complete --greedy -n 4 Once
same complete -j 3 --cpus 3 --seed 1 --samples 2 -n 3 Once
same tokens -m "$tiny" -j 3 --cpus 3 1 2
same next -m "$golden/hf-bare" 1
same score 'Once upon a time'
same encode 'Once upon a time'
same decode -f "$dir/ids"
same graph -m "$tiny" --rows 4
same graph -m "$tiny" --tiles -o "$dir/made"
same graph -m "$tiny" --check
same trace "$trace"
same trace --html "$dir/made" "$trace"
same convert "$tiny" "$dir/made" --to gguf
same convert "$tiny" "$dir/made"
same convert "$golden/hf-bare" "$dir/made" --to packed
run info -m "$tiny" --sandbox
count 'info --sandbox' succeeded
run tokens -m "$tiny" -j 2 --cpus 2 --trace "$dir/made.json" --sandbox 1 2
count 'tokens --trace --sandbox' succeeded
run trace "$dir/made.json"
count 'its trace is whole' succeeded

if command -v gzip >/dev/null; then
    gzip -c "$trace" >"$dir/trace.gz"
    run trace --sandbox "$dir/trace.gz"
    count 'gzip is another program: exit code 5' [ "$status" -eq 5 ]
    gzip -dc "$dir/trace.gz" | "$program" trace --sandbox - >"$dir/out" 2>"$dir/err"
    count 'unpacked before' [ $? -eq 0 ]
fi

# ---- how the programs were linked ----

# has LABEL PATTERN ARGUMENT... - does what readelf says have that?
has() {
    label=$1 pattern=$2
    shift 2
    count "$label" sh -c 'pattern=$1; shift; readelf -W "$@" | grep -q "$pattern"' sh "$pattern" "$@"
}

if [ -z "$SAN" ] && command -v readelf >/dev/null && [ "$(uname -m)" = x86_64 ] && [ -z "$DAGPT_EMULATED" ]; then
    for p in dagpt make-model $([ ! -x "$build/dagpt-serve" ] || echo dagpt-serve); do
        has "$p: position-independent" 'Type:.*DYN' -h "$build/$p"
        has "$p: RELRO" GNU_RELRO -l "$build/$p"
        has "$p: bound at its start" 'BIND_NOW\|FLAGS_1.*NOW' -d "$build/$p"
        count "$p: no stack that runs" sh -c 'readelf -W -l "$1" | grep GNU_STACK | grep -q " RW "' sh "$build/$p"
    done
    if readelf -p .comment "$build/dagpt" | grep -q GNU && readelf -W --dyn-syms "$build/dagpt" | grep -q GLIBC; then
        has 'stack protector' __stack_chk_fail --dyn-syms "$build/dagpt"
        has 'FORTIFY' '__[a-z]*_chk@' --dyn-syms "$build/dagpt"
    fi
fi

finish
