#!/bin/sh
# cli_page.sh - the page of `dagpt trace --html`: what it makes of names, what it admits, what it weighs.
. tests/command/command.sh

# page_of NAME - the page of a trace without tiles, of a model of this name: the inside of a JSON string, which
# printf formats.
page_of() {
    printf "{\"dagpt\": {\"version\": 1, \"workers\": 1, \"awake\": 1, \"model\": {\"name\": \"$1\"}, \"plans\": [], \"steps\": []}, \"traceEvents\": []}" >"$dir/trace.json"
    run trace "$dir/trace.json" --html "$dir/page.html"
}

# becomes NAME EXPECTED - the name in the page.
becomes() {
    page_of "$1"
    sed -n 's/^"model": "\(.*\)", "sched": .*/\1/p' "$dir/page.html" >"$dir/name"
    succeeded && printf "$2\n" | cmp -s - "$dir/name"
}

count "text is kept" becomes 'b \303\251 \342\202\254 \360\237\230\200 &amp;' 'b \303\251 \342\202\254 \360\237\230\200 &amp;'
count "< cannot end the script" becomes '</script><!--<script>' '\\u003c/script>\\u003c!--\\u003cscript>'
count "nor as an escape" becomes '\\u003c/script>' '\\u003c/script>'
count "a control character of ISO 8859" becomes '\302\233' '\\u009b'
count "quotes and backslashes" becomes '\\"\\\\' '\\"\\\\'
# refused NAME - it is no UTF-8, and so no JSON.
refused() {
    page_of "$1"
    failed_with 3 dagpt 'expected UTF-8'
}

count "a byte that is none of UTF-8" refused 'a\377b\200'
count "an overlong <" refused '\300\274'
count "an overlong / of three bytes" refused '\340\200\257'
count "a surrogate" refused '\355\240\200'
count "past U+10FFFF" refused '\364\220\200\200'
count "a sequence cut by <" refused '\342\202<'
count "a sequence cut by the end" refused 'a\360\237\230'
count "a long name is whole" becomes "$(printf '%01254d' 0)\\303\\251" "$(printf '%01254d' 0)\\303\\251"
count "nothing" becomes '' ''

# The page admits its own style and script alone, by their hashes, and loads nothing.
page_of small
hash_of() {
    sed -n "/^<$1>\$/,/^<\/$1>\$/p" "$dir/page.html" | sed "1s/.*//; \$d" >"$dir/text"
    env printf "$(sha256sum <"$dir/text" | sed 's/ .*//; s/../\\x&/g')" | base64
}
count "the style's hash" has "style-src 'sha256-$(hash_of style)'" "$dir/page.html"
count "the script's hash" has "script-src 'sha256-$(hash_of script)'" "$dir/page.html"
count "nothing else is admitted" has "content=\"default-src 'none'; style-src" "$dir/page.html"
count "no address but the page's own" lacks "://" "$dir/page.html"
for word in @CSS @JS @TRACE innerHTML outerHTML insertAdjacentHTML document.write 'eval(' 'fetch(' XMLHttpRequest; do
    count "no $word in the page" lacks "$word" "$dir/page.html"
done
finish
