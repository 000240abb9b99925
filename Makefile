# Waxseal's commands. `make` or `make help` prints them.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT   = golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

# What the tests need beside Go, as Debian and Ubuntu name it: a C compiler for
# the race detector, mail programs that send through Waxseal, a keychain,
# promtool (in the package prometheus), wine with a Windows compiler, and what the
# program meets in real life: a browser, an OpenID provider (which npm has), a mail
# server that asks it about tokens.
PACKAGES = gcc libc6-dev git curl python3 swaks msmtp s-nail git-email libmailtools-perl libauthen-sasl-perl libio-socket-ssl-perl \
	neomutt mailutils php-cli libphp-phpmailer node-nodemailer \
	dbus-x11 gnome-keyring gcr keepassxc xvfb libsecret-tools prometheus wine wine64 gcc-mingw-w64-x86-64 \
	chromium nodejs npm dovecot-core dovecot-submissiond

# Those of `make clients`: 80 MB for Thunderbird alone.
CLIENT_PACKAGES = thunderbird claws-mail

VERSION ?= $(shell git describe --tags --dirty --always 2>/dev/null || echo dev)

# Registrations to build in, for who distributes Waxseal: see docs/providers.md.
CLIENTS ?=
BUILD    = CGO_ENABLED=0 go build -tags nogui -trimpath -ldflags "-s -w -X main.version=$(VERSION) \
	-X 'github.com/waxseal/waxseal/proxy.builtClients=$(CLIENTS)'"
STAGE    = @.ci/stage

# promtool stands here where `make packages` took it out of its package.
export PATH := $(CURDIR)/bin/tools:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo run build test packages fmt-check vet staticcheck rules race e2e e2e-tests clients lint fuzz bench bench-go icons clean

help: ## print this
	@awk -F ': .*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: build ## consent, sign in, send, see it arrive, with a built-in provider
	@if [ -t 0 ] && [ -z "$$CI" ]; then exec bin/waxseal demo; else exec bin/waxseal demo --once; fi

run: build ## run it with your accounts
	@exec bin/waxseal

build: ## make bin/waxseal
	@mkdir -p bin
	@$(BUILD) -o $(or $(OUT),bin/) ./cmd/waxseal

test: packages lint rules race e2e-tests ## everything that has to pass

packages: ## install what the tests need, where it is missing
	$(STAGE) packages .ci/packages $(PACKAGES)

lint: fmt-check vet staticcheck ## gofmt, go vet for each system, staticcheck

fmt-check:
	$(STAGE) gofmt .ci/gofmt

vet:
	$(STAGE) "go vet linux"   env GOOS=linux   CGO_ENABLED=0 go vet -tags e2e,clients ./... ./.ci/tests ./.ci/load
	$(STAGE) "go vet windows" env GOOS=windows CGO_ENABLED=0 go vet ./...
	$(STAGE) "go vet darwin"  env GOOS=darwin  CGO_ENABLED=0 go vet ./...

staticcheck:
	$(STAGE) staticcheck go run $(STATICCHECK) -tags e2e,clients ./... ./.ci/tests ./.ci/load

rules: ## check and test the Prometheus alert rules
	$(STAGE) "alert rules" .ci/rules

race: ## the Go tests, with the race detector
	$(STAGE) "go test -race" go run ./.ci/tests -race ./...

e2e: packages e2e-tests ## the program against a real provider, browser, keychain and mail server

e2e-tests: build
	$(STAGE) "end to end" .ci/e2e bin/waxseal

clients: packages ## 25 MB with each mail program; Thunderbird and Claws Mail on a virtual screen
	$(STAGE) packages .ci/packages $(CLIENT_PACKAGES)
	$(STAGE) "mail programs" go run ./.ci/tests -tags clients -race -count=1 -run 'Thunderbird|ClawsMail|LargeAttachment' ./cmd/waxseal

fuzz: ## run each fuzz target for FUZZTIME (30s)
	@.ci/fuzz $(or $(FUZZTIME),30s)

bench: ## compare Waxseal with sending directly and through a forwarder; writes docs/performance.md
	@CGO_ENABLED=0 go build -tags nogui -trimpath -o bin/load/ ./cmd/waxseal ./.ci/load
	@bin/load/load -waxseal bin/load/waxseal -write docs/performance.md

bench-go: ## run the Go benchmarks; the first result is kept and later ones compared with it
	@.ci/bench $(BENCHSTAT)

icons: ## make the PNG icons from assets/icon/waxseal.svg
	@for size in 16 32 48 64 128 256 512; do \
		rsvg-convert -w $$size -h $$size assets/icon/waxseal.svg -o assets/icon/waxseal-$$size.png || exit 1; done

clean: ## remove what was built
	@rm -rf bin
