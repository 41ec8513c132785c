#!/bin/sh
# serve.sh - dagpt-serve, by the official client and by bytes (tests/serve/serve.test.mjs). 77: skipped, and why.
# $BUILD: the build folder.
build=$(cd "${BUILD:-build}" && pwd) || exit 1
skip() {
    echo "serve: skipped: $1"
    exit 77
}

[ -x "$build/dagpt-serve" ] || skip "not built here: 'make serve' says what it needs"
command -v node >/dev/null || skip "no node (Debian: nodejs)"
[ "$(node -p 'parseInt(process.versions.node)')" -ge 20 ] || skip "node $(node --version) is older than 20"
[ -f tests/serve/node_modules/openai/package.json ] || skip "no openai (npm's registry)"
mkdir -p "$build/serve"
DAGPT_BUILD=$build node --test --test-reporter=tap tests/serve/serve.test.mjs >"$build/serve/log" 2>&1
status=$?
sed -n 's/^# \(pass\|fail\) /serve: \1 /p' "$build/serve/log"
[ "$status" -eq 0 ] || grep -A 25 '^ *not ok' "$build/serve/log" | head -n 80
exit "$status"
