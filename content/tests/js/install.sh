#!/bin/sh
# Installs the importer that the tests of lota-content compare CIDs with, into the folder where they
# look for it: <target>/tmp/content-js. Needs node 20 or later, and npm.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../../target}
mkdir -p "$target/tmp/content-js"
cp "$here/package.json" "$here/importer.mjs" "$target/tmp/content-js/"
cd "$target/tmp/content-js"
npm install --no-package-lock --no-audit --no-fund --loglevel=error
