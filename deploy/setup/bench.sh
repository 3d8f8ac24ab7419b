#!/usr/bin/env bash
# bench.sh: what `make bench` compares the rules with, beside the virtual environment: not every Python has a wheel of it.
. "$(dirname "$0")/common.sh"
folder=build/bench/packages
if ! current "$folder.stamp" requirements/bench.txt; then
    mkdir -p "$folder"
    if "$venv/bin/python" -m pip install --quiet --only-binary :all: --no-deps --require-hashes --upgrade --target "$folder" -r requirements/bench.txt; then
        fingerprint requirements/bench.txt >"$folder.stamp"
    else
        say "Bytewax cannot be installed for $("$venv/bin/python" --version): it will not be measured"
    fi
fi
