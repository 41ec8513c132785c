#!/bin/sh
# rooms.sh - checks that includes go one way, and that only sync.h touches atomics and threads.
# A room may include itself, dagpt.h, and the rooms listed with it.
status=0

room() {
    name=$1
    shift
    allowed=" $name $* "
    for file in src/"$name"/*.[ch]; do
        for other in $(sed -n 's|^#include "\.\./\([a-z]*\)/.*|\1|p' "$file"); do
            case "$allowed" in
            *" $other "*) ;;
            *)
                echo "$file includes from $other; $name may include:$*" >&2
                status=1
                ;;
            esac
        done
    done
}

room base
room graph base
room ops base graph
room runtime base graph
room model base graph ops runtime

if grep -nE '#include <(stdatomic|pthread|threads)\.h>' src/*/*.[ch] | grep -v '^src/runtime/sync\.h:'; then
    echo "only src/runtime/sync.h may include those" >&2
    status=1
fi
if grep -nE '#include ".*(tools|tests)/' src/*.h src/*/*.[ch]; then
    echo "src/ must not include tools or tests" >&2
    status=1
fi
exit $status
