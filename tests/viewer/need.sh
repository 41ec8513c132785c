#!/bin/sh
# need.sh - what the viewer's tests need: node, playwright-core, speedscope and a browser. Prints the browser's
# path; else one line on what is missing, on stderr, and exits with 77. `make test-tools` brings it.
cd "$(dirname "$0")" || exit 1

missing() {
    echo "skipped: $1" >&2
    exit 77
}

command -v node >/dev/null || missing "no node (Debian: nodejs)"
[ "$(node -p 'parseInt(process.versions.node)')" -ge 18 ] || missing "node $(node --version) is older than 18"
for name in playwright-core speedscope; do
    [ -f "node_modules/$name/package.json" ] || missing "no $name (npm's registry)"
done
for name in ${DAGPT_BROWSER:+"$DAGPT_BROWSER"} chromium chromium-browser google-chrome; do
    command -v "$name" && exit
done
missing "no browser (Debian: chromium)"
