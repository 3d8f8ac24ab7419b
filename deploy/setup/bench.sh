#!/usr/bin/env bash
# bench.sh: what `make bench` compares the rules with, beside the virtual environment: not every Python has a wheel of it.
. "$(dirname "$0")/common.sh"
install_beside bench || say "Bytewax cannot be installed for $("$venv/bin/python" --version): it will not be measured"
