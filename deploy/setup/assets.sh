#!/usr/bin/env bash
# assets.sh: what the pages load in the browser, from npm by package-lock.json into dashboards/static/vendor/.
. "$(dirname "$0")/common.sh"
vendor=dashboards/static/vendor
current "$vendor/.stamp" package-lock.json deploy/setup/copy-assets.sh && exit

say "installing the browser libraries of package-lock.json"
npm_ci --omit=dev
deploy/setup/copy-assets.sh
fingerprint package-lock.json deploy/setup/copy-assets.sh >"$vendor/.stamp"
