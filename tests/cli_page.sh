#!/bin/sh
# cli_page.sh - what `dagpt trace --html` makes of a trace's bytes (tests/page.c writes the same page).
. tests/command.sh
page=$build/tests/page

# between - the data block of the page on stdin.
between() {
    sed -n 's/^<script type="application\/json" id="trace">\(.*\)<\/script>$/\1/p'
}

# becomes BYTES EXPECTED - printf formats both.
becomes() {
    printf "$1" | "$page" | between >"$dir/out"
    printf "$2\n" | cmp -s - "$dir/out"
}

count "text is kept" becomes '{"a": "b \303\251 \342\202\254 \360\237\230\200 &amp;"}' '{"a": "b \303\251 \342\202\254 \360\237\230\200 &amp;"}'
count "< cannot end the script" becomes '"</script><!--<script>"' '"\\u003c/script>\\u003c!--\\u003cscript>"'
count "a byte that is none of UTF-8" becomes 'a\377b\200' 'a\357\277\275b\357\277\275'
count "an overlong <" becomes '\300\274' '\357\277\275\357\277\275'
count "an overlong / of three bytes" becomes '\340\200\257' '\357\277\275\357\277\275\357\277\275'
count "a surrogate" becomes '\355\240\200' '\357\277\275\357\277\275\357\277\275'
count "past U+10FFFF" becomes '\364\220\200\200' '\357\277\275\357\277\275\357\277\275\357\277\275'
count "a sequence cut by <" becomes '\342\202<' '\357\277\275\357\277\275\\u003c'
count "a sequence cut by the end" becomes 'a\360\237\230' 'a\357\277\275\357\277\275\357\277\275'
count "nothing" becomes '' ''

# The page admits its own style and script alone, by their hashes, and loads nothing.
printf '{}' | "$page" >"$dir/page.html"
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
