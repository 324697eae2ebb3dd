// Package rest answers the routes under /v1 as openapi.yaml describes them.
//
// A request is taken in steps that are the same for all: who calls, how often,
// in what role, whether the request is as described, and whether it was made
// before. What is left to a handler is one call of the bridge.
package rest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"kisibridge/api"
	"kisibridge/internal/auth"
	"kisibridge/internal/bridge"
	"kisibridge/internal/store"
)

// Options are what a Server works with. All but the last five are needed.
type Options struct {
	Engine      *bridge.Engine
	Store       *store.Store
	Gate        *auth.Gate
	Connections Connections
	Lookup      Lookup
	Consent     Consent
	Queues      Queues

	Version string
	Public  bool                  // Graph can reach the bridge
	Sweep   time.Duration         // how often everything is looked at
	Log     *slog.Logger          // nil: silent
	Metrics prometheus.Registerer // nil: counted for nobody
}

// A Server answers the API. It is safe for concurrent use.
type Server struct {
	Options
	operations []*operation
	metrics    *metrics
}

var _ api.StrictServerInterface = (*Server)(nil)

// New makes a Server.
func New(o Options) (*Server, error) {
	if o.Engine == nil || o.Store == nil || o.Gate == nil {
		return nil, errors.New("rest: an engine, a store and a gate are needed")
	}
	if o.Connections == nil || o.Lookup == nil || o.Consent == nil || o.Queues == nil {
		return nil, errors.New("rest: connections, a lookup, consent and queues are needed")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	operations, err := described(api.Document())
	if err != nil {
		return nil, fmt.Errorf("rest: %w", err)
	}
	return &Server{Options: o, operations: operations, metrics: newMetrics(o.Metrics)}, nil
}

// Register adds the routes, and the document that describes them.
func (s *Server) Register(e *echo.Echo) {
	steps := map[string][]echo.MiddlewareFunc{}
	for _, op := range s.operations {
		steps[op.id] = []echo.MiddlewareFunc{s.serve(op)}
	}
	api.RegisterHandlersWithOptions(e, api.NewStrictHandler(s, nil), api.RegisterHandlersOptions{OperationMiddlewares: steps})
	e.RouteNotFound("/v1/*", s.serve(nil)(nowhere))
	e.GET("/openapi.yaml", func(c echo.Context) error {
		return c.Blob(http.StatusOK, "application/yaml", []byte(api.Document()))
	})
}

func nowhere(c echo.Context) error {
	return &refusal{status: http.StatusNotFound, detail: "there is no " + c.Request().URL.Path, hint: "see /openapi.yaml for what there is"}
}
