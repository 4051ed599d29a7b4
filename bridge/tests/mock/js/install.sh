#!/bin/sh
# Installs the schema of AsyncAPI documents into the folder where the tests of lota-bridge look for it:
# <target>/tmp/asyncapi. Needs npm. Does nothing where it is there.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../../../target}
folder=$target/tmp/asyncapi
cmp -s "$here/package.json" "$folder/package.json" && [ -d "$folder/node_modules/@asyncapi/specs" ] && exit 0
mkdir -p "$folder"
cp "$here/package.json" "$folder/"
cd "$folder"
npm install --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel=error
