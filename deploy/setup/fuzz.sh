#!/usr/bin/env bash
# fuzz.sh: the fuzzer of `make fuzz`, beside the virtual environment: not every Python has a wheel of it.
. "$(dirname "$0")/common.sh"
folder=build/fuzz/packages
if ! current "$folder.stamp" requirements/fuzz.txt; then
    mkdir -p "$folder"
    if "$venv/bin/python" -m pip install --quiet --only-binary :all: --no-deps --require-hashes --upgrade --target "$folder" -r requirements/fuzz.txt; then
        fingerprint requirements/fuzz.txt >"$folder.stamp"
    else
        say "the fuzzer cannot be installed for $("$venv/bin/python" --version)"
    fi
fi
