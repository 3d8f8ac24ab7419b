#!/usr/bin/env bash
# python.sh base|dev: the virtual environment .venv with exactly the pinned, hashed packages of requirements/.
. "$(dirname "$0")/common.sh"
set=${1:?base or dev}

find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    die "Python 3.11 or newer is needed, and was not found"
}

make_venv() {
    local python
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null || apt_install "to make virtual environments" python3-venv
    say "making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
}

"$venv/bin/python" -m pip --version >/dev/null 2>&1 || make_venv

if ! current "$venv/$set.stamp" "requirements/$set.txt"; then
    say "installing the packages of requirements/$set.txt"
    "$venv/bin/python" -m pip install --progress-bar=off --require-hashes -r "requirements/$set.txt" |
        sed -u -n -E 's/^Collecting ([^ ]+).*/    \1/p; /^(Installing|Successfully)/{s/^(.{0,60}).*/    \1…/p}'
    fingerprint "requirements/$set.txt" >"$venv/$set.stamp"
fi
if ! current "$venv/project.stamp" pyproject.toml; then
    say "installing homecare itself, from this folder"
    "$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
    fingerprint pyproject.toml >"$venv/project.stamp"
fi
