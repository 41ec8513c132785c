#!/bin/sh
# need.sh - sees to what the viewer's tests need: a browser, node, npm and playwright-core. Installs Debian's
# packages where that can be done without asking, and playwright-core and speedscope, by the lock file, where
# they are not yet there. Prints the browser's path; else one line on what is missing, on stderr, and exits with 77.
cd "$(dirname "$0")" || exit 1

browser() {
    for name in ${DAGPT_BROWSER:+"$DAGPT_BROWSER"} chromium chromium-browser google-chrome; do
        command -v "$name" && return 0
    done
    return 1
}

install() {
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo="sudo -n"
    command -v apt-get >/dev/null && { [ -z "$sudo" ] || $sudo true 2>/dev/null; } || return 1
    echo "installing $1, which the viewer's tests need" >&2
    $sudo apt-get install -y -qq "$1" >/dev/null 2>&1 ||
        { $sudo apt-get update -qq && $sudo apt-get install -y -qq "$1"; } >/dev/null 2>&1
}

missing() {
    echo "skipped: $1" >&2
    exit 77
}

command -v node >/dev/null || install nodejs
command -v node >/dev/null || missing "no node (Debian: nodejs)"
[ "$(node -p 'parseInt(process.versions.node)')" -ge 18 ] || missing "node $(node --version) is older than 18"
if [ ! -f node_modules/playwright-core/package.json ] || [ ! -f node_modules/speedscope/package.json ]; then
    command -v npm >/dev/null || install npm
    command -v npm >/dev/null || missing "no npm (Debian: npm)"
    npm ci --silent --no-audit --no-fund >/dev/null 2>&1 || missing "npm ci cannot get playwright-core and speedscope"
fi
browser >/dev/null || install chromium
browser || missing "no browser (Debian: chromium)"
