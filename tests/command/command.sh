# command.sh - what the tests of the command share; to be sourced by tests/command/cli*.sh in the project's root.
# $BUILD: the build folder; $SAN: the sanitizer, if any. A line for each failure; `finish` prints the count.
LC_ALL=C
export LC_ALL
unset DAGPT_MODEL

build=$(cd "${BUILD:-build}" && pwd) || exit 1
golden=$(cd tests/golden && pwd) || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
program=$build/dagpt
maker=$build/make-model
tiny=$golden/tiny.bin
passed=0
failed=0
suite=$(basename "$0" .sh)

# count LABEL COMMAND... - passes when the command succeeds.
count() {
    label=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf '%s: %s\n' "$suite" "$(printf '%s' "$label" | tr '[:cntrl:]' '?')"
        [ ! -s "$dir/err" ] || sed 's/^/    stderr: /;3q' "$dir/err"
    fi
}

# run ARGUMENT... - runs the program; leaves $dir/out, $dir/err and $status.
run() {
    "$program" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
}

# at_most KILOBYTES - the command that bounds the memory of what comes after it; none where more is mapped than is
# used: a sanitizer maps terabytes, and under an emulator ($DAGPT_EMULATED) its own memory counts, too.
at_most() {
    [ -n "$SAN$DAGPT_EMULATED" ] || echo "ulimit -v $1"
}

# instruction_sets - what --isa may be, in order, but amx, which is refused where the processor lacks it.
instruction_sets() {
    "$program" --isa none 1 2>&1 | sed 's/.*expected //; s/ or amx//; s/ or / /g'
}

# from_stdin FILE ARGUMENT... - run, with FILE as standard input.
from_stdin() {
    file=$1
    shift
    "$program" "$@" >"$dir/out" 2>"$dir/err" <"$file"
    status=$?
}

make_model() {
    "$maker" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
}

# succeeded - status 0 and nothing on stderr.
succeeded() {
    [ "$status" -eq 0 ] && [ ! -s "$dir/err" ]
}

# said FILE - the last run succeeded, and printed FILE.
said() {
    succeeded && cmp -s "$dir/out" "$1"
}

# prints_ids IDS - the last run printed these ids, one a line, and nothing else.
prints_ids() {
    succeeded && printf '%s\n' $1 | cmp -s - "$dir/out"
}

# ids_or_diff IDS - the same, and says what it got instead.
ids_or_diff() {
    prints_ids "$1" || {
        echo "    got '$(paste -s -d ' ' "$dir/out")', status $status"
        false
    }
}

# has TEXT FILE
has() {
    grep -qF -e "$1" "$2"
}

lacks() {
    ! has "$@"
}

# failed_with CODE PROGRAM TEXT - one printable line on stderr that starts with the program's name and
# has the text in it; nothing on stdout.
failed_with() {
    [ "$status" -eq "$1" ] && [ ! -s "$dir/out" ] || return 1
    more=
    { IFS= read -r line && ! IFS= read -r more && [ -z "$more" ]; } <"$dir/err" || return 1
    case $line in
    *[[:cntrl:]]*) return 1 ;;
    "$2: "*"$3"*) return 0 ;;
    esac
    return 1
}

# expect_ids IDS ARGUMENT...
expect_ids() {
    expected=$1
    shift
    run "$@"
    count "dagpt $*: expected '$expected'" ids_or_diff "$expected"
}

# expect_error CODE TEXT ARGUMENT...
expect_error() {
    code=$1 text=$2
    shift 2
    run "$@"
    count "dagpt $*: got status $status, expected $code and one line with '$text'" \
        failed_with "$code" dagpt "$text"
}

# expect_unwritable ARGUMENT... - a full and a closed standard output are each told, with status 5.
expect_unwritable() {
    : >"$dir/out"
    "$program" "$@" >/dev/full 2>"$dir/err" </dev/null
    status=$?
    count "dagpt $* >/dev/full: got status $status, expected 5" \
        failed_with 5 dagpt 'cannot write to standard output: No space left on device'
    "$program" "$@" >&- 2>"$dir/err" </dev/null
    status=$?
    count "dagpt $* >&-: got status $status, expected 5" \
        failed_with 5 dagpt 'cannot write to standard output'
}

# expect_no_model CODE TEXT OPTION... - make-model fails like that.
expect_no_model() {
    code=$1 text=$2
    shift 2
    make_model "$@"
    count "make-model $*: got status $status, expected $code and one line with '$text'" \
        failed_with "$code" make-model "$text"
}

# candidates V [LOGITS] - $dir/out has all V ids, each once, most likely first (the lower id of equals),
# with logits within 2e-4 of those given, and probabilities that are theirs and add up to 1.
candidates() {
    succeeded && printf '%s\n' "$2" | awk -F '\t' -v vocab="$1" '
        FNR == NR { n = split($0, logits, " "); next }
        NF != 3 || $1 !~ /^[0-9]+$/ || $1 + 0 >= vocab || seen[$1]++ { exit bad = 1 }
        n && ($2 - logits[$1 + 1] > 2e-4 || logits[$1 + 1] - $2 > 2e-4) { exit bad = 1 }
        FNR > 1 && ($2 + 0 > last || ($2 + 0 == last && $1 + 0 < last_id)) { exit bad = 1 }
        FNR == 1 { top = $2; top_p = $3 }
        { p = top_p * exp($2 - top); if ($3 - p > 1e-5 || p - $3 > 1e-5) exit bad = 1 }
        { last = $2 + 0; last_id = $1 + 0; sum += $3; lines++ }
        END { exit bad || lines != vocab || (n && n != vocab) || sum < 0.9999 || sum > 1.0001 }
        ' - "$dir/out"
}

# python CODE FILE... - CODE succeeds; where there is no python3 it is not asked.
if command -v python3 >/dev/null; then
    python() { python3 -c "$@" 2>"$dir/python"; }
else
    echo "$suite: no python3: JSON is not parsed"
    python() { true; }
fi

# le32 NUMBER... - little-endian int32s.
le32() {
    for number in "$@"; do
        printf "$(printf '\\%03o\\%03o\\%03o\\%03o' $((number & 255)) $((number >> 8 & 255)) \
            $((number >> 16 & 255)) $((number >> 24 & 255)))"
    done
}

# set_size FILE BYTES - cuts the file short, or makes it longer with a hole.
set_size() {
    dd if=/dev/null of="$1" bs=1 seek="$2" 2>/dev/null
}

size_of() {
    wc -c <"$1" | tr -d ' '
}

# finish - the count, and the exit status of the suite.
finish() {
    echo "$suite: $passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}
