#!/bin/sh
# need.sh WHAT PACKAGE... - sees to it that there is a header (its name ends with .h) that $CC finds, or a
# program, if need be by installing Debian packages.
what=$1
shift

found() {
    case $what in
    *.h) echo "#include <$what>" | ${CC:-gcc} -E - ;;
    *) command -v "$what" ;;
    esac >/dev/null 2>&1
}

found && exit 0
sudo=
if [ "$(id -u)" -ne 0 ]; then
    sudo=sudo
fi
if command -v apt-get >/dev/null && { [ -z "$sudo" ] || command -v sudo >/dev/null; }; then
    echo "installing $*, which the tests need"
    $sudo apt-get install -y -qq "$@" >/dev/null 2>&1 ||
        { $sudo apt-get update -qq && $sudo apt-get install -y -qq "$@" >/dev/null; }
    found && exit 0
fi
echo "the tests need $what: install $*" >&2
exit 1
