#!/usr/bin/env bash
# fuzz.sh: the fuzzer of `make fuzz`, beside the virtual environment: not every Python has a wheel of it.
. "$(dirname "$0")/common.sh"
install_beside fuzz || say "the fuzzer cannot be installed for $("$venv/bin/python" --version)"
