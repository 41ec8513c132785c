# ranks.sh - what the tests of dagpt-mpi share; to be sourced in the project's root.
. tests/command/command.sh

mpi=$build/dagpt-mpi$KIND
suite=$suite$KIND
launch=mpirun$KIND
! $launch --version | grep -qE 'Open ?(MPI|RTE)' || launch="$launch --oversubscribe --allow-run-as-root"

# ranks N ARGUMENT... - dagpt-mpi on N ranks; leaves $dir/out, $dir/err and $status.
ranks() {
    n=$1
    shift
    # shellcheck disable=SC2086
    timeout 120 $launch -n "$n" "$mpi" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
}

# said_by_ranks FILE - the last run printed FILE, and no line of its own.
said_by_ranks() {
    [ "$status" -eq 0 ] && ! grep -q '^dagpt' "$dir/err" && cmp -s "$dir/out" "$1"
}

# one_line CODE TEXT - the last run said that, in one line of its own, once, and ended with that code.
one_line() {
    [ "$status" -eq "$1" ] && [ "$(grep -c '^dagpt' "$dir/err")" -eq 1 ] && grep -q "^dagpt.*$2" "$dir/err"
}
