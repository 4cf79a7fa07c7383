#!/bin/sh
# Builds a Python environment in `.venvs/`, then points the link `.venv` at it. `make` calls this script.
# usage: UV=path/of/uv deploy/environment.sh run|dev|copy
#   run   what the server needs; the code is the checkout's, for `make run`
#   dev   the same, and what tests and checks need
#   copy  what the server needs, and a copy of the code, for services: a `git pull` does not change a running service
#
# Invariants: `.venv` points at a complete environment at every moment. The name of an environment is a hash of its input.
# An environment that a process uses is neither changed nor removed, so a process loads modules of its own version only.
set -eu
cd "$(dirname "$0")/.."
kind=$1
checkout=$(pwd -P)
# The users of the services read the environment, whoever builds it.
umask 022

is_home() {
    case $1 in /root/* | /home/* | /run/user/*) return 0 ;; *) return 1 ;; esac
}

is_used() {
    # grep reads the pattern from stdin: as an argument it would match grep's own command line.
    printf '%s\n' "$checkout/$1/" | grep -qsaF -f - /proc/[0-9]*/cmdline
}

create_environment() {
    # The units hide home directories, so a Python in one (pyenv's, uv's default) does not work for services.
    found=$("$UV" python find --system --resolve-links "$(cat .python-version)" 2>/dev/null) || found=
    if [ "$kind" = copy ] && is_home "$found" && ! is_home "$checkout"; then
        UV_PYTHON_PREFERENCE=only-managed "$UV" venv --quiet --clear "$1" && return 0
        echo "The only Python $(cat .python-version) available is $found, which services can't reach." >&2
    fi
    "$UV" venv --quiet --clear "$1"
}

input="pyproject.toml requirements.lock .python-version"
case $kind in
run) mark=.runnable ;;
dev) mark=.ready ;;
copy)
    mark=.copied
    input="$input $(find api executor shared cli -type f ! -name '*.pyc' | LC_ALL=C sort)"
    ;;
*) echo "usage: $0 run|dev|copy" >&2 && exit 2 ;;
esac
# shellcheck disable=SC2086 # none of these paths has a space
new=.venvs/$kind-$(sha256sum $input | sha256sum | cut -c 1-12)

if [ ! -e "$new/$mark" ]; then
    create_environment "$new"
    python=$new/bin/python
    case $kind in
    # uv verifies the hashes of constraints too.
    run) "$UV" pip install --python "$python" --constraints requirements.lock --editable '.[cluster]' ;;
    dev)
        "$UV" pip sync --python "$python" requirements.lock
        "$UV" pip install --quiet --python "$python" --no-deps --editable .
        ;;
    # The users of the services can't write here, so the modules are compiled now.
    copy) "$UV" pip install --python "$python" --compile-bytecode --constraints requirements.lock '.[cluster]' ;;
    esac
fi
# `make run` accepts an environment for development.
[ "$kind" != dev ] || touch "$new/.runnable"
touch "$new/$mark"

before=$(readlink .venv) || before=
# Earlier versions made `.venv` a directory.
[ ! -d .venv ] || [ -n "$before" ] || mv .venv .venvs/before
ln -sfn "$new" .venv.new
mv -fT .venv.new .venv
for old in .venvs/*; do
    [ "$old" = "$new" ] || [ "$old" = "$before" ] || is_used "$old" || rm -rf "$old"
done
