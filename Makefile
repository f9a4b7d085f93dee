# shiplog: `make` lists the targets.

GO          ?= go
VERSION     ?= $(shell packaging/version)
COMMIT      ?= $(shell git rev-parse --short HEAD 2>/dev/null)
LDFLAGS     := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
PLATFORMS   := linux/arm64 windows/amd64 darwin/arm64

# Of the targets fuzz (a target's time) and torture (a scenario's).
SECONDS ?= 25
# Of torture: empty draws one.
SEED ?=
# Of simulate.
SEEDS ?= 1000
FIRST ?= 1
# Of exactly-once.
KILLS ?= 200
# Of torture: 1 builds the binary with the race detector.
RACE ?=
# Of agents.
AGENTS ?= 200
# Of bench: the rows to measure (a regular expression, empty for all), how often,
# and another binary of shiplog to measure in turn with this one.
ROW ?=
ROUNDS ?= 3
AGAINST ?=
# Of build: the profile by which the compiler optimises; off builds in less time.
# It has not the name default.pgo, so that tests and `go run` build as ever.
PGO ?= $(CURDIR)/cmd/shiplog/shiplog.pgo

.DEFAULT_GOAL := help
.PHONY: help build packages release test-packages test-container manifests test test-race test-kafka test-wine windows torture exactly-once exactly-once-cost simulate screenshots bench pgo agents fuzz vet lint cross ci clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/shiplog, static, by the profile of what it does most; PGO=off takes less time
	CGO_ENABLED=0 $(GO) build -trimpath -pgo='$(PGO)' -ldflags '$(LDFLAGS)' -o bin/ ./cmd/shiplog

test: ## run the tests that need nothing installed
	$(GO) test ./...

test-race: ## run the short tests under the race detector
	$(GO) test -race -short ./...

test-kafka: ## run all tests but the torture test, those on a real Kafka too (needs Java, Maven, Python, a Kerberos KDC)
	SHIPLOG_REAL_KAFKA=1 $(GO) test -p 1 -skip '^TestTorture$$' ./...

torture: ## kill, rotate and count: SECONDS=25 SEED= RACE=1; on a real Kafka with SHIPLOG_REAL_KAFKA=1
	TORTURE_SECONDS='$(SECONDS)' TORTURE_SEED='$(SEED)' TORTURE_RACE='$(RACE)' \
		$(GO) test -count 1 -timeout 0 -v -run '^TestTorture$$' ./cmd/shiplog

exactly-once: ## kill an agent that sends in transactions, on a real Kafka, and count: KILLS=200
	SHIPLOG_REAL_KAFKA=1 EXACTLY_ONCE_KILLS='$(KILLS)' TORTURE_SEED='$(SEED)' \
		$(GO) test -count 1 -timeout 0 -v -run '^TestExactlyOnce$$' ./cmd/shiplog

exactly-once-cost: ## measure what transactions cost, on a real Kafka: ROUNDS=3
	SHIPLOG_REAL_KAFKA=1 EXACTLY_ONCE_COST='$(ROUNDS)' $(GO) test -count 1 -timeout 0 -v -run '^TestExactlyOnceCost$$' ./cmd/shiplog

simulate: ## play schedules of files, crashes and an erring broker: SEEDS=1000 FIRST=1
	SIMULATE_SEEDS='$(SEEDS)' SIMULATE_FIRST='$(FIRST)' $(GO) test -count 1 -timeout 0 -run '^TestSimulate$$' ./agent

screenshots: ## take pictures of the status page, into dist/screenshots (needs Chromium)
	CI=true SCREENSHOTS='$(CURDIR)/dist/screenshots' $(GO) test -count 1 -run '^TestBinary$$/^status_page$$' ./cmd/shiplog

bench: build ## measure the whole process, a table: ROW=plain ROUNDS=3 AGAINST=another/shiplog (Linux)
	SPEED=1 SPEED_BINARY='$(CURDIR)/bin/shiplog' SPEED_ROW='$(ROW)' SPEED_ROUNDS='$(ROUNDS)' SPEED_AGAINST='$(AGAINST)' \
		$(GO) test -count 1 -timeout 0 -run '^TestSpeed$$' ./cmd/shiplog -v

pgo: ## measure anew what build optimises by, cmd/shiplog/shiplog.pgo
	SPEED_PROFILE='$(CURDIR)/cmd/shiplog/shiplog.pgo' $(GO) test -count 1 -timeout 0 -run '^TestProfile$$' ./cmd/shiplog

agents: ## many agents, one broker, an outage: AGENTS=200 (Linux, 25 MiB each)
	AGENTS='$(AGENTS)' $(GO) test -count 1 -timeout 0 -run '^TestAgents$$' ./cmd/shiplog -v

test-wine: ## run tests as Windows programs, and shiplog.exe, under wine (wants wine64, gcc-mingw-w64-x86-64)
	packaging/windows/test-wine.sh

windows: ## build the zip for Windows into dist/
	ARCHIVE_TARGETS=windows/amd64 packaging/build archives dist

fuzz: ## run each fuzz target for SECONDS
	@set -e; for package in $$($(GO) list ./...); do \
		targets=$$($(GO) test -list '^Fuzz' $$package); \
		for target in $$(echo "$$targets" | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(SECONDS)s $$package; \
		done; \
	done

packages: ## build deb and rpm for amd64 and arm64 into dist/
	packaging/build packages dist

release: ## build archives, packages, bills of materials and checksums into dist/, from a clean tree
	packaging/build release dist

test-packages: ## install, run, upgrade and purge the packages in a throw-away system with systemd (root, Debian)
	packaging/test/run

test-container: ## build the image and run it as the Kubernetes examples do (root, buildah, podman, crun)
	packaging/test/container

manifests: ## hold the Kubernetes examples to the published schemas (needs Python)
	python3 -m venv dist/venv
	dist/venv/bin/pip -q install kubernetes-validate==1.37.0
	dist/venv/bin/kubernetes-validate --strict packaging/kubernetes/*.yaml

vet: ## run go vet
	$(GO) vet ./...

lint: ## check the format and run staticcheck
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not as gofmt writes it:"; echo "$$unformatted"; exit 1; }
	$(GO) run $(STATICCHECK) ./...

cross: ## build and vet for the other platforms
	@set -e; for platform in $(PLATFORMS); do \
		echo "$$platform"; \
		export CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/}; \
		$(GO) build ./...; \
		$(GO) vet ./...; \
	done

ci: ## run all that the continuous integration runs
	.ci/run

clean: ## remove what was built
	rm -rf bin dist
