#!/usr/bin/env bash
# copy-assets.sh: from node_modules/ to dashboards/static/vendor/, the few files the pages load.
set -euo pipefail
cd "$(dirname "$0")/../.."
vendor=dashboards/static/vendor
rm -rf "$vendor"
mkdir -p "$vendor"
cp node_modules/htmx.org/dist/htmx.min.js "$vendor"
cp node_modules/uplot/dist/uPlot.iife.min.js node_modules/uplot/dist/uPlot.min.css "$vendor"
cp -r node_modules/leaflet/dist/leaflet.js node_modules/leaflet/dist/leaflet.css node_modules/leaflet/dist/images "$vendor"
for package in htmx.org leaflet uplot; do cp "node_modules/$package/LICENSE" "$vendor/LICENSE.$package"; done
