#!/bin/sh
# cli_leaving.sh - signals, readers that go, and pipes that are full: leaving.py, with a model that is slow enough.
. tests/command/command.sh

"$maker" --layers 10 --heads 4 --channels 256 --vocab 50257 --positions 1024 -o "$dir/slow" || exit 1
mkdir "$dir/here"
python3 tests/command/leaving.py "$program" "$tiny" "$golden/vocab.bpe" "$dir/slow" "$dir/here"
