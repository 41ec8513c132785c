#!/bin/sh
# page.sh - the server's page in a real browser (tests/viewer/page.test.mjs). 77: skipped, and why.
# $BUILD: the build folder, which takes the pictures: $BUILD/viewer/page_*.png.
build=$(cd "${BUILD:-build}" && pwd) || exit 1
skip() {
    echo "page: $1"
    exit 77
}

[ -z "$SAN" ] || skip "skipped: a sanitizer does not reach into the browser"
[ -x "$build/dagpt-serve" ] || skip "skipped: no dagpt-serve: 'make serve' says what it needs"
why=$(mktemp) || exit 1
trap 'rm -f "$why"' EXIT
browser=$(sh tests/viewer/need.sh 2>"$why") || skip "$(tail -n 1 "$why")"
mkdir -p "$build/viewer"
DAGPT_BUILD=$build DAGPT_BROWSER=$browser node --test --test-reporter=tap tests/viewer/page.test.mjs >"$build/viewer/page.log" 2>&1
status=$?
sed -n 's/^# \(pass\|fail\) /page: \1 /p' "$build/viewer/page.log"
[ "$status" -eq 0 ] || grep -E '^ *(not ok|error:|  *at )' "$build/viewer/page.log" | head -n 40
exit "$status"
