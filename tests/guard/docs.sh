#!/bin/sh
# docs.sh - checks the Markdown files: every relative link leads to a file and, with #, to one of its
# headings; every path of the repository that is named in backticks or in a code block exists, but one
# with NAME in it, one that git is asked for and a model that get-gpt2 brings; no line is longer than 100
# columns but of tables, code blocks, and words that cannot be broken.
LC_ALL=C
export LC_ALL
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$(dirname "$0")/../.." || exit 1

find . \( -name .git -o -name 'build*' -o -name node_modules \) -prune -o -name '*.md' -print |
    sed 's|^\./||' | sort >"$work/pages"

# Lines of five kinds: heading FILE ANCHOR, link FILE LINE TARGET, path FILE LINE PATH, long FILE LINE,
# open FILE. A file's anchor is what GitHub makes of a heading: lower case, spaces to hyphens, and of
# other characters only letters, digits, - and _.
xargs awk '
    function anchor(text) {
        gsub(/`/, "", text)
        text = tolower(text)
        gsub(/[^a-z0-9 _\200-\377-]/, "", text)
        gsub(/ /, "-", text)
        return text
    }
    # Columns: bytes that do not go on with a UTF-8 character.
    function columns(text) {
        gsub(/[\200-\277]/, "", text)
        return length(text)
    }
    function paths(text,   word, n, i) {
        if (text ~ /git (archive|grep|log)/)
            return
        n = split(text, word, /[^A-Za-z0-9_.,{}*\/-]+/)
        for (i = 1; i <= n; i++) {
            sub(/[.,]+$/, "", word[i])
            if (word[i] ~ /NAME/ || word[i] ~ /^models\/gpt2-/)
                continue
            if (word[i] ~ /^(\.ci|docs|examples|models|serve|spec|src|tests|tools)\/./ ||
                word[i] ~ /^(Makefile|[A-Z]+\.md|LICENSE|NEWS)$/)
                print "path", FILENAME, FNR, word[i]
        }
    }
    function done() {
        if (fence)
            print "open", name
        fence = 0
        name = FILENAME
    }
    FNR == 1 { done() }
    /^ *```/ { fence = !fence; next }
    fence { paths($0); next }
    /^#+ / { text = $0; sub(/^#+ /, "", text); print "heading", FILENAME, anchor(text) }
    !/^ *\|/ && columns($0) > 100 {
        text = $0
        sub(/^[ >]*([-*+] |[0-9]+\. )?/, "", text)
        if (text ~ / /)
            print "long", FILENAME, FNR
    }
    {
        rest = $0
        while (match(rest, /`[^`]+`/)) {
            paths(substr(rest, RSTART + 1, RLENGTH - 2))
            rest = substr(rest, RSTART + RLENGTH)
        }
        rest = $0
        gsub(/`[^`]*`/, "", rest)
        while (match(rest, /\]\([^ )]+\)/)) {
            print "link", FILENAME, FNR, substr(rest, RSTART + 2, RLENGTH - 3)
            rest = substr(rest, RSTART + RLENGTH)
        }
    }
    END { done() }' <"$work/pages" >"$work/found"

# exists PATH - one with {a,b} or * has a match for each.
exists() {
    for one in $(echo "$1" | awk '
        function expand(text,   at, inner, n, i, part) {
            if (!match(text, /{[^{}]*}/)) { print text; return }
            at = RSTART; inner = substr(text, RSTART + 1, RLENGTH - 2)
            rest = substr(text, RSTART + RLENGTH)
            n = split(inner, part, ",")
            for (i = 1; i <= n; i++)
                print substr(text, 1, at - 1) part[i] rest
        }
        { expand($0) }'); do
        [ -e "$one" ] || return 1
    done
}

while read -r kind file line what; do
    case $kind in
    open) echo "$file: a code block without an end" ;;
    long) echo "$file:$line: longer than 100 columns" ;;
    path) exists "$what" || echo "$file:$line: no $what" ;;
    link)
        case $what in
        http:* | https:* | mailto:*) continue ;;
        '#'*) page=$file ;;
        *) page=$(dirname "$file")/${what%%#*} ;;
        esac
        [ -e "$page" ] || echo "$file:$line: a link to $what, which is not there"
        case $what in
        *'#'*)
            page=$(echo "$page" | sed 's|^\./||; :again; s|[^/.][^/]*/\.\./||; t again')
            grep -qxF "heading $page ${what#*#}" "$work/found" ||
                echo "$file:$line: a link to $what: no such heading"
            ;;
        esac
        ;;
    esac
done <"$work/found" >"$work/wrong"
cat "$work/wrong" >&2
[ ! -s "$work/wrong" ]
