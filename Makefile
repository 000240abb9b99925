# Waxseal's commands. `make` or `make help` prints them.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOSEC       = github.com/securego/gosec/v2/cmd/gosec@v2.30.0
BENCHSTAT   = golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

# What the tests need beside Go, as Debian and Ubuntu name it: a C compiler for
# the race detector, mail programs that send through Waxseal, a keychain,
# promtool (in the package prometheus), wine with a Windows compiler, and what the
# program meets in real life: a browser, an OpenID provider (which npm has), a mail
# server that asks it about tokens.
PACKAGES = gcc libc6-dev git curl python3 swaks msmtp s-nail git-email libmailtools-perl libauthen-sasl-perl libio-socket-ssl-perl \
	neomutt mailutils php-cli libphp-phpmailer node-nodemailer ca-certificates openssl \
	dbus-x11 gnome-keyring gcr keepassxc xvfb libsecret-tools prometheus wine wine64 gcc-mingw-w64-x86-64 \
	chromium nodejs npm dovecot-core dovecot-submissiond \
	$(WINDOW) $(DESKTOP)

# What the window is built with on Linux, and a desktop to test it on.
WINDOW  = gcc pkg-config libgl-dev libx11-dev libxcursor-dev libxrandr-dev libxinerama-dev libxi-dev libxxf86vm-dev \
	libwayland-dev libxkbcommon-dev
DESKTOP = xvfb openbox xfce4-panel xfconf adwaita-icon-theme xdotool x11-utils imagemagick dbus desktop-file-utils

# GUI says whether the program has icon and window: where there is a display to
# show them on, unless GUI=yes or GUI=no is given. On Linux it is built with the
# packages above; the first time takes some minutes.
GUI ?= $(if $(filter-out linux,$(or $(GOOS),$(shell go env GOOS)))$(DISPLAY)$(WAYLAND_DISPLAY),yes,no)

# Those of `make clients`: 80 MB for Thunderbird alone.
CLIENT_PACKAGES = thunderbird claws-mail

VERSION ?= $(shell git describe --tags --dirty --always 2>/dev/null || echo dev)

# Registrations to build in, for who distributes Waxseal: see docs/providers.md.
CLIENTS ?=
LDFLAGS  = -s -w -X main.version=$(VERSION) -X 'github.com/waxseal/waxseal/proxy.builtClients=$(CLIENTS)'
ifeq ($(GUI),yes)
BUILD    = CGO_ENABLED=1 go build -trimpath -ldflags "$(LDFLAGS)"
else
BUILD    = CGO_ENABLED=0 go build -tags nogui -trimpath -ldflags "$(LDFLAGS)"
endif
STAGE    = @.ci/stage

# promtool stands here where `make packages` took it out of its package.
export PATH := $(CURDIR)/bin/tools:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo run build package measure-desktop test packages fmt-check floor vet staticcheck gosec rules race e2e e2e-tests suspend clients soak lint fuzz bench bench-go icons golden screenshots clean

help: ## print this
	@awk -F ': .*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

demo: build ## consent, sign in, send, see it arrive, with a built-in provider
	@if [ -z "$$CI" ] && { [ "$(GUI)" = yes ] || [ -t 0 ]; }; then exec bin/waxseal demo; else exec bin/waxseal demo --once; fi

run: build ## run it with your accounts
	@exec bin/waxseal

build: ## make bin/waxseal, with its window where there is a display (GUI=yes, GUI=no)
	@mkdir -p bin
	@$(if $(filter yes,$(GUI)),[ "$$(go env GOOS)" != linux ] || .ci/packages $(WINDOW))
	@$(BUILD) -o $(or $(OUT),bin/) ./cmd/waxseal

package: ## make dist/: Linux archive and .deb, Windows program, each with icon and window
	@.ci/packages $(WINDOW) gcc-mingw-w64-x86-64 zip
	@.ci/package "$(VERSION)" dist

measure-desktop: ## what the program costs while its window is closed
	@.ci/packages $(WINDOW) $(DESKTOP)
	@.ci/measure-desktop

test: packages lint rules race e2e-tests ## everything that has to pass

packages: ## install what the tests need, where it is missing
	$(STAGE) packages .ci/packages $(PACKAGES)

lint: fmt-check floor vet staticcheck ## gofmt, go.mod's Go version, go vet for each system, staticcheck

fmt-check:
	$(STAGE) gofmt .ci/gofmt

floor:
	$(STAGE) "go.mod's Go" .ci/floor

vet:
	$(STAGE) "go vet linux"   env GOOS=linux   CGO_ENABLED=0 go vet -tags nogui,e2e,clients ./... ./.ci/tests ./.ci/load ./.ci/suspend
	$(STAGE) "go vet windows" env GOOS=windows CGO_ENABLED=0 go vet -tags nogui ./...
	$(STAGE) "go vet darwin"  env GOOS=darwin  CGO_ENABLED=0 go vet -tags nogui,ci ./...
	$(STAGE) "go vet window"  .ci/window go vet -tags gles ./cmd/waxseal

staticcheck:
	$(STAGE) staticcheck go run $(STATICCHECK) -tags nogui,e2e,clients ./... ./.ci/tests ./.ci/load ./.ci/suspend
	$(STAGE) "staticcheck window" .ci/window go run $(STATICCHECK) -tags gles ./cmd/waxseal

gosec: ## look for mistakes that hurt security (compiles gosec for minutes the first time)
	$(STAGE) gosec .ci/gosec $(GOSEC)

rules: ## check and test the Prometheus alert rules
	$(STAGE) "alert rules" .ci/rules

race: ## the Go tests, with the race detector; how the window looks, without
	$(STAGE) "go test -race" go run ./.ci/tests -race -tags nogui ./...
	$(STAGE) "go test window" env CGO_ENABLED=0 go run ./.ci/tests -tags nogui ./ui

e2e: packages e2e-tests ## the program against a real provider, browser, keychain and mail server

e2e-tests: build
	$(STAGE) "end to end" .ci/e2e bin/waxseal

soak: ## the long forms of the chaos, kill -9 and suspend tests: MESSAGES (100000), KILLS (200), SEED
	@MESSAGES=$(or $(MESSAGES),100000) KILLS=$(or $(KILLS),200) go test -count=1 -timeout 4h -v -run 'TestChaos|TestKill|TestFrozen' ./proxy/chaos

suspend: ## put a machine of qemu's to sleep under the program (fetches Debian's kernel); ROOT=FOLDER with systemd: see -h
	@.ci/packages qemu-system-x86 cpio
	@CGO_ENABLED=0 go build -tags nogui -trimpath -o bin/suspend/ ./cmd/waxseal ./.ci/suspend
	@bin/suspend/suspend -waxseal bin/suspend/waxseal $(if $(ROOT),-root $(ROOT))

clients: packages ## every mail program in every case of docs/clients.md, those with windows on a virtual screen
	$(STAGE) packages .ci/packages $(CLIENT_PACKAGES)
	$(STAGE) "mail programs" go run ./.ci/tests -tags nogui,clients -race -count=1 -timeout 30m -run 'RealClients|ClientsSee|UTF8Addresses|LargeAttachment|SystemCertificates|Thunderbird|ClawsMail' ./cmd/waxseal

fuzz: ## run each fuzz target for FUZZTIME (30s)
	@.ci/fuzz $(or $(FUZZTIME),30s)

bench: ## compare Waxseal with sending directly and through a forwarder; writes docs/performance.md
	@CGO_ENABLED=0 go build -tags nogui -trimpath -o bin/load/ ./cmd/waxseal ./.ci/load
	@bin/load/load -waxseal bin/load/waxseal -write docs/performance.md

bench-go: ## run the Go benchmarks; the first result is kept and later ones compared with it
	@.ci/bench $(BENCHSTAT)

icons: ## make the PNG and ICO icons from the drawings in assets/icon
	@.ci/icons

golden: ## write the window's golden files anew; look at `git diff` and the pictures before you commit
	@CGO_ENABLED=0 go test -tags nogui ./ui -run 'Stories|Translations' -update

screenshots: ## make docs/img from the window's own storybook
	@mkdir -p docs/img
	@CGO_ENABLED=0 go test -tags nogui ./ui -run Screenshots -count=1 -screenshots $(CURDIR)/docs/img

clean: ## remove what was built
	@rm -rf bin
