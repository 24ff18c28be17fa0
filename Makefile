# make help lists the targets. Go is all that building needs; what the tests
# run besides, .ci/needs names.

PREFIX    ?= /usr/local
GO        ?= go
FUZZTIME  ?= 5m
BENCHTIME ?= 1s
# Further flags of go test, in `make test` and `make bench`.
TESTFLAGS ?=
# The comparison with other WireGuards: root, network namespaces and iperf3.
COMPARE   ?= $(GO) test -tags bench -count=1 -timeout 60m -v ./node/lab/compare $(TESTFLAGS)

.PHONY: help demo build test lint race bench fuzz man install clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: ## two nodes in one process, no privileges: a healthy path, then a fault found
	$(GO) run ./cmd/wgnode demo

build: ## bin/wgnode, a static binary
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/wgnode ./cmd/wgnode

test: lint race ## all checks and tests; those that need root are skipped without it
	$(GO) test -timeout 8m $(TESTFLAGS) ./...

lint: ## formatting, go vet, staticcheck, syntax of the scripts
	@.ci/needs
	.ci/lint

race: ## the tests that need no root, with the race detector
	.ci/race $(TESTFLAGS)

bench: ## the path of a packet, then the comparison with other WireGuards
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) $(TESTFLAGS) ./probe/... ./tunnel/...
	$(COMPARE)

fuzz: ## each fuzz target for FUZZTIME, one after the other
	.ci/fuzz $(FUZZTIME)

man: ## the manual pages, into bin/man
	$(GO) run -tags man ./cmd/wgnode bin/man

install: build man ## program, manual pages and completions below PREFIX, DESTDIR before it
	install -D -m 755 bin/wgnode $(DESTDIR)$(PREFIX)/bin/wgnode
	install -d $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 bin/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8
	bin/wgnode completion bash | install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/bash-completion/completions/wgnode
	bin/wgnode completion zsh | install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_wgnode
	bin/wgnode completion fish | install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/wgnode.fish

clean: ## what make made
	rm -rf bin
