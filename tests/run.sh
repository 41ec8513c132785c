#!/bin/sh
# run.sh SUITE... - runs the test suites, the tests of the command and the viewer's, and adds up. A suite that
# exits with 77 was skipped, and has said why.
# $BUILD: the build folder; $SAN: the sanitizer, if any.
passed=0 failed=0 skipped=0 names=

if [ -n "$SAN" ]; then
    export CK_FORK=no                # a report ends the whole suite, with its text
    export CK_DEFAULT_TIMEOUT=0
    export DAGPT_SAN="$SAN"          # suites shorten what only grows with time
fi

for suite in "$@"; do
    if timeout 900 "$suite"; then    # a hang under a sanitizer, where Check's own limit is off
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        names="$names $(basename "$suite")"
    fi
done
for suite in tests/command/cli*.sh tests/guard/library.sh tests/guard/spec.sh tests/guard/installed.sh tests/viewer/viewer.sh; do
    sh "$suite"
    case $? in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) ;;
    *)
        failed=$((failed + 1))
        names="$names $(basename "$suite")"
        ;;
    esac
done
[ -z "$names" ] || echo "failed:$names"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
