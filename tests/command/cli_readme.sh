#!/bin/sh
# cli_readme.sh - README's commands, in its order, as they stand there: those of its sh blocks; those of its
# console blocks, with small or synthetic models in the place of those that they say to download (get-gpt2 is only
# asked for its usage); the program of its c block; and `make run`, which tells the story that is shown. A comment
# of numbers alone is what a command prints. In a folder that looks like a clone, with a copy of the build folder,
# so that little is compiled.
if [ -n "$SAN" ]; then
    echo "cli_readme: skipped: a sanitizer's build is not README's"
    exit 77
fi
. tests/command/command.sh

tree=$dir/dagpt
mkdir -p "$tree/build" "$tree/models" || exit 1
for part in *; do
    case $part in
    build* | models) ;;
    *) ln -s "$PWD/$part" "$tree" || exit 1 ;;
    esac
done
for part in src spec tools libdagpt.a dagpt make-model spec-gpt2 viewer_page.h compiled-with linked-with; do
    cp -a "$build/$part" "$tree/build" || exit 1
done
[ ! -x "$build/dagpt-serve" ] ||
    cp -a "$build/dagpt-serve" "$build"/libdagpt.so* "$build/pic" "$build/serve" "$tree/build" || exit 1
[ ! -f "$build/synthetic_124M.bin" ] || ln -s "$build/synthetic_124M.bin" "$tree/build"
ln -s build/synthetic_124M.bin "$tree/gpt2_124M.bin"
ln -s "$PWD/models/demo" "$tree/models"
ln -s "$golden/gguf/small-f32.gguf" "$tree/models/gpt2-124M"

# A file NUMBER.KIND for each block, in order; without a kind: text.
awk -v dir="$dir" '
    /^```/ && file { close(file); file = ""; next }
    /^```/ { file = sprintf("%s/%02d.%s", dir, ++n, /^```./ ? substr($0, 4) : "text"); printf "" >file; next }
    file { print >file }' README.md

# in_tree FILE - runs it there.
in_tree() {
    (
        unset MAKEFLAGS MFLAGS MAKELEVEL CC CFLAGS CPPFLAGS LDFLAGS
        cd "$tree" && sh -eu "$1"
    ) >"$dir/out" 2>"$dir/err" </dev/null
}

# shown_is_so FILE - each command of it that has a comment of numbers prints them.
shown_is_so() {
    sed -n 's/^\(build[^#]*[^# ]\) *# \([0-9][0-9 ]*\)$/\1|\2/p' "$1" >"$dir/shown"
    while IFS='|' read -r command numbers; do
        echo "$command" >"$dir/one"
        in_tree "$dir/one" && [ "$(paste -s -d ' ' "$dir/out")" = "$numbers" ] || {
            echo "    $command: got '$(paste -s -d ' ' "$dir/out")', README says '$numbers'"
            return 1
        }
    done <"$dir/shown"
}

tells_the_story() {
    echo 'make run' >"$dir/one"
    in_tree "$dir/one" && tail -n 1 "$dir/out" >"$dir/told" &&
        sed '1,/^\.\.\.$/d' "$1" | paste -s -d ' ' | cmp -s - "$dir/told"
}

blocks=0
for block in "$dir"/[0-9]*; do
    case $block in
    *.c) cp "$block" "$tree/example.c" ;;
    *.console | *.sh)
        # make test is what runs this.
        sed -i 's/^\$ //; /^make test /d; s,^tools/dev/get-gpt2,& --help,' "$block"
        if ! command -v dot >/dev/null && grep -q '| dot' "$block"; then
            echo "$suite: skipped: README's pictures: no dot (Debian: graphviz)"
            sed -i '/| dot/d' "$block"
        fi
        count "README: $(head -n 1 "$block") ..." in_tree "$block"
        count 'README shows other numbers' shown_is_so "$block"
        blocks=$((blocks + 1))
        ;;
    *.text)
        [ "$(head -n 1 "$block")" != '$ make run' ] || count 'make run tells another story' tells_the_story "$block"
        ;;
    *) count "README: a block of a kind that is not tested: ${block##*.}" false ;;
    esac
done
count "README has $blocks blocks of commands, which are fewer than it had" [ "$blocks" -ge 9 ]
for file in graph.svg plan.svg run.svg; do
    command -v dot >/dev/null || break
    count "README's commands made no $file" [ -s "$tree/$file" ]
done
finish
