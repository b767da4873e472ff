#!/bin/sh
# Tests the pages: their logic in node, their types, and all of them in Chromium
# against the real server; and the server with the clients of npm. What is missing is installed: the pinned npm
# packages, and Debian's Chromium unless CHROMIUM names another. Arguments are
# test files; none: all of them. ROLLCALL_BIN names a server built already.
set -eu
cd "$(dirname "$0")"

export CHROMIUM="${CHROMIUM:-/usr/bin/chromium}"
[ -x "$CHROMIUM" ] || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }
npm ls --silent >/dev/null 2>&1 || npm ci --no-audit --no-fund
if [ -z "${ROLLCALL_BIN:-}" ]; then
	out=$(mktemp -d)
	trap 'rm -rf "$out"' EXIT
	(cd ../.. && go build -o "$out/rollcall" .)
	export ROLLCALL_BIN="$out/rollcall"
fi
../test.sh
npm run --silent check
node --test --test-concurrency=1 --test-timeout=900000 "$@"
