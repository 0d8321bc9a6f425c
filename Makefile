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

.PHONY: up build lambda lambda-check deploy sam web test test-go test-fuzz test-web compat check bench-mqtt bench-aws bench-sql clean

up: build ## build and run the whole pipeline with the guide's device
	bin/fieldline up --demo

build: web ## bin/fieldline, with the dashboard inside
	$(GO) build -trimpath -o bin/fieldline ./cmd/fieldline

LAMBDAS      = $(notdir $(wildcard cmd/lambda/*))
LAMBDA_ARCHS = arm64 amd64
LAMBDA_OUT  ?= bin/lambda

# The same sources and Go version give the same bytes: no paths, build ids, versions
# or times are in the zips.
lambda: ## bin/lambda/NAME-ARCH.zip for provided.al2023
	@mkdir -p $(LAMBDA_OUT)
	@set -e; for arch in $(LAMBDA_ARCHS); do \
	  for name in $(LAMBDAS); do \
	    program=$(LAMBDA_OUT)/$$name-$$arch; \
	    GOOS=linux GOARCH=$$arch GOFLAGS=-buildvcs=false $(GO) build -trimpath -ldflags "-s -w -buildid=" -tags lambda.norpc -o $$program ./cmd/lambda/$$name; \
	    $(GO) run ./deploy/aws/zip $$program $$program.zip; \
	    rm $$program; \
	  done; \
	done

lambda-check: lambda ## builds the zips again, without the build cache, and compares them
	@set -e; again=$$(mktemp -d); trap 'rm -rf "$$again"' EXIT; \
	GOCACHE=$$again/cache $(MAKE) --no-print-directory lambda LAMBDA_OUT=$$again; \
	for zip in $(LAMBDA_OUT)/*.zip; do cmp $$zip $$again/$$(basename $$zip); done; \
	echo "$$(ls $(LAMBDA_OUT)/*.zip | wc -l) zips are reproducible"

STACK    ?= fieldline
TEMPLATE  = deploy/aws/template.yaml

# PARAMETERS="Buffer=kinesis …" are the template's (docs/aws.md).
deploy: sam lambda ## builds the zips, checks the template and deploys it to AWS as STACK
	sam validate --lint --template-file $(TEMPLATE)
	sam deploy --template-file $(TEMPLATE) --stack-name $(STACK) --capabilities CAPABILITY_IAM --resolve-s3 --no-fail-on-empty-changeset \
	  $(if $(PARAMETERS),--parameter-overrides $(PARAMETERS))

sam:
	@command -v sam >/dev/null || { echo "make deploy needs the AWS SAM CLI (sam): pip install aws-sam-cli, or https://docs.aws.amazon.com/serverless-application-model/" >&2; exit 1; }

web: web/dist/index.html ## the dashboard

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && $(NPM) run build

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && $(NPM) ci --no-audit --no-fund
	@touch $@

test: test-go test-fuzz test-web ## every test that needs Go and Node only

test-go:
	CGO_ENABLED=$(if $(RACE),1,0) $(GO) test $(RACE) -shuffle=on ./...

# Each fuzz target for a few seconds; a package's are built once. What is found is in
# the package's testdata/fuzz.
test-fuzz:
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	for pkg in $$(grep -rl '^func Fuzz' --include='*_test.go' internal | xargs -n1 dirname | sort -u); do \
	  $(GO) test -c -fuzz=Fuzz -o "$$dir/fuzz.test" ./$$pkg; \
	  for target in $$(cd $$pkg && "$$dir/fuzz.test" -test.list '^Fuzz'); do \
	    echo "fuzz $$pkg $$target"; \
	    out=$$(cd $$pkg && "$$dir/fuzz.test" -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) -test.fuzzminimizetime 10x -test.fuzzcachedir "$$dir/corpus" 2>&1) || { echo "$$out"; exit 1; }; \
	  done; \
	done

test-web: web
	cd web && $(NPM) test

compat: build lambda ## real clients: the AWS CLI and SDKs, mosquitto, Chromium
	compat/run

check: ## formatting, go.mod, vet, staticcheck
	@test -z "$$($(GO) run $(GOFUMPT) -l . | grep -v node_modules)" || { $(GO) run $(GOFUMPT) -d . ; exit 1; }
	$(GO) mod tidy -diff
	$(GO) vet ./...
	cd bench && $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

bench-mqtt: build ## the broker beside mosquitto, mochi, nats and a plain forwarder (docs/performance.md)
	cd bench && $(GO) run ./mqtt -fieldline ../bin/fieldline

bench-aws: build lambda ## AWS's APIs, functions and broadcasts beside their peers (docs/performance.md)
	compat/setup
	cd bench && $(GO) run ./aws

bench-sql: ## rule statements beside gojq and expr, and a message among many rules (docs/performance.md)
	cd bench && $(GO) run ./sql

clean:
	rm -rf bin web/node_modules
	find web/dist -mindepth 1 ! -name .keep -delete
