#!/bin/sh
# Checks that a program starts as the user of its service, without home directories, which the units hide.
# usage: starts.sh USER ENVIRONMENT MODULE    as root; on failure it prints the fix and exits with status 1
set -eu
cd /
user=$1 python=$(readlink -f "$2")/bin/python module=$3 checkout=$(dirname "$2")
reinstall="Install Python $(cat "$checkout/.python-version") for all users (a package, or below /usr/local), then: make clean && make install"

# The executable, its environment, and its standard library.
for place in $("$python" -I -c 'import os, sys; print(*map(os.path.realpath, (sys.executable, sys.prefix, sys.base_prefix)))'); do
    case $place in
    /root/* | /home/* | /run/user/*)
        echo "$place is in a home directory, which services can't read. $reinstall" >&2
        exit 1
        ;;
    esac
done
# As with `ProtectHome=yes`, where root may mount: otherwise a library in a home that everybody may enter would be found.
without_homes='for home in /root /home /run/user; do [ ! -d "$home" ] || mount -t tmpfs none "$home"; done; exec "$@"'
set -- runuser -u "$user" -- "$python" -P -c "import $module"
! unshare --mount true 2>/dev/null || set -- unshare --mount sh -ec "$without_homes" sh "$@"
if ! output=$("$@" 2>&1); then
    echo "$user can't run $python, or load $module: $output" >&2
    echo "Let every user read it: chmod -R go+rX $checkout" >&2
    exit 1
fi
