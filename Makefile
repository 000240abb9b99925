# `make` or `make help` lists the commands.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOSEC       = github.com/securego/gosec/v2/cmd/gosec@v2.30.0
BENCHSTAT   = golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

# The Debian and Ubuntu packages that the tests need in addition to Go: a C compiler
# for the race detector, mail programs that send and read through Waxseal, a keychain,
# promtool (from the package prometheus), wine with a Windows compiler, and what the
# program works with in real life: a browser, an OpenID provider (installed with npm)
# and a mail server that asks that provider about tokens.
PACKAGES = gcc libc6-dev git curl python3 swaks msmtp s-nail git-email libmailtools-perl libauthen-sasl-perl libio-socket-ssl-perl \
	neomutt mailutils php-cli libphp-phpmailer node-nodemailer ruby ca-certificates openssl \
	dbus-x11 gnome-keyring gcr keepassxc xvfb libsecret-tools prometheus wine wine64 gcc-mingw-w64-x86-64 nsis zip \
	chromium nodejs npm dovecot-core dovecot-submissiond dovecot-imapd dovecot-pop3d etcd-server etcd-client \
	isync offlineimap3 interimap getmail6 fetchmail mutt mpop fdm \
	lintian rpm appstream groff-base xz-utils haproxy \
	$(WINDOW) $(DESKTOP)

# What building the window needs on Linux, and a desktop to test it on.
WINDOW  = gcc pkg-config libgl-dev libx11-dev libxcursor-dev libxrandr-dev libxinerama-dev libxi-dev libxxf86vm-dev \
	libwayland-dev libxkbcommon-dev
DESKTOP = xvfb openbox xfce4-panel xfconf adwaita-icon-theme xdotool x11-utils imagemagick dbus desktop-file-utils

# GUI decides whether the program is built with its tray icon and window. By default
# it is if there is a display to show them on; GUI=yes or GUI=no overrides that. On
# Linux this needs the packages above, and the first build takes a few minutes.
GUI ?= $(if $(filter-out linux,$(or $(GOOS),$(shell go env GOOS)))$(DISPLAY)$(WAYLAND_DISPLAY),yes,no)

# What `make clients` needs in addition; Thunderbird alone is 80 MB.
CLIENT_PACKAGES = thunderbird claws-mail

# Mail servers and others that `waxseal setup` sets up: each is installed apart, because they exclude each
# other and would start.
CLIENT_LAYERS = exim4-daemon-light postfix,libsasl2-modules dma nullmailer prometheus-alertmanager monit aerc,tmux

VERSION ?= $(shell git describe --tags --dirty --always 2>/dev/null || echo dev)

# Registrations to build in, for anyone who distributes Waxseal: see docs/providers.md.
CLIENTS ?=

# The public key (minisign's) of whoever makes the releases: with it, the program says that there is a newer
# one. Packages of a distribution leave it empty, and then nothing is ever asked.
UPDATE_KEY ?=
COMMIT     ?= $(shell git rev-parse HEAD 2>/dev/null)
DATE       ?= $(shell git log -1 --format=%cI 2>/dev/null)
LDFLAGS  = -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.buildDate=$(DATE) -X main.updateKey=$(UPDATE_KEY) -X 'github.com/waxseal/waxseal/proxy/config.builtClients=$(CLIENTS)'
ifeq ($(GUI)$(GOOS),yeswindows)
LDFLAGS += -H=windowsgui
endif
ifeq ($(GUI),yes)
BUILD    = CGO_ENABLED=1 go build -trimpath -ldflags "$(LDFLAGS) -buildid= $(LINK)"
else
BUILD    = CGO_ENABLED=0 go build -tags nogui -trimpath -ldflags "$(LDFLAGS) -buildid= $(LINK)"
endif
ARCH     ?= $(shell go env GOARCH)
STAGE    = @.ci/stage

# `make packages` may have put promtool here.
export PATH := $(CURDIR)/bin/tools:$(PATH)

# With the same flags everywhere, what go vet, staticcheck, the tests and the build have in common is compiled once.
export GOFLAGS := $(strip $(GOFLAGS) -trimpath)

.DEFAULT_GOAL := help
.PHONY: help demo run fleet build package package-headless package-test image measure-desktop test packages fmt-check floor vet staticcheck kubernetes gosec rules race e2e e2e-tests suspend clients soak lint fuzz bench bench-go icons golden screenshots clean

help: ## list the commands
	@awk -F ': .*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

demo: build ## try Waxseal end to end with a built-in provider
	@if [ -z "$$CI" ] && { [ "$(GUI)" = yes ] || [ -t 0 ]; }; then exec bin/waxseal demo; else exec bin/waxseal demo --once; fi

run: build ## build Waxseal and run it with your accounts
	@exec bin/waxseal

build: ## build bin/waxseal, with its window if there is a display (or GUI=yes, GUI=no)
	@mkdir -p bin
	@$(if $(filter yes,$(GUI)),[ "$$(go env GOOS)" != linux ] || .ci/packages $(WINDOW))
	@$(if $(filter windows,$(GOOS)),.ci/windows-resource "$(VERSION)" cmd/waxseal)
	@$(BUILD) -o $(or $(OUT),bin/) ./cmd/waxseal

package: ## build the desktop packages in dist/: .deb, .rpm and archive for Linux, the Windows installer; PACKAGE=linux for some of them
	@.ci/packages $(WINDOW) gcc-mingw-w64-x86-64 nsis zip xz-utils
	@CLIENTS='$(CLIENTS)' .ci/package "$(VERSION)" dist

image: ## make a container image in dist/, an OCI archive, without a container engine; ARCH=arm64 for another architecture
	@CLIENTS='$(CLIENTS)' TARGETS=linux/$(ARCH) PACKAGE=image .ci/package "$(VERSION)" dist

package-headless: ## build the archives and Linux packages without a window in dist/, for every system
	@.ci/packages xz-utils
	@CLIENTS='$(CLIENTS)' PACKAGE=headless .ci/package "$(VERSION)" dist

package-test: ## build everything in two clones, compare it, install, upgrade and purge it in a minimal Debian and under wine (takes minutes); PACKAGE, KEEP=DIR, COLD=yes
	@.ci/packages $(WINDOW) gcc-mingw-w64-x86-64 nsis zip unzip xz-utils cpio p7zip-full lintian rpm appstream mmdebstrap debian-archive-keyring systemd-container xvfb xauth wine wine64
	@CLIENTS='$(CLIENTS)' .ci/package-test "$(VERSION)"

measure-desktop: ## measure what the program uses while its window is closed
	@.ci/packages $(WINDOW) $(DESKTOP)
	@.ci/measure-desktop

test: packages lint rules race e2e-tests ## run everything that has to pass

packages: ## install the packages that the tests need and that are missing
	$(STAGE) packages .ci/packages $(PACKAGES)

lint: fmt-check floor vet staticcheck kubernetes ## run gofmt, go vet for each system and staticcheck; check go.mod's Go version and the manifests

fmt-check:
	$(STAGE) gofmt .ci/gofmt

floor:
	$(STAGE) "go.mod's Go" .ci/floor

vet:
	$(STAGE) "go vet linux"   env GOOS=linux   CGO_ENABLED=0 go vet -tags nogui,e2e,clients ./... ./.ci/tests ./.ci/load ./.ci/suspend ./.ci/dist
	$(STAGE) "go vet windows" env GOOS=windows CGO_ENABLED=0 go vet -tags nogui ./...
	$(STAGE) "go vet darwin"  env GOOS=darwin  CGO_ENABLED=0 go vet -tags nogui,ci ./...
	$(STAGE) "go vet window"  .ci/window go vet -tags gles ./cmd/waxseal

staticcheck:
	$(STAGE) staticcheck go run $(STATICCHECK) -tags nogui,e2e,clients ./... ./.ci/tests ./.ci/load ./.ci/suspend ./.ci/dist
	$(STAGE) "staticcheck window" .ci/window go run $(STATICCHECK) -tags gles ./cmd/waxseal

kubernetes: ## check the manifests for Kubernetes against the types of its API
	$(STAGE) kubernetes env -C .ci/kubernetes CGO_ENABLED=0 go test ./...

gosec: ## look for security mistakes (the first time, compiling gosec takes minutes)
	$(STAGE) gosec .ci/gosec $(GOSEC)

rules: ## check and test the Prometheus alert rules
	$(STAGE) "alert rules" .ci/rules

# go vet has run before, with everything that it can look for.
race: ## run the Go tests with the race detector, and those of the window's looks without
	$(STAGE) "go test -race" go run ./.ci/tests -race -p 3 -vet=off -timeout 20m -tags nogui ./.ci/dist ./.ci/tests ./...
	$(STAGE) "go test window" env CGO_ENABLED=0 go run ./.ci/tests -vet=off -skip TestStories -tags nogui ./ui

e2e: packages e2e-tests ## test the program with a real provider, browser, keychain and mail server

e2e-tests: build
	$(STAGE) "end to end" .ci/e2e bin/waxseal

fleet: packages build ## test several machines with one set of accounts in etcd for a long time, and print figures: FLEET (10m) is how long they are busy
	@FLEET=$(or $(FLEET),10m) .ci/e2e bin/waxseal -run Fleet -timeout 60m

soak: ## run the long chaos, kill -9 and suspend tests: MESSAGES (100000), KILLS (200), SEED
	@MESSAGES=$(or $(MESSAGES),100000) KILLS=$(or $(KILLS),200) go test -count=1 -timeout 4h -v -run 'TestChaos|TestKill|TestFrozen' ./proxy/chaos

suspend: ## put a virtual machine to sleep while the program runs (downloads Debian's kernel); ROOT=FOLDER: a Debian with systemd
	@.ci/packages qemu-system-x86 cpio
	@CGO_ENABLED=0 go build -tags nogui -trimpath -o bin/suspend/ ./cmd/waxseal ./.ci/suspend
	@bin/suspend/suspend -waxseal bin/suspend/waxseal $(if $(ROOT),-root $(ROOT))

clients: packages build ## test every mail program in every case of docs/clients.md, with a virtual screen for those that have windows
	$(STAGE) packages .ci/packages $(CLIENT_PACKAGES)
	$(STAGE) layers .ci/layers $(CLIENT_LAYERS)
	$(STAGE) "mail programs" go run ./.ci/tests -tags nogui,clients -race -count=1 -timeout 30m -run 'RealClients|ClientsSee|UTF8Addresses|LargeAttachment|SystemCertificates|Thunderbird|ClawsMail|SetupServers|SetupAerc' ./cmd/waxseal
	$(STAGE) "mail programs that read" .ci/e2e bin/waxseal -tags e2e,clients -timeout 20m -run 'Programs|Fetchmail|Mbsync|Thunderbird|ClawsMail'

fuzz: ## run each fuzz target for FUZZTIME (30s)
	@.ci/fuzz $(or $(FUZZTIME),30s)

bench: ## compare Waxseal with sending directly and through a forwarder; update docs/performance.md
	@CGO_ENABLED=0 go build -tags nogui -trimpath -o bin/load/ ./cmd/waxseal ./.ci/load
	@bin/load/load -waxseal bin/load/waxseal -write docs/performance.md

bench-go: ## run the Go benchmarks and compare them with the first run
	@.ci/bench $(BENCHSTAT)

icons: ## make the PNG and ICO icons from the SVG drawings in assets/icon
	@.ci/icons

golden: ## rewrite the window's golden files and docs/troubleshooting.md; look at `git diff` and the pictures before you commit
	@CGO_ENABLED=0 go test -tags nogui ./ui ./ui/speech ./proxy/mailbox -run 'Stories|Translations|Troubleshooting$$' -update

screenshots: ## make the pictures in docs/img from the window's storybook
	@mkdir -p docs/img
	@CGO_ENABLED=0 go test -tags nogui ./ui -run Screenshots -count=1 -screenshots $(CURDIR)/docs/img

clean: ## remove bin/
	@rm -rf bin
