# syntax=docker/dockerfile:1
FROM golang:1.26 AS build
WORKDIR /src
# The Graph SDK takes minutes and some 4 GB to compile; both caches outlive a
# change of the code, and of go.mod.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY api api
COPY cmd cmd
COPY internal internal
ARG VERSION=devel
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/cache \
    GOCACHE=/cache CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /kisibridge ./cmd/kisibridge

# No shell, no package manager, not root. So there is no HEALTHCHECK either:
# it would need a program to ask with. Let the platform ask GET /healthz (alive)
# and GET /readyz (Redis answers).
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /kisibridge /kisibridge
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/kisibridge"]
CMD ["serve"]
