# ranks.sh - what the tests of dagpt-mpi share; to be sourced in the project's root.
. tests/command/command.sh

mpi=$build/dagpt-mpi$KIND
wired=$build/tests/mpi/dagpt-mpi$KIND # the same behind wire.c
suite=$suite$KIND
launch=mpirun$KIND
setenv() { echo "-genv $1 $2"; } # the option of $launch that sets a variable of ranks
if $launch --version | grep -qE 'Open ?(MPI|RTE)'; then
    launch="$launch --oversubscribe --allow-run-as-root"
    setenv() { echo "-x $1=$2"; }
fi

# ranks N ARGUMENT... - dagpt-mpi on N ranks; leaves $dir/out, $dir/err and $status.
ranks() {
    n=$1
    shift
    # shellcheck disable=SC2086
    timeout 120 $launch -n "$n" "$mpi" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
}

# is_6 STATUS - hydra, MPICH's starter, kills what is left when one rank has ended, and may tell of that instead.
is_6() {
    [ "$1" -eq 6 ] || { [ "$KIND" = .mpich ] && [ "$1" -ne 0 ]; }
}

# rank_of PID - of a rank's process; nothing: it is a keeper, or is gone.
rank_of() {
    [ "$(cat "/proc/$1/comm")" != dagpt-mpi-keep ] && tr '\0' '\n' <"/proc/$1/environ" | sed -n 's/^\(OMPI_COMM_WORLD_RANK\|PMI_RANK\)=//p'
} 2>/dev/null

# said_by_ranks FILE - the last run printed FILE, and no line of its own.
said_by_ranks() {
    [ "$status" -eq 0 ] && ! grep -q '^dagpt' "$dir/err" && cmp -s "$dir/out" "$1"
}

# one_line CODE TEXT - the last run said that, in one line of its own, once, and ended with that code.
one_line() {
    [ "$status" -eq "$1" ] && [ "$(grep -c '^dagpt' "$dir/err")" -eq 1 ] && grep -q "^dagpt.*$2" "$dir/err"
}
