#!/bin/sh
# need.sh THING PACKAGE - sees to it that $CC finds a header (NAME.h), or the shell a command, if need be by
# installing its Debian package.
thing=$1 package=$2

found() {
    case $thing in
    *.h) echo "#include <$thing>" | ${CC:-gcc} -E - >/dev/null 2>&1 ;;
    *) command -v "$thing" >/dev/null ;;
    esac
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
echo "make test wants $thing: install the package '$package'" >&2
exit 1
