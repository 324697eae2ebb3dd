package rest

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/labstack/echo/v4"

	"kisibridge/internal/auth"
	"kisibridge/internal/bridge"
	"kisibridge/internal/fault"
)

const (
	headerRequestID = "X-Request-ID"

	// maxBody is the largest body: an integration with 1,000 excluded people
	// stays below a third of it.
	maxBody = 1 << 20
)

var requestForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

// serve takes a request through all steps, and answers every error.
func (s *Server) serve(op *operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			began, id := time.Now(), c.Request().Header.Get(headerRequestID)
			if !requestForm.MatchString(id) {
				id = rand.Text()
			}
			header := c.Response().Header()
			header.Set(headerRequestID, id)
			header.Set(echo.HeaderCacheControl, "no-store")
			if err := s.admit(op, c, next); err != nil {
				s.refuse(op, c, err)
			}
			s.metrics.done(op, c.Response().Status, time.Since(began))
			return nil
		}
	}
}

func (s *Server) admit(op *operation, c echo.Context, next echo.HandlerFunc) error {
	r := c.Request()
	r.Body = http.MaxBytesReader(c.Response(), r.Body, maxBody)
	caller, err := s.identify(r)
	if err != nil {
		return err
	}
	if wait, err := s.Gate.Allow(r.Context(), caller); err != nil {
		return err
	} else if wait > 0 {
		return &refusal{status: http.StatusTooManyRequests, detail: caller.String() + " called too often", hint: "wait as Retry-After says", after: wait}
	}
	c.SetRequest(r.WithContext(bridge.As(auth.With(r.Context(), caller), caller.String())))
	if op == nil {
		return next(c)
	}
	if !caller.Role.Allows(op.role) {
		return &refusal{
			status: http.StatusForbidden, detail: caller.String() + " has the role " + caller.Role.String(),
			hint: op.id + " needs the role " + op.role.String(),
		}
	}
	if err := validate(op, c); err != nil {
		return err
	}
	return s.once(op, caller, c, next)
}

// identify tells who calls. That nobody does is the caller's fault, and all
// else ours.
func (s *Server) identify(r *http.Request) (auth.Caller, error) {
	caller, err := s.Gate.Identify(r)
	switch {
	case errors.Is(err, auth.ErrCSRF):
		err = &refusal{status: http.StatusForbidden, detail: detailOf(err), hint: fault.Hint(err)}
	case errors.Is(err, auth.ErrTooMany):
		err = &refusal{status: http.StatusTooManyRequests, detail: detailOf(err), hint: fault.Hint(err), after: fault.After(err)}
	case fault.Is(err, fault.Denied):
		err = &refusal{status: http.StatusUnauthorized, detail: detailOf(err), hint: fault.Hint(err)}
	}
	return caller, err
}

// who is the caller in the words of the audit trail.
func who(ctx context.Context) string { return bridge.Actor(ctx) }
