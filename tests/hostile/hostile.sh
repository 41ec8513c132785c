#!/bin/sh
# hostile.sh - bad inputs of every reader, each with the exit code and the line on stderr that it is to have:
# tests/hostile/hostile.py runs the tables beside it.
command -v python3 >/dev/null || {
    echo "hostile: skipped: no python3"
    exit 77
}
exec python3 "$(dirname "$0")/hostile.py" "$@"
