# The commands of the project. `make test` is what the README promises; `make
# ci` is what CI runs.

# Versions of the tools, in this one place (esbuild's is in tools/go.mod).
GOLANGCI_LINT := v2.15.0

BIN := $(CURDIR)/bin

.PHONY: build test faults faults-short race bench bench-report peers fuzz model lint page page-current tidy browser ci

# The server, as bin/rollcall.
build:
	CGO_ENABLED=0 go build -buildvcs=auto -trimpath -ldflags "-s -w" -o $(BIN)/rollcall .

# Everything but the browser: unit, property, conformance and end-to-end tests.
test:
	go test ./...

# The same under the race detector.
race:
	go test -race ./...

# The benchmarks, with allocations. BENCH=name runs one.
BENCH ?= .
bench:
	go test -run '^$$' -bench '$(BENCH)' -benchmem ./...

# The presence benchmark, beside its floor and other servers, into
# docs/benchmarks.md with its plots: SHORT=1 takes less than ten minutes, the long form an
# hour or two. Leave the machine alone meanwhile. CENTRIFUGO=path brings a
# Centrifugo in. Linux only.
bench-report: build
	$(BIN)/rollcall bench all $(if $(SHORT),--short) $(if $(CENTRIFUGO),--centrifugo $(CENTRIFUGO)) --report docs/benchmarks.md

# Every fuzz test for FUZZTIME each: so many inputs, or a duration, which before
# Go 1.27 may fail by its own end (go.dev/issue/75804).
FUZZTIME ?= 10000x
fuzz:
	sh internal/scripts/fuzz.sh $(FUZZTIME)

# Thousands of random walks through rooms, sessions and resumes, in virtual
# time, against a referee and a naive model.
CHECKS ?= 1000
model:
	go test ./actors -run Model -rapid.checks=$(CHECKS)

# Break things on purpose, with the loads of docs/faults.md, and write its
# tables. RUN=name runs one, and writes nothing. Linux only.
faults:
	go test -tags faults -count 1 -timeout 60m ./internal/faults -long $(if $(RUN),-v -run '$(value RUN)',-report $(CURDIR)/docs/faults.md)

# The same with small loads, in about two minutes.
faults-short:
	go test -tags faults -count 1 -timeout 15m ./internal/faults

lint: $(BIN)/golangci-lint-$(GOLANGCI_LINT)
	gofmt -l $$(git ls-files '*.go') | (! grep .)
	go vet ./...
	GOOS=darwin go vet ./...
	$(BIN)/golangci-lint-$(GOLANGCI_LINT) run ./...
	go vet -tags faults ./...
	$(BIN)/golangci-lint-$(GOLANGCI_LINT) run --build-tags faults ./actors ./app ./presence ./internal/faults/...

$(BIN)/golangci-lint-$(GOLANGCI_LINT):
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	mv $(BIN)/golangci-lint $@

# The pages, from web/src to web/dist.
page:
	go generate ./web

# Fails when web/dist is not what web/src makes.
page-current: page
	git diff --exit-code -- web/dist
	test -z "$$(git status --porcelain -- web/dist)"

# Fails when go.mod is not tidy.
tidy:
	go mod tidy -diff

# The pages in a real browser, and the server with the real stompjs and
# sockjs-client, in node and there: Debian's Chromium and the pinned npm packages
# are installed where they are missing.
browser:
	sh web/browser/run.sh

# The servers beside which we are measured (bench/peers/README.md): their tests,
# and the benchmark's load on each, counted. The pinned npm packages are
# installed where they are missing; what is not here is said and skipped.
# CENTRIFUGO=path brings a Centrifugo in. Linux only.
peers:
	cd bench/peers && go mod tidy -diff && go vet ./... && go test ./...
	go vet -tags peers ./bench
	ROLLCALL_CENTRIFUGO=$(if $(CENTRIFUGO),$(abspath $(CENTRIFUGO))) go test -tags peers -count 1 -timeout 15m ./bench -v -run PeersDoTheWork

ci: lint tidy page-current
	go test ./...
	go test -race ./...
	GOEXPERIMENT=jsonv2 go test ./protocol ./client/... ./app/...
	$(MAKE) model
	$(MAKE) faults-short
	$(MAKE) fuzz
	$(MAKE) browser
