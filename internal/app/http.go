package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"kisibridge/internal/fault"
	"kisibridge/internal/store"
	"kisibridge/internal/webhook"
)

// newRouter puts the pages of a process together; hooks is nil where Graph's
// notifications are not taken.
func newRouter(s *store.Store, registry *prometheus.Registry, hooks *webhook.Handler, log *slog.Logger) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = problem(log)
	e.Use(middleware.RecoverWithConfig(middleware.RecoverConfig{LogErrorFunc: withStack}))
	e.GET("/healthz", func(c echo.Context) error { return c.JSON(http.StatusOK, map[string]string{"status": "ok"}) })
	e.GET("/readyz", ready(s))
	// What cannot be gathered, for Redis is away, does not hide the rest.
	e.GET("/metrics", echo.WrapHandler(promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})))
	if hooks != nil {
		hooks.Register(e)
	}
	return e
}

// withStack makes an error of a panic; problem logs it.
func withStack(_ echo.Context, err error, stack []byte) error {
	return fmt.Errorf("panic: %w\n%s", err, stack)
}

const notReady = "Redis does not answer; see whether it runs, and whether KISIBRIDGE_REDIS_URL names it"

// ready says whether a notification could be taken now.
func ready(s *store.Store) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), time.Second)
		defer cancel()
		if err := s.Ping(ctx); err != nil {
			return &echo.HTTPError{Code: http.StatusServiceUnavailable, Message: notReady, Internal: err}
		}
		return c.JSON(http.StatusOK, map[string]string{"status": "ready"})
	}
}

// A problemBody is what RFC 9457 calls a problem details object.
type problemBody struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// problem answers errors as problems, and keeps what is inside inside: an
// error that nobody meant for the caller shows its status alone.
func problem(log *slog.Logger) echo.HTTPErrorHandler {
	return func(err error, c echo.Context) {
		p := problemBody{Status: http.StatusInternalServerError}
		if he, ok := errors.AsType[*echo.HTTPError](err); ok {
			p.Status = he.Code
			p.Detail, _ = he.Message.(string)
		}
		p.Title = http.StatusText(p.Status)
		if p.Status == http.StatusInternalServerError {
			p.Detail = ""
			log.Error("a request failed", "path", c.Path(), "class", fault.Of(err).String(), "err", err)
		}
		if p.Detail == p.Title {
			p.Detail = ""
		}
		if c.Response().Committed {
			return
		}
		c.Response().Header().Set(echo.HeaderContentType, "application/problem+json")
		if err := c.JSON(p.Status, p); err != nil {
			log.Debug("an answer was lost", "err", err)
		}
	}
}

// serve answers on l until ctx ends, then lets what was begun come to an end.
func serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	// What streams without an end stops when the server does.
	streams, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	srv := &http.Server{
		BaseContext: func(net.Listener) context.Context { return streams },
		Handler:     h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	defer time.AfterFunc(3*time.Second, end).Stop() // ordinary answers are long given then
	err := srv.Shutdown(grace)
	if err != nil { // somebody hangs
		err = errors.Join(err, srv.Close())
	}
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}
