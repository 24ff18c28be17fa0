# make help lists the targets. Go is all that building needs; what the tests
# run besides, .ci/needs names.

PREFIX    ?= /usr/local
MANDIR    ?= $(PREFIX)/share/man/man8
MAN7DIR   ?= $(PREFIX)/share/man/man7
BASHDIR   ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR    ?= $(PREFIX)/share/zsh/site-functions
FISHDIR   ?= $(PREFIX)/share/fish/vendor_completions.d
UNITDIR   ?= $(PREFIX)/lib/systemd/system
DOCDIR    ?= $(PREFIX)/share/doc/wgnode
GO        ?= go
# The program that build makes and install installs.
PROGRAM   ?= bin/wgnode
# What runs here while GOARCH names the machine that the program is for.
GORUN     ?= GOOS= GOARCH= $(GO) run -trimpath
NFPM      ?= $(GORUN) github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0
# The lists of what is in a program. They have the hash of what made them, too.
SBOM      ?= $(GORUN) github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
# Where the packages go, and what is published.
PACKAGES  ?= bin
RELEASE   ?= bin/release
# The targets to release, of examples/packaging/targets. All, if there are none.
TARGETS   ?=
# Further flags of the linker, and build tags. grpcnotrace leaves a template out of gRPC, for
# which the linker would have to keep all methods of all types: a fifth of the program.
LDFLAGS   ?=
TAGS      ?= grpcnotrace
LICENSES  ?= bin/third-party-licenses
# The tag, and how many commits came after it.
VERSION   ?= $(shell git describe --tags --match 'v[0-9]*' 2>/dev/null | sed 's/-\([0-9]*\)-g/+\1.g/' | grep . || \
	git log -1 --date=format:%Y%m%d%H%M%S --format=v0.0.0-%cd.%h)
FUZZTIME  ?= 5m
BENCHTIME ?= 1s
# Further flags of go test, in `make test` and others. In the environment,
# WGNODE_PATIENCE=4 has tests wait four times as long for what hangs; without it that is
# measured.
TESTFLAGS ?=
# The comparison with other WireGuards: root, network namespaces and iperf3. Its
# flags, in BENCHFLAGS, say what to leave out: -run TestCompare, -rounds 3,
# -contestants wireguard-go,wgnode, -workloads tcp1,udp64, -axes size; -args -h
# lists them.
COMPARE    ?= $(GO) test -tags bench -count=1 -timeout 60m -v ./node/lab/compare
BENCHFLAGS ?=
SOAKTIME  ?= 30m

.PHONY: help demo build test check test-vm test-foreign test-slow lint race packaging faults bench soak profile fuzz man licenses install uninstall packages release size clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: ## two nodes in one process, no privileges: a healthy path, then a fault found
	$(GO) run ./cmd/wgnode demo

build: ## bin/wgnode, a static binary
	CGO_ENABLED=0 $(GO) build -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS) -X main.version=$(VERSION)' -o $(PROGRAM) ./cmd/wgnode

test: lint race packaging ## all checks and tests, some 15 minutes; those that need root are skipped without it
	.ci/test $(TESTFLAGS)

check: lint race ## what needs neither root nor a laboratory, in two minutes

test-vm: ## what is about the kernel's own WireGuard, in emulated machines: see docs/vm.md
	.ci/test-vm $(TESTFLAGS)

test-foreign: ## what is written and read everywhere, on emulated processors; the program for other systems, built
	.ci/foreign $(TESTFLAGS)

test-slow: ## make test as on a machine that is slow: under nice, beside a busy loop on each processor
	.ci/slow $(MAKE) test

lint: ## formatting, go vet, staticcheck, syntax of the scripts
	@.ci/needs
	.ci/lint

race: ## the tests that need no root, with the race detector
	.ci/race $(TESTFLAGS)

packaging: ## what `make install` and `make packages` make is complete and loads
	.ci/packaging

faults: ## break networks in every way that a verdict is for, and print what explain says
	cd node/lab/faults && $(GO) test -count=1 -timeout 40m -run 'TestFaults|TestEveryCodeHasCases' -faults.table $(TESTFLAGS)

bench: ## the path of a packet, then the comparison with other WireGuards: a table, bin/bench
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) $(TESTFLAGS) ./probe/... ./tunnel/...
	$(COMPARE) -run 'TestCompare|TestPlot$$' -report $(CURDIR)/bin/bench/compare.json -svg $(CURDIR)/bin/bench/compare.svg $(BENCHFLAGS)

profile: ## where a busy node's CPU time goes, for go tool pprof: bin/bench/cpu.pprof
	rm -rf bin/bench/profiles
	mkdir -p bin/bench/profiles
	$(COMPARE) -run 'TestCompare$$' -rounds 1 -seconds 8 -workloads tcp1,tcp4back,udp64,udp1300 \
		-contestants profiled -profiles $(CURDIR)/bin/bench/profiles $(BENCHFLAGS)
	$(GO) tool pprof -proto bin/bench/profiles/*.pprof >bin/bench/cpu.pprof

soak: ## full load for SOAKTIME, with roaming, new sessions, and peers that come and go
	$(GO) test -count=1 -timeout 0 -v -run TestSoak ./node/lab/compare -soak $(SOAKTIME) $(TESTFLAGS)

fuzz: ## each fuzz target for FUZZTIME, one after the other
	.ci/fuzz $(FUZZTIME)

# The date on the pages and in the packages is that of the sources.
man packages release: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)

man: ## the manual pages and the shells' completions, into bin/man and bin/completion
	rm -rf bin/man bin/completion
	$(GORUN) -tags man ./cmd/wgnode bin

licenses: ## those of all that is linked in, into bin/third-party-licenses
	mkdir -p $(dir $(LICENSES))
	GO='$(GO)' TAGS='$(TAGS)' examples/packaging/licenses >$(LICENSES).new
	mv $(LICENSES).new $(LICENSES)

# sudo seldom finds Go, so install takes what is built, and builds only what is not.
$(PROGRAM):
	$(MAKE) build
bin/man/wgnode-verdicts.7:
	$(MAKE) man
$(LICENSES):
	$(MAKE) licenses

install: $(PROGRAM) bin/man/wgnode-verdicts.7 $(LICENSES) ## what build, man and licenses made, and the systemd units, below PREFIX, DESTDIR before it
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/wgnode
	install -d $(DESTDIR)$(MANDIR) $(DESTDIR)$(MAN7DIR) $(DESTDIR)$(UNITDIR)
	install -m 644 bin/man/*.8 $(DESTDIR)$(MANDIR)
	install -m 644 bin/man/*.7 $(DESTDIR)$(MAN7DIR)
	install -D -m 644 bin/completion/wgnode.bash $(DESTDIR)$(BASHDIR)/wgnode
	install -D -m 644 bin/completion/_wgnode $(DESTDIR)$(ZSHDIR)/_wgnode
	install -D -m 644 bin/completion/wgnode.fish $(DESTDIR)$(FISHDIR)/wgnode.fish
	sed 's|/usr/bin/wgnode|$(PREFIX)/bin/wgnode|; s|README.md beside this file|$(DOCDIR)/systemd.md|' 'examples/systemd/wgnode@.service' | install -m 644 /dev/stdin '$(DESTDIR)$(UNITDIR)/wgnode@.service'
	sed 's|/usr/bin/wgnode|$(PREFIX)/bin/wgnode|' examples/systemd/wgnode-monitor.service | install -m 644 /dev/stdin '$(DESTDIR)$(UNITDIR)/wgnode-monitor.service'
	install -D -m 644 LICENSE $(DESTDIR)$(DOCDIR)/copyright
	install -m 644 $(LICENSES) $(DESTDIR)$(DOCDIR)/third-party-licenses
	install -D -m 644 examples/systemd/README.md $(DESTDIR)$(DOCDIR)/systemd.md
	install -m 644 examples/systemd/strict.conf $(DESTDIR)$(DOCDIR)/strict.conf
	install -m 644 examples/wgnode.toml $(DESTDIR)$(DOCDIR)/wgnode.toml
	install -m 644 docs/kernel.md $(DESTDIR)$(DOCDIR)/kernel.md
	install -m 644 docs/web.md $(DESTDIR)$(DOCDIR)/web.md
	install -m 644 docs/schema/wgnode.toml.json $(DESTDIR)$(DOCDIR)/wgnode.toml.json
	install -m 644 examples/metrics/README.md $(DESTDIR)$(DOCDIR)/metrics.md
	install -m 644 examples/metrics/alerts.yaml $(DESTDIR)$(DOCDIR)/alerts.yaml
	install -m 644 SECURITY.md $(DESTDIR)$(DOCDIR)/SECURITY.md

uninstall: ## remove what install has installed
	rm -f $(DESTDIR)$(PREFIX)/bin/wgnode '$(DESTDIR)$(UNITDIR)/wgnode@.service' '$(DESTDIR)$(UNITDIR)/wgnode-monitor.service'
	rm -f $(DESTDIR)$(MANDIR)/wgnode.8 $(DESTDIR)$(MANDIR)/wgnode-*.8 $(DESTDIR)$(MAN7DIR)/wgnode-*.7
	rm -f $(DESTDIR)$(BASHDIR)/wgnode $(DESTDIR)$(ZSHDIR)/_wgnode $(DESTDIR)$(FISHDIR)/wgnode.fish
	rm -rf $(DESTDIR)$(DOCDIR)

packages release: export MAKE := $(MAKE)
packages release: export GO := $(GO)
packages release: export NFPM := $(NFPM)
packages release: export SBOM := $(SBOM)
packages release: export VERSION := $(VERSION)

packages: man ## a .deb, an .rpm and an .apk, for this machine or that of GOARCH
	FORMATS='deb rpm apk' examples/packaging/release $(PACKAGES) linux_$$($(GO) env GOARCH)

release: man ## what is published, into RELEASE: archives, packages, images, SBOMs, hashes; the same for each who makes it
	rm -rf $(RELEASE)
	examples/packaging/release $(RELEASE) $(TARGETS)

size: ## how large the program is, and what each dependency adds
	$(GO) run ./examples/packaging/size -tags '$(TAGS)'

clean: ## what make made
	rm -rf bin
