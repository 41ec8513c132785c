#!/bin/sh
# embed.sh FOLDER - the viewer's fixed part as a C header on stdout: viewer_head and viewer_tail, between
# which a trace goes. FOLDER holds this script, viewer.html, viewer.css and the scripts named below.
# The page's policy admits its one style and its one script by their hashes, which are made here.
set -eu
scripts="model.js facts.js draw.js panes.js main.js"

cd "$1"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# hash FILE - base64 of its SHA-256.
hash() {
    env printf "$(sha256sum <"$1" | sed 's/ .*//; s/../\\x&/g')" | base64
}

# bytes NAME FILE
bytes() {
    printf 'static const unsigned char %s[] = {\n' "$1"
    od -An -v -tx1 "$2" | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'
    printf '};\n'
}

# What stands between <style> or <script> and its end: a line break, then the text.
{ echo; cat viewer.css; } >"$dir/css"
{ echo; cat $scripts; } >"$dir/js"
css_hash=$(hash "$dir/css")
js_hash=$(hash "$dir/js")
awk -v dir="$dir" -v css_hash="$css_hash" -v js_hash="$js_hash" '
    function include(file, line) {
        while ((getline line <file) > 0)
            print line >out
    }
    BEGIN { out = dir "/head" }
    /^@CSS@$/ { include(dir "/css"); next }
    /^@JS@$/ { include(dir "/js"); next }
    /@TRACE@/ { n = index($0, "@TRACE@"); printf "%s", substr($0, 1, n - 1) >out
                out = dir "/tail"; print substr($0, n + 7) >out; next }
    { gsub(/@CSS_HASH@/, css_hash); gsub(/@JS_HASH@/, js_hash)
      printf "%s%s", $0, /<(style|script)>$/ ? "" : "\n" >out }' viewer.html
echo '/* Made by tools/viewer/embed.sh. */'
bytes viewer_head "$dir/head"
bytes viewer_tail "$dir/tail"
