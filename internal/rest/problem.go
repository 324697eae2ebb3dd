package rest

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"kisibridge/api"
	"kisibridge/internal/fault"
)

// A refusal is an answer that this package decides on itself.
type refusal struct {
	status int
	detail string
	hint   string
	fields []api.FieldProblem
	after  time.Duration
}

// Error is the refusal in a line.
func (r *refusal) Error() string { return r.detail }

// kinds are the stable names of problems.
var kinds = map[int]struct{ name, title string }{
	http.StatusBadRequest:          {"malformed", "The request is not as described"},
	http.StatusUnauthorized:        {"unauthenticated", "Nobody is known by that key or session"},
	http.StatusForbidden:           {"forbidden", "The caller may not do that"},
	http.StatusNotFound:            {"not-found", "There is no such thing"},
	http.StatusMethodNotAllowed:    {"method", "The path has no such method"},
	http.StatusConflict:            {"conflict", "It cannot be done as things stand"},
	http.StatusPreconditionFailed:  {"stale", "It changed since it was read"},
	http.StatusUnprocessableEntity: {"invalid", "Something in it is wrong"},
	http.StatusTooManyRequests:     {"too-many", "Too many requests"},
	http.StatusServiceUnavailable:  {"unavailable", "It cannot be done right now"},
	http.StatusInternalServerError: {"internal", "The bridge made a mistake"},
}

// refusalOf says how an error is answered. What the fault is of decides; where
// the document does not list that answer, the next best.
func refusalOf(op *operation, err error) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	if he, ok := errors.AsType[*echo.HTTPError](err); ok && he.Code < http.StatusInternalServerError {
		detail, _ := he.Message.(string)
		return &refusal{status: he.Code, detail: detail, hint: "see /openapi.yaml"}
	}
	r := &refusal{detail: detailOf(err), hint: fault.Hint(err), after: fault.After(err)}
	switch fault.Of(err) {
	case fault.Invalid:
		r.status = op.first(http.StatusUnprocessableEntity, http.StatusConflict, http.StatusBadRequest)
		r.fields = fieldsOf(op, err, "")
	case fault.Missing:
		r.status = op.first(http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusBadRequest)
	case fault.Denied: // by a cloud; callers are refused before
		r.status = op.first(http.StatusConflict, http.StatusUnprocessableEntity, http.StatusServiceUnavailable)
	case fault.Clash:
		r.status = op.first(http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable)
	case fault.Busy, fault.Unknown:
		return busy(err)
	default:
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return busy(err)
		}
		return &refusal{status: http.StatusInternalServerError, hint: "tell whoever runs the bridge the instance of this problem; its log has the rest"}
	}
	return r
}

// busy says no more than what was tried: the cause names our insides.
func busy(err error) *refusal {
	r := &refusal{status: http.StatusServiceUnavailable, hint: "try again", after: max(fault.After(err), time.Second)}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		r.detail = e.Op
		if e.Hint != "" {
			r.hint = e.Hint + ", then try again"
		}
	}
	return r
}

// detailOf leaves out the hint, which has a place of its own.
func detailOf(err error) string {
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Err != nil {
		return e.Op + ": " + e.Err.Error()
	}
	return err.Error()
}

var fieldForm = regexp.MustCompile(`(?s)^([a-z][a-z0-9_.]*): (.+)$`)

// fieldsOf finds the mistakes that name a field of the body, as "field: what
// is wrong".
func fieldsOf(op *operation, err error, hint string) []api.FieldProblem {
	switch e := any(err).(type) { // each error of the tree, and not the first of a kind
	case interface{ Unwrap() []error }:
		var all []api.FieldProblem
		for _, one := range e.Unwrap() {
			all = append(all, fieldsOf(op, one, hint)...)
		}
		return all
	case *fault.Error:
		if e.Err == nil {
			return nil
		}
		return fieldsOf(op, e.Err, e.Hint)
	}
	found := fieldForm.FindStringSubmatch(err.Error())
	if found == nil || op == nil {
		return nil
	}
	if name, _, _ := strings.Cut(found[1], "."); !op.fields[name] {
		return nil
	}
	return []api.FieldProblem{{Field: found[1], Detail: found[2], Hint: orNil(hint)}}
}

// refuse answers an error, and logs what nobody foresaw.
func (s *Server) refuse(op *operation, c echo.Context, err error) {
	r, id := refusalOf(op, err), c.Response().Header().Get(headerRequestID)
	switch r.status {
	case http.StatusInternalServerError:
		s.Log.Error("a request failed", "request", id, "path", c.Path(), "err", err)
	case http.StatusServiceUnavailable:
		s.Log.Debug("a request has to wait", "request", id, "path", c.Path(), "err", err)
	}
	if c.Response().Committed {
		return
	}
	kind := kinds[r.status]
	if kind.name == "" {
		kind.name, kind.title = "refused", http.StatusText(r.status)
	}
	p := api.Problem{
		Type: "/problems/" + kind.name, Title: kind.title, Status: r.status,
		Detail: orNil(r.detail), Hint: orNil(r.hint), Instance: orNil(id),
	}
	if len(r.fields) > 0 {
		p.Errors = &r.fields
	}
	header := c.Response().Header()
	if r.after > 0 {
		header.Set(echo.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(r.after.Seconds()))))
	}
	if r.status == http.StatusUnauthorized {
		header.Set(echo.HeaderWWWAuthenticate, "Bearer")
	}
	header.Set(echo.HeaderContentType, "application/problem+json")
	c.Response().WriteHeader(r.status)
	if err := json.NewEncoder(c.Response()).Encode(p); err != nil {
		s.Log.Debug("an answer was lost", "request", id, "err", err)
	}
}

// orNil leaves out what is zero.
func orNil[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
