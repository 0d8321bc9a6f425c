# Fieldline. `make up` runs the whole pipeline; `make test` passes the tests.
# Both need Go 1.26 and Node 20.19 or newer, nothing else.

export CGO_ENABLED = 0

GO          ?= go
NPM         ?= npm
FUZZTIME    ?= 3s
GOFUMPT      = mvdan.cc/gofumpt@v0.12.0
STATICCHECK  = honnef.co/go/tools/cmd/staticcheck@v0.8.2

WEB_SOURCES := $(shell find web/src web/public -type f 2>/dev/null) web/index.html web/package.json web/package-lock.json web/vite.config.ts web/tsconfig.json

# The race detector needs cgo and so a C compiler; without one the tests run without it.
RACE := $(if $(shell command -v cc),-race)

.PHONY: up build web test test-go test-fuzz test-web compat check bench-mqtt clean

up: build ## build and run the whole pipeline with the guide's device
	bin/fieldline up --demo

build: web ## bin/fieldline, with the dashboard inside
	$(GO) build -trimpath -o bin/fieldline ./cmd/fieldline

web: web/dist/index.html ## the dashboard

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && $(NPM) run build

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && $(NPM) ci --no-audit --no-fund
	@touch $@

test: test-go test-fuzz test-web ## every test that needs Go and Node only

test-go:
	CGO_ENABLED=$(if $(RACE),1,0) $(GO) test $(RACE) -shuffle=on ./...

# Each fuzz target for a few seconds.
test-fuzz:
	@set -e; for pkg in $$($(GO) list ./internal/...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$target"; \
	    out=$$($(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg 2>&1) || { echo "$$out"; exit 1; }; \
	  done; \
	done

test-web: web
	cd web && $(NPM) test

compat: build ## real clients: the AWS CLI and SDKs, mosquitto, Chromium
	compat/run

check: ## formatting, go.mod, vet, staticcheck
	@test -z "$$($(GO) run $(GOFUMPT) -l . | grep -v node_modules)" || { $(GO) run $(GOFUMPT) -d . ; exit 1; }
	$(GO) mod tidy -diff
	$(GO) vet ./...
	cd bench && $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

bench-mqtt: build ## fan-in beside mosquitto (docs/performance.md)
	cd bench && $(GO) run ./mqtt -fieldline ../bin/fieldline

clean:
	rm -rf bin web/node_modules
	find web/dist -mindepth 1 ! -name .keep -delete
