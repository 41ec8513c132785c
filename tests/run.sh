#!/bin/sh
# run.sh SUITE... - runs the unit suites, and the tests in shell of the command, the library, the viewer and the server, and
# adds up. Of a suite that passes, the last line is shown, and those that say what it left out; it exits with
# 77 where it was left out as a whole. The last lines say what is missing, and what brings it.
# $BUILD: the build folder; $SAN: the sanitizer, if any; $DAGPT_NEED=all: what is left out is a failure.
passed=0 failed=0 skipped=0 names=
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
trap '[ -z "$suite" ] || kill "$suite"; exit 130' HUP INT TERM

if [ -n "$SAN" ]; then
    export CK_FORK=no                # a report ends the whole suite, with its text
    export DAGPT_SAN="$SAN"          # suites shorten what only grows with time
fi

# limited COMMAND... - with its output in the log; what has not ended after 15 minutes hangs, and is ended with
# its children. In the background, where an interrupt is heard at once; there a shell's commands ignore SIGINT,
# unless GNU's env says otherwise.
limited() {
    if env --default-signal=INT,QUIT true 2>/dev/null; then
        env --default-signal=INT,QUIT timeout -k 10 900 "$@" >"$log" 2>&1 &
        suite=$!
        wait "$suite"
    else
        timeout -k 10 900 "$@" >"$log" 2>&1
    fi
    status=$?
    suite=
    [ "$status" -ne 124 ] || echo "$*: not done after 15 minutes" >>"$log"
}

# report NAME
report() {
    case $status in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) ;;
    *)
        failed=$((failed + 1))
        names="$names $1"
        cat "$log"
        return
        ;;
    esac
    sed "\$!{/skipped:/!d;}; s/^100%/$1: 100%/" "$log" # Check's last line does not name the suite
}

for suite in "$@"; do
    if [ -x "$suite" ]; then
        limited "$suite"
    else
        echo "$(basename "$suite"): skipped: not built here" >"$log"
        status=77
    fi
    report "$(basename "$suite")"
done
for script in tests/command/cli*.sh tests/hostile/hostile.sh tests/hostile/faults.sh tests/guard/library.sh tests/guard/spec.sh tests/guard/accuracy.sh tests/guard/degraded.sh tests/guard/installed.sh tests/viewer/viewer.sh tests/viewer/page.sh tests/serve/serve.sh; do
    limited sh "$script"
    report "$(basename "$script")"
done

[ -z "$names" ] || echo "failed:$names"
missing=$(tests/support/need.sh) || {
    echo "$missing" | sed 's/^/left out: /'
    echo "'make test-tools' installs what is missing"
}
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && { [ "$DAGPT_NEED" != all ] || [ -z "$missing" -a "$skipped" -eq 0 ]; }
