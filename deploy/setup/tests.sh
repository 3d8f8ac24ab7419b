#!/usr/bin/env bash
# tests.sh: what only the tests need: their Python packages, a browser, a font with Chinese, TimescaleDB, a JavaScript library.
. "$(dirname "$0")/common.sh"
deploy/setup/python.sh dev
# The browser's driver brings its own Node.js, which a small Debian lacks a library for.
driver=$("$venv/bin/python" -c 'import pathlib, playwright; print(pathlib.Path(playwright.__file__).parent / "driver/node")')
"$driver" --version >/dev/null 2>&1 || apt_install "for the browser's driver" libatomic1
if [ ! -d node_modules/standardwebhooks ]; then
    say "installing the JavaScript library that verifies webhooks"
    npm_ci
fi
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    apt_install "the browser of the tests" chromium
command -v mosquitto_pub >/dev/null || apt_install "the device of the README" mosquitto-clients
if [ ! -d /usr/share/fonts/opentype/noto ] && command -v apt-get >/dev/null; then
    apt_install "Chinese characters in screenshots" fonts-noto-cjk
fi
if [ -n "${HOMECARE_TEST_DATABASE_URL:-}" ]; then
    say "the tests use the database server of HOMECARE_TEST_DATABASE_URL"
elif ! command -v apt-get >/dev/null; then
    die "no TimescaleDB can be set up here: set HOMECARE_TEST_DATABASE_URL to a superuser's URL of a server that has it"
else
    tests/services/timescaledb_root.sh >/dev/null
fi
