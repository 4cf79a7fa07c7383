#!/bin/sh
# Makes the environment of the programs beside the one in use, then puts it in its place: what `make` does before all else.
# usage: UV=path/of/uv deploy/environment.sh editable|copy
#   editable  the programs' code is the checkout's: for `make run` and those who change it
#   copy      the code is copied, so that a `git pull` changes nothing of what runs: for services
#
# Law: `.venv` is a link that leads to a whole environment at every moment. Environments lie in `.venvs/`, each named for
# what it is made of; one that a process runs from is neither changed nor removed, so that whatever that process loads or
# starts later is of its own version.
set -eu
cd "$(dirname "$0")/.."
kind=$1
here=$(pwd -P)
# The services' users read it, whoever makes it.
umask 022

home() {
    case $1 in /root/* | /home/* | /run/user/*) return 0 ;; *) return 1 ;; esac
}

used() {
    # By a pattern on stdin: in an argument it would be found in the very process that looks for it.
    printf '%s\n' "$here/$1/" | grep -qsaF -f - /proc/[0-9]*/cmdline
}

environment() {
    # Services see no home: a Python that lies in one (pyenv's, uv's own) is of no use to them.
    found=$("$UV" python find --system --resolve-links "$(cat .python-version)" 2>/dev/null) || found=
    if [ "$kind" = copy ] && home "$found" && ! home "$here"; then
        UV_PYTHON_PREFERENCE=only-managed "$UV" venv --quiet --clear "$1" && return 0
        echo "No other Python $(cat .python-version) could be had than $found, which services can't reach." >&2
    fi
    "$UV" venv --quiet --clear "$1"
}

case $kind in
editable) parts="pyproject.toml requirements.lock .python-version" ready=.ready ;;
copy) parts="pyproject.toml requirements.lock .python-version $(
    find api executor shared cli -type f ! -name '*.pyc' | LC_ALL=C sort
)" ready=.copied ;;
*) echo "usage: $0 editable|copy" >&2 && exit 2 ;;
esac
# shellcheck disable=SC2086 # no name of ours has a space
new=.venvs/$kind-$(sha256sum $parts | sha256sum | cut -c 1-12)

if [ ! -e "$new/$ready" ]; then
    environment "$new"
    python=$new/bin/python
    if [ "$kind" = copy ]; then
        # Who runs it may write nothing here, so it is compiled now.
        "$UV" pip sync --python "$python" --compile-bytecode requirements.lock
        "$UV" pip install --quiet --python "$python" --compile-bytecode --no-deps .
    else
        "$UV" pip sync --python "$python" requirements.lock
        "$UV" pip install --quiet --python "$python" --no-deps --editable .
    fi
fi
touch "$new/$ready"

before=$(readlink .venv) || before=
# What an earlier version made in this place was a folder.
[ ! -d .venv ] || [ -n "$before" ] || mv .venv .venvs/before
ln -sfn "$new" .venv.new
mv -fT .venv.new .venv
for each in .venvs/*; do
    [ "$each" = "$new" ] || [ "$each" = "$before" ] || used "$each" || rm -rf "$each"
done
