#!/bin/sh
# need.sh HEADER PACKAGE - sees to it that $CC finds a header, if need be by installing its Debian package.
header=$1 package=$2

found() {
    echo "#include <$header>" | ${CC:-gcc} -E - >/dev/null 2>&1
}

found && exit 0
sudo=
if [ "$(id -u)" -ne 0 ]; then
    sudo=sudo
fi
if command -v apt-get >/dev/null && { [ -z "$sudo" ] || command -v sudo >/dev/null; }; then
    echo "installing $package, which the tests need"
    $sudo apt-get install -y -qq "$package" >/dev/null 2>&1 ||
        { $sudo apt-get update -qq && $sudo apt-get install -y -qq "$package" >/dev/null; }
    found && exit 0
fi
echo "make test needs <$header>: install the package '$package'" >&2
exit 1
