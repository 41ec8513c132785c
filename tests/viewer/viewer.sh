#!/bin/sh
# viewer.sh - the trace viewer in a real browser (tests/viewer/viewer.test.mjs). 77: skipped, and why.
# $BUILD: the build folder, which takes the pictures: $BUILD/viewer/*.png.
build=$(cd "${BUILD:-build}" && pwd) || exit 1
skip() {
    echo "viewer: $1"
    exit 77
}

[ -z "$SAN" ] || skip "skipped: a sanitizer does not reach into the browser"
why=$(mktemp) || exit 1
trap 'rm -f "$why"' EXIT
browser=$(sh tests/viewer/need.sh 2>"$why") || skip "$(tail -n 1 "$why")"
mkdir -p "$build/viewer"
DAGPT_BUILD=$build DAGPT_BROWSER=$browser node --test --test-reporter=tap tests/viewer/viewer.test.mjs >"$build/viewer/log"
status=$?
sed -n 's/^# \(200,000 .*\)/viewer: \1/p; s/^# \(pass\|fail\) /viewer: \1 /p' "$build/viewer/log"
[ "$status" -eq 0 ] || grep -E '^ *(not ok|error:|  *at )' "$build/viewer/log" | head -n 40
exit "$status"
