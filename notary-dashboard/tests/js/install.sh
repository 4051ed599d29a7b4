#!/bin/sh
# Installs what drives the browser, signs as a wallet and checks accessibility into the folder where the tests of
# lota-notary-dashboard look for it: <target>/tmp/dashboard-js. Needs node 20 or later, and npm. Does nothing where it is there.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../../target}
folder=$target/tmp/dashboard-js
cmp -s "$here/package.json" "$folder/package.json" && [ -d "$folder/node_modules/puppeteer-core" ] && exit 0
mkdir -p "$folder"
cp "$here/package.json" "$folder/"
cd "$folder"
npm install --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel=error
