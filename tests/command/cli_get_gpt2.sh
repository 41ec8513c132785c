#!/bin/sh
# cli_get_gpt2.sh - tools/dev/get-gpt2 against a web server of its own, which fails in each way that servers do.
. tests/command/command.sh
if ! python3 -c 'import http.server' 2>/dev/null || ! command -v curl >/dev/null; then
    echo "cli_get_gpt2: skipped: python3 and curl are needed"
    exit 77
fi

there=$dir/there
mkdir "$there"
printf '{"model_type": "gpt2"}\n' >"$there/config.json"
cp "$tiny" "$there/model.safetensors"
sum_of() {
    sha256sum <"$there/$1" | cut -d ' ' -f 1
}
faults='ok cut dead whole other long short moved mute gone'
number=0
for fault in $faults; do
    number=$((number + 1))
    cat <<END
${number}M $fault/gpt2 c0ffee
   config.json - -
   model.safetensors - -
END
done >"$dir/files"
cat >>"$dir/files" <<END
11M mute/gpt2 c0ffee
    config.json $(size_of "$there/config.json") $(sum_of config.json)
    model.safetensors $(size_of "$there/model.safetensors") $(sum_of model.safetensors)
12M ok/gpt2 c0ffee
    model.safetensors 1 $(sum_of model.safetensors)
END

python3 tests/support/faulty_server.py "$there" "$dir/log" >"$dir/port" &
server=$!
trap 'kill "$server" 2>/dev/null; rm -rf "$dir"' EXIT
for wait in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ ! -s "$dir/port" ] || break
    sleep 0.5
done
GET_GPT2_FROM=http://127.0.0.1:$(cat "$dir/port")
GET_GPT2_FILES=$dir/files
export GET_GPT2_FROM GET_GPT2_FILES

# get ARGUMENT...
get() {
    : >"$dir/log"
    tools/dev/get-gpt2 "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
}

# whole FOLDER - both files, and nothing else.
whole() {
    [ "$status" -eq 0 ] && diff -r "$there" "$1" >/dev/null
}

# fails CODE TEXT - and no file has a name that says it is whole.
fails() {
    [ "$status" -eq "$1" ] && has "$2" "$dir/err" && [ ! -e "$to/model.safetensors" ] &&
        [ "$(grep -c '^get-gpt2: ' "$dir/err")" -eq 1 ]
}

for try in 1:ok 4:whole 8:moved 11:mute; do
    to=$dir/${try#*:}
    get "${try%:*}M" "$to"
    count "get-gpt2 from a server that is ${try#*:}: got status $status" whole "$to"
done

get 1M "$dir/ok"
count 'what is there and right is not fetched again' eval 'whole "$dir/ok" && lacks GET "$dir/log"'
printf x | dd of="$dir/ok/model.safetensors" bs=1 seek=2000 conv=notrunc 2>/dev/null
get 1M "$dir/ok"
count 'what is there and damaged is fetched again' eval 'whole "$dir/ok" && has GET "$dir/log"'

to=$dir/cut
get 2M "$to"
count "get-gpt2 goes on where a connection was cut: status $status" eval \
    'whole "$to" && has "GET /cut/gpt2/resolve/c0ffee/model.safetensors $(($(size_of "$tiny") / 2))" "$dir/log"'

to=$dir/again
mkdir "$to"
head -c 5000 "$tiny" >"$to/model.safetensors.part"
get 1M "$to"
count "get-gpt2 goes on where an earlier run stopped: status $status" eval \
    'whole "$to" && has "model.safetensors 5000" "$dir/log"'
to=$dir/stale
mkdir "$to"
head -c 5000 /dev/zero >"$to/model.safetensors.part"
get 1M "$to"
count "get-gpt2 after a part of another file: got status $status, expected 3" fails 3 'expected'
get 1M "$to"
count 'and then from the start' whole "$to"

to=$dir/dead
get 3M "$to"
count "a connection that brings nothing: got status $status, expected 5" fails 5 'again and again'
for fault in 5:other 6:long 7:short; do
    to=$dir/${fault#*:}
    get "${fault%:*}M" "$to"
    count "${fault#*:}: got status $status, expected 3" fails 3 'expected'
    count "${fault#*:}: nothing is left" [ ! -e "$to/model.safetensors.part" ]
done
to=$dir/mute2
get 9M "$to"
count "no checksum: got status $status, expected 5" fails 5 'does not tell'
to=$dir/gone
get 10M "$to"
count "no such file: got status $status, expected 5" fails 5 'get-gpt2: '
to=$dir/larger
get 12M "$to"
count "larger than the list says: got status $status, expected 3" fails 3 'expected'

to=$dir/none
get 99M
count "a size that is not there: got status $status, expected 2" fails 2 "got size '99M', expected one of 1M 2M"
get --what
count "an unknown option: got status $status, expected 2" fails 2 "unknown option '--what'"
get 1M "$there/config.json/x"
count "a folder that cannot be: got status $status, expected 5" fails 5 'cannot be made'

# The list that ships: sizes, names and checksums have their form, and no name is there twice in a folder.
count 'gpt2-files.txt' awk '
    /^#/ || !NF { next }
    /^[0-9]+M / { if (NF != 3 || length($3) != 40) exit bad = 1; split("", seen); sizes++; next }
    NF != 3 || seen[$1]++ || $2 !~ /^(-|[0-9]+)$/ || ($3 != "-" && length($3) != 64) { exit bad = 1 }
    END { exit bad || sizes != 4 }' tools/dev/gpt2-files.txt

finish
