#!/bin/sh
# Runs the tests of the page's logic (src/*.test.ts) in node. Needs no npm.
set -eu
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

go tool -modfile=tools/go.mod esbuild web/src/*.test.ts \
	--bundle --platform=node --format=esm --target=node20 --out-extension:.js=.mjs \
	--sourcemap=inline --log-level=warning --outdir="$out"
node --enable-source-maps --test "$out"
