#!/bin/sh
# Runs every fuzz test of the module, one after the other, for the time or the
# number of inputs (10000x) given.
set -eu
time=${1:-10000x}
for file in $(git ls-files '*_test.go'; git ls-files --others --exclude-standard '*_test.go'); do
	package=./$(dirname "$file")
	for name in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "== $package $name"
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 20x "$package"
	done
done
