#!/bin/sh
# embed.sh NAME PAGE FILE... - a page as a C header on stdout: NAME_head and NAME_tail, between which a trace goes;
# of a page without that place the head is all. The FILEs become its one style and its one script, in their order.
# Its policy admits these by their hashes, which are also there for C: NAME_css_hash and NAME_js_hash.
set -eu
name=$1 page=$2
shift 2

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# hash FILE - base64 of its SHA-256.
hash() {
    env printf "$(sha256sum <"$1" | sed 's/ .*//; s/../\\x&/g')" | base64
}

# bytes PART
bytes() {
    printf 'static const unsigned char %s_%s[] = {\n' "$name" "$1"
    od -An -v -tx1 "$dir/$1" | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'
    printf '};\n'
}

# What stands between <style> or <script> and its end: a line break, then the text.
for kind in css js; do
    echo >"$dir/$kind"
done
for file in "$@"; do
    cat "$file" >>"$dir/${file##*.}"
done
css_hash=sha256-$(hash "$dir/css")
js_hash=sha256-$(hash "$dir/js")
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
      printf "%s%s", $0, /<(style|script)>$/ ? "" : "\n" >out }' "$page"
echo '/* Made by tools/viewer/embed.sh. */'
bytes head
if [ -f "$dir/tail" ]; then
    bytes tail
else
    printf '#define %s "%s"\n' "${name}_css_hash" "$css_hash" "${name}_js_hash" "$js_hash"
fi
