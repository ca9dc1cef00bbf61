# What to type:
#   make build             bin/cloister and bin/cloister-runtime
#   sudo make install      to /usr; uninstall removes it; PREFIX, DESTDIR
#   sudo make demo         a container, seen from inside and from the host
#   make clean
#
#   sudo make test         all that follows but fuzz and the long test-chaos; installs what
#                          it needs with apt
#   make lint              gofumpt, vet, staticcheck, errorlint
#   make test-unit         without root
#   sudo make test-root    real mounts, namespaces and FUSE
#   sudo make test-e2e     with docker, podman, runc and crun
#   sudo make test-hostile containers that attack, 2 minutes; test-hostile-full: at length
#   sudo make test-chaos   the daemon is killed a few hundred times, 5 minutes;
#                          test-chaos-short: a few dozen times
#   sudo make test-vm      on other kernels
#   make fuzz              FUZZTIME=20s for each target
#
#   sudo make bench        reads beside the kernel's own files and lxcfs, 3 minutes;
#                          bench-quick: 20 seconds
#   sudo make bench-scale  many containers
#   sudo make bench-start  creating, starting and deleting a container
#   sudo make bench-syscalls  system calls and programs, with cloister and without, 2 minutes
#   sudo make bench-views  rendering alone

GO       ?= $(shell .ci/toolchain)
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
BUILD    := -trimpath -ldflags '-s -w -X main.version=$(VERSION)'
DESTDIR  ?=
PREFIX   ?= /usr

# Tools, from the module proxy. gotestsum names the tests that were skipped, and why.
GOTESTSUM   := gotest.tools/gotestsum@v1.13.0
GOFUMPT     := mvdan.cc/gofumpt@v0.12.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
ERRORLINT   := github.com/polyfloyd/go-errorlint@v1.8.0
TAGS        := root,e2e,hostile,vm,chaos
TEST        := $(GO) run $(GOTESTSUM) --format-hide-empty-pkg

.PHONY: build lint demo install uninstall clean
.PHONY: test test-deps test-unit test-root test-e2e test-hostile test-hostile-full test-chaos test-chaos-short build-chaos test-vm fuzz
.PHONY: bench bench-quick bench-scale bench-start bench-syscalls bench-views

build:
	CGO_ENABLED=0 $(GO) build $(BUILD) -o bin/cloister ./cmd/cloister
	ln -sf cloister bin/cloister-runtime

lint:
	@test -z "$$($(GO) run $(GOFUMPT) -l .)" || { $(GO) run $(GOFUMPT) -d .; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags $(TAGS) ./...
	GOARCH=arm64 $(GO) vet -tags $(TAGS) ./...
	GOARCH=arm64 CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/cloister
	$(GO) run $(STATICCHECK) -tags $(TAGS) ./...
	$(GO) run $(ERRORLINT) ./...

demo: build
	deploy/demo

# The suites, from the fastest to the slowest.
test: test-deps lint test-unit test-root test-e2e test-hostile test-chaos-short test-vm

test-deps:
	test/install-deps

test-unit:
	$(TEST) -- -race ./...

test-root:
	$(TEST) -- -race -tags root -count=1 ./cgroupview ./emul ./fs/... ./internal/... ./runtimehook/...

test-e2e: build
	CLOISTER_BIN=$(CURDIR)/bin/cloister CGO_ENABLED=0 $(TEST) --format testname -- -tags e2e -count=1 -timeout 30m ./test/e2e

# Containers that attack. The full form takes some minutes more, and writes docs/security.md.
HOSTILE := CLOISTER_BIN=$(CURDIR)/bin/cloister CGO_ENABLED=0 $(TEST) --format testname -- -tags hostile -count=1 -timeout 30m ./test/hostile
test-hostile: build
	$(HOSTILE)

test-hostile-full: build
	$(HOSTILE) -full -update

# The daemon is killed, stopped and replaced under readers: a few hundred times, or in
# the short form a few dozen times.
CHAOS := CLOISTER_BIN=$(CURDIR)/bin/cloister-chaos CGO_ENABLED=0 $(TEST) --format standard-verbose -- -tags chaos -count=1 -timeout 30m ./test/chaos
test-chaos: build-chaos
	$(CHAOS) -full

test-chaos-short: build-chaos
	$(CHAOS)

build-chaos:
	CGO_ENABLED=0 $(GO) build -trimpath -tags chaos -o bin/cloister-chaos ./cmd/cloister

test-vm: build
	CLOISTER_BIN=$(CURDIR)/bin/cloister $(TEST) --format testname -- -tags vm -count=1 -timeout 30m ./test/vm/...

# Every fuzz target for a while; FUZZTIME=10m for longer.
FUZZTIME ?= 20s
fuzz:
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
	    echo $$pkg $$f; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; done

# Reading views, beside the kernel's own files and lxcfs. Needs root and takes 3 minutes;
# figures and chart go into the directory BENCH.
BENCH ?= docs/bench
bench: build
	$(GO) build -o bin/bench-run ./bench/run
	bin/bench-run -out $(BENCH)
	$(GO) run ./bench/chart $(BENCH)/read.json $(BENCH)/read.svg

# The same in 20 seconds, less exact; it only prints a table.
bench-quick: build
	$(GO) build -o bin/bench-run ./bench/run
	bin/bench-run -quick

# Attaching and reading the views of many containers. Needs root.
bench-scale: build
	$(GO) build -o bin/bench-scale ./bench/scale
	bin/bench-scale

# Creating, starting and deleting a container. Needs root.
bench-start: build
	$(GO) run ./bench/start

# System calls, mounts and programs in a container, beside plain runc. Needs root. FLAGS=-json
# for the figures.
bench-syscalls: build
	CGO_ENABLED=0 $(GO) build -o bin/bench-syscalls-probe ./bench/syscalls/probe
	$(GO) build -o bin/bench-syscalls ./bench/syscalls/run
	bin/bench-syscalls -goroot $$($(GO) env GOROOT) $(FLAGS)

# Rendering the views, beside the kernel's own files. Needs root.
bench-views:
	$(GO) run ./bench/views

HOOKS := $(DESTDIR)$(PREFIX)/share/cloister/hooks.d
DOC   := $(DESTDIR)$(PREFIX)/share/doc/cloister
UNIT  := $(DESTDIR)$(PREFIX)/lib/systemd/system/cloister.service

install: build
	install -D -m 755 bin/cloister $(DESTDIR)$(PREFIX)/bin/cloister
	ln -sf cloister $(DESTDIR)$(PREFIX)/bin/cloister-runtime
	install -D -m 644 deploy/systemd/cloister.service $(UNIT)
	install -D -m 644 -t $(HOOKS)/podman deploy/hooks.d/podman/*.json
	install -D -m 644 -t $(HOOKS)/cri-o deploy/hooks.d/cri-o/*.json
	sed -i 's|/usr/|$(PREFIX)/|' $(UNIT) $(HOOKS)/*/*.json
	install -D -m 644 -t $(DOC) README.md CHANGELOG.md LICENSE
	install -D -m 644 -t $(DOC)/docs docs/*.md
	for f in docs/bench/*; do if [ -f $$f ]; then install -D -m 644 -t $(DOC)/docs/bench $$f; fi; done

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/cloister $(DESTDIR)$(PREFIX)/bin/cloister-runtime $(UNIT)
	rm -rf $(DESTDIR)$(PREFIX)/share/cloister $(DOC)

clean:
	rm -rf bin
