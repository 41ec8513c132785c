#!/bin/sh
# picture.sh OUT - a picture of the viewer with a real trace: four workers, all awake, on a synthetic model of
# GPT-2's size. $BUILD: the build folder. Where a browser or node is missing, it says so and leaves OUT.
set -eu
cd "${BUILD:-build}"
build=$(pwd)
cd - >/dev/null
browser=$(tests/viewer/need.sh) || exit 0
[ -f "$build/synthetic_124M.bin" ] || "$build/make-model" --size 124M -o "$build/synthetic_124M.bin"
(cd "$build" && ./dagpt tokens -m synthetic_124M.bin -j 4 --cpus 4 --total 24 --trace viewer.json 31373 612 >/dev/null)
"$build/dagpt" trace "$build/viewer.json" --html "$build/viewer.html"
DAGPT_BROWSER=$browser node tests/viewer/picture.mjs "$build/viewer.html" "$1"
