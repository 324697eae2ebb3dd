# Each target is what a person would type. Go's cache does the rest.
.PHONY: test race soak fuzz lint fmt bench generate demo build
.DEFAULT_GOAL := test

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

# The Graph SDK makes a race build of these slow and large; the rest never
# links it, which internal/floors_test.go watches over.
SDK := ./internal/entra/... ./cmd/...

# The stories spend most of their time in the garbage of a Redis in memory.
export GOGC = 400

test:
	@.ci/need redis-server gcc:gcc+libc6-dev
	go test -race $$(go list ./... | grep -vE '^kisibridge/(internal/(entra|app)|cmd)(/|$$)')
	KISIBRIDGE_MODEL=2000 go test ./internal/app
	go test $(SDK)

# The stories with the race detector take minutes.
race:
	@.ci/need gcc:gcc+libc6-dev
	go test -race ./internal/app

# 100,000 random histories; one that fails is printed with its seed.
soak:
	KISIBRIDGE_MODEL=100000 go test -count=1 -timeout 60m -run TestAnyHistory -v ./internal/app

# What strangers may send, half a minute each.
fuzz:
	go test -run xxx -fuzz FuzzNotifications -fuzztime 30s ./internal/webhook
	go test -run xxx -fuzz FuzzCreateIntegration -fuzztime 30s ./internal/rest
	go test -run xxx -fuzz FuzzCursor -fuzztime 30s ./internal/rest

lint:
	go tool -modfile=.tools/golangci-lint.mod golangci-lint run ./...

fmt:
	go tool -modfile=.tools/golangci-lint.mod golangci-lint fmt

# make bench PART=rate,batch measures some of it.
bench: PART = all
bench:
	@.ci/need redis-server
	KISIBRIDGE_BENCH=$(PART) go test -count=1 -timeout 30m -run '^TestBench$$' -v ./cmd/kisibridge/

# api/ from openapi.yaml. What it writes is committed, and CI compares.
generate:
	go generate ./...

demo:
	go run ./cmd/kisibridge demo

build:
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/kisibridge
