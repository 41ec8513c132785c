#!/bin/sh
# picture.sh FOLDER - pictures of the viewer with a real trace, viewer.png: four workers, all awake, on a synthetic
# model of GPT-2's size; and of the server's page, page.png. $BUILD: the build folder. Where a browser, node or the
# server is missing, it says so and leaves what is there.
set -eu
cd "${BUILD:-build}"
build=$(pwd)
cd - >/dev/null
browser=$(tests/viewer/need.sh) || exit 0
[ -f "$build/synthetic_124M.bin" ] || "$build/make-model" --size 124M -o "$build/synthetic_124M.bin"
(cd "$build" && ./dagpt tokens -m synthetic_124M.bin -j 4 --cpus 4 --total 24 --trace viewer.json 31373 612 >/dev/null)
"$build/dagpt" trace "$build/viewer.json" --html "$build/viewer.html"
DAGPT_BROWSER=$browser node tests/viewer/picture.mjs "$build/viewer.html" "$1/viewer.png"
[ -x "$build/dagpt-serve" ] || { echo "no dagpt-serve: 'make serve' says what it needs" && exit; }
DAGPT_BROWSER=$browser node tests/viewer/page_picture.mjs "$build" "$1/page.png"
