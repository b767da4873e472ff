#!/bin/sh
# Builds web/dist, the pages that the server embeds, byte for byte the same
# everywhere: go generate ./web. The tool's version is pinned in tools/go.mod;
# npm is not needed, as what comes from there is in web/npm as it came.
set -eu
cd "$(dirname "$0")/.."

go tool -modfile=tools/go.mod esbuild \
	app=web/src/main.ts app=web/src/style.css ticker=web/src/ticker.worker.ts stomp=web/src/style/stomp.css \
	--bundle --minify --charset=utf8 --format=esm --target=es2022 \
	--legal-comments=none --log-level=warning \
	--outdir=web/dist/assets
cp web/index.html web/stomp.html web/dist/
cp web/icon.svg web/stomp.js web/npm/* web/dist/assets/
