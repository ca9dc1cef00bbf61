# What to type:
#   make build       bin/cloister and bin/cloister-runtime
#   sudo make demo   a container, seen from inside and from the host
#   sudo make test   all tests; installs what it needs with apt
#   make lint
#   sudo make install

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
TAGS        := root,e2e,vm
TEST        := $(GO) run $(GOTESTSUM) --format-hide-empty-pkg

.PHONY: build lint demo install uninstall clean
.PHONY: test test-deps test-unit test-root test-e2e test-vm fuzz bench-start bench-views

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
test: test-deps lint test-unit test-root test-e2e test-vm

test-deps:
	test/install-deps

test-unit:
	$(TEST) -- -race ./...

test-root:
	$(TEST) -- -race -tags root -count=1 ./fs/... ./internal/... ./runtimehook/...

test-e2e: build
	CLOISTER_BIN=$(CURDIR)/bin/cloister CGO_ENABLED=0 $(TEST) --format testname -- -tags e2e -count=1 -timeout 30m ./test/e2e

test-vm: build
	CLOISTER_BIN=$(CURDIR)/bin/cloister $(TEST) --format testname -- -tags vm -count=1 -timeout 30m ./test/vm/...

# Every fuzz target for a while; FUZZTIME=10m for longer.
FUZZTIME ?= 20s
fuzz:
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
	    echo $$pkg $$f; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; done

bench-start: build
	$(GO) run ./bench/start

# Rendering the views, beside the kernel's own files. Needs root.
bench-views:
	$(GO) run ./bench/views

HOOKS := $(DESTDIR)$(PREFIX)/share/cloister/hooks.d
UNIT  := $(DESTDIR)$(PREFIX)/lib/systemd/system/cloister.service

install: build
	install -D -m 755 bin/cloister $(DESTDIR)$(PREFIX)/bin/cloister
	ln -sf cloister $(DESTDIR)$(PREFIX)/bin/cloister-runtime
	install -D -m 644 deploy/systemd/cloister.service $(UNIT)
	install -D -m 644 -t $(HOOKS)/podman deploy/hooks.d/podman/*.json
	install -D -m 644 -t $(HOOKS)/cri-o deploy/hooks.d/cri-o/*.json
	sed -i 's|/usr/|$(PREFIX)/|' $(UNIT) $(HOOKS)/*/*.json
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/cloister README.md CHANGELOG.md LICENSE
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/cloister/docs docs/*.md

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/cloister $(DESTDIR)$(PREFIX)/bin/cloister-runtime $(UNIT)
	rm -rf $(DESTDIR)$(PREFIX)/share/cloister $(DESTDIR)$(PREFIX)/share/doc/cloister

clean:
	rm -rf bin
