#!/bin/sh
# Tries that a program starts as the user of its service, from where a service may look: the units see no home.
# usage: starts.sh USER ENVIRONMENT MODULE    as root; status 1, and what to do, if it does not
set -eu
cd /
user=$1 python=$(readlink -f "$2")/bin/python module=$3 checkout=$(dirname "$2")
anew="Install Python $(cat "$checkout/.python-version") for all users (a package, or below /usr/local), then: make clean && make install"

# Its own file, its environment, and where its library is.
for place in $("$python" -I -c 'import os, sys; print(*map(os.path.realpath, (sys.executable, sys.prefix, sys.base_prefix)))'); do
    case $place in
    /root/* | /home/* | /run/user/*)
        echo "$place lies in a home, where services can't look. $anew" >&2
        exit 1
        ;;
    esac
done
# As `ProtectHome=yes` has it, where root may make mounts: a library in a home that everybody may enter would be found.
without_homes='for home in /root /home /run/user; do [ ! -d "$home" ] || mount -t tmpfs none "$home"; done; exec "$@"'
set -- runuser -u "$user" -- "$python" -P -c "import $module"
! unshare --mount true 2>/dev/null || set -- unshare --mount sh -ec "$without_homes" sh "$@"
if ! said=$("$@" 2>&1); then
    echo "$user can't run $python, or load $module: $said" >&2
    echo "Let everybody read it: chmod -R go+rX $checkout" >&2
    exit 1
fi
