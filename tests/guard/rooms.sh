#!/bin/sh
# rooms.sh - checks that includes go one way, between rooms and between files, and that sync.h alone touches
# atomics and threads. README.md lists the rooms.
status=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# A room, and those that it may include from beside itself. The longest name that fits a file is its room.
cat >"$work/rooms" <<'ROOMS'
src
src/base src
src/graph src src/base
src/ops src src/base src/graph
src/runtime src src/base src/graph
src/dump src src/base src/graph
src/text src src/base src/ops
src/model src src/base src/graph src/ops src/runtime src/text
tools/limits src src/base src/runtime
tools/trace src src/base src/graph src/dump src/runtime tools/limits
tools/cli src src/base src/text src/model tools/trace
tools/bench src src/base src/graph src/model src/runtime tools/cli tools/limits tools/trace
tools/command src src/base src/graph src/dump src/model tools/cli tools/trace tools/bench
tools/dev src src/base src/model tools/cli
mpi src src/base src/graph src/model src/runtime tools/cli tools/command tools/trace
serve src tools/cli
tests/support src src/base src/graph src/ops src/runtime src/model tests/prove
tests/prove src src/base src/graph src/runtime
tests/unit src src/base src/graph src/dump src/ops src/runtime src/text src/model tests/support tools/cli tools/trace
tests/fuzz src src/base src/text src/model tools/cli tools/trace serve
tests/guard src src/base src/ops tests/support
tests/mpi src src/runtime mpi
ROOMS

# FILE INCLUDED for each include of a file of the project's, both from the root of it.
find src tools mpi serve tests -name '*.[ch]' | sort | xargs grep -H '^ *# *include "' | awk -F '[:"]' '
    {
        path = $1
        sub(/[^\/]*$/, $3, path)
        while (sub(/[^\/.]+\/\.\.\//, "", path))
            ;
        print $1, path
    }' >"$work/includes"

find src tools mpi serve tests -name '*.[ch]' | xargs grep -H '^ *# *include <sync\.h>' |
    sed 's|:.*| src/runtime/sync/sync.h|' >>"$work/includes"

awk '
    FNR == NR { for (i = 1; i <= NF; i++) may[$1, $i] = 1; room[$1] = $0; next }
    function room_of(path) {
        while (!(path in room) && sub(/\/[^\/]*$/, "", path))
            ;
        return path
    }
    {
        from = room_of($1); to = room_of($2)
        if ((from, to) in may)
            next
        printf "%s includes %s; %s may include: %s\n", $1, $2, from, room[from]
        bad = 1
    }
    END { exit bad }' "$work/rooms" "$work/includes" >&2 || status=1

# NAME.c and NAME.h are one unit; tsort finds a circle of units, and one of rooms in the list above.
sed 's/\.[ch]\( \|$\)/\1/g' "$work/includes" | awk '$1 != $2' >"$work/units"
awk '{ for (i = 2; i <= NF; i++) print $1, $i }' "$work/rooms" >"$work/order"
for graph in units order; do
    tsort "$work/$graph" >/dev/null 2>"$work/circle" || {
        echo "a circle of includes:" && sed 's/^tsort: //' "$work/circle"
        status=1
    } >&2
done

if grep -nE '# *include *[<"](stdatomic|pthread|threads|semaphore)\.h[>"]|__(atomic|sync)_|\<_Atomic\>' -r src \
    --include='*.[ch]' | grep -v '^src/runtime/sync/sync\.h:'; then
    echo "only src/runtime/sync/sync.h may have those" >&2
    status=1
fi
# tests/prove/runtime.c looks into the runtime's structs.
if grep -nE '# *include *".*\.c"' -r src tools mpi serve tests --include='*.[ch]' | grep -v '^tests/prove/runtime\.c:'; then
    echo "a .c is no header" >&2
    status=1
fi

# Every folder is a room, or lies in one; src itself is that of dagpt.h alone.
find src tools mpi serve tests -name '*.[ch]' | sed 's|/[^/]*$||' | sort -u | while read -r folder; do
    room=$folder
    while [ "$room" != . ] && ! grep -q "^$room\( \|\$\)" "$work/rooms"; do
        room=$(dirname "$room")
    done
    [ "$room" != . ] && { [ "$room" != src ] || [ "$folder" = src ]; } || echo "$folder"
done >"$work/homeless"
if [ -s "$work/homeless" ]; then
    sed 's|$|: no room; tests/guard/rooms.sh lists them|' "$work/homeless" >&2
    status=1
fi
exit $status
