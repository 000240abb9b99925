# Waxseal's commands. `make` or `make help` prints them.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT   = golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

# What the tests need beside Go, as Debian and Ubuntu name it: a C compiler for
# the race detector, mail programs that send through Waxseal, a keychain,
# promtool (in the package prometheus), and wine with a Windows compiler.
PACKAGES = gcc libc6-dev git curl python3 swaks msmtp s-nail git-email libmailtools-perl libauthen-sasl-perl libio-socket-ssl-perl \
	dbus-x11 gnome-keyring libsecret-tools prometheus wine wine64 gcc-mingw-w64-x86-64

VERSION ?= $(shell git describe --tags --dirty --always 2>/dev/null || echo dev)
BUILD    = CGO_ENABLED=0 go build -tags nogui -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
STAGE    = @.ci/stage

# promtool stands here where `make packages` took it out of its package.
export PATH := $(CURDIR)/bin/tools:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo run build test packages fmt-check vet staticcheck rules race lint fuzz bench icons clean

help: ## print this
	@awk -F ': .*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: build ## consent, sign in, send, see it arrive, with a built-in provider
	@if [ -t 0 ] && [ -z "$$CI" ]; then exec bin/waxseal demo; else exec bin/waxseal demo --once; fi

run: build ## run it with your accounts
	@exec bin/waxseal

build: ## make bin/waxseal
	@mkdir -p bin
	@$(BUILD) -o $(or $(OUT),bin/) ./cmd/waxseal

test: packages lint rules race ## everything that has to pass

packages: ## install what the tests need, where it is missing
	$(STAGE) packages .ci/packages $(PACKAGES)

lint: fmt-check vet staticcheck ## gofmt, go vet for each system, staticcheck

fmt-check:
	$(STAGE) gofmt .ci/gofmt

vet:
	$(STAGE) "go vet linux"   env GOOS=linux   CGO_ENABLED=0 go vet -tags nogui ./... ./.ci/tests
	$(STAGE) "go vet windows" env GOOS=windows CGO_ENABLED=0 go vet -tags nogui ./...
	$(STAGE) "go vet darwin"  env GOOS=darwin  CGO_ENABLED=0 go vet -tags nogui ./...

staticcheck:
	$(STAGE) staticcheck go run $(STATICCHECK) -tags nogui ./... ./.ci/tests

rules: ## check and test the Prometheus alert rules
	$(STAGE) "alert rules" .ci/rules

race: ## the Go tests, with the race detector
	$(STAGE) "go test -race" go run ./.ci/tests -race -tags nogui ./...

fuzz: ## run each fuzz target for FUZZTIME (30s)
	@.ci/fuzz $(or $(FUZZTIME),30s)

bench: ## run the benchmarks; the first result is kept and later ones compared with it
	@.ci/bench $(BENCHSTAT)

icons: ## make the PNG and ICO icons from the drawings in assets/icon
	@.ci/icons

clean: ## remove what was built
	@rm -rf bin
