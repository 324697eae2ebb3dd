package graphsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// An answer is what an endpoint says. A string body is plain text, nil is no
// body at all, anything else is JSON.
type answer struct {
	status int
	body   any
}

// An endpoint answers one route of Graph. Its error is a *problem.
type endpoint func(r *http.Request) (answer, error)

func ok(body any) (answer, error) { return answer{http.StatusOK, body}, nil }

// A problem is an answer that refuses.
type problem struct {
	status     int
	code       string
	message    string
	breach     bool // the caller broke the contract: also a violation
	retryAfter int  // seconds
	location   string
}

func (p *problem) Error() string { return p.message }

// breach refuses a request that the contract does not allow.
func breach(format string, args ...any) error {
	return &problem{status: http.StatusBadRequest, code: "Request_BadRequest", message: fmt.Sprintf(format, args...), breach: true}
}

func missing(what, id string) error {
	return &problem{
		status: http.StatusNotFound, code: "Request_ResourceNotFound",
		message: fmt.Sprintf("there is no %s %s, or it is deleted", what, id),
	}
}

func denied(message string) error {
	return &problem{status: http.StatusForbidden, code: "Authorization_RequestDenied", message: message}
}

// serve makes a handler of an endpoint.
func (s *Server) serve(e endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a, err := answer{}, checkPriority(r)
		if err == nil {
			a, err = e(r)
		}
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		say(w, a)
	}
}

// refuse answers in Graph's error format and keeps a breach.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var p *problem
	if !errors.As(err, &p) {
		p = &problem{status: http.StatusInternalServerError, code: "InternalServerError", message: err.Error()}
	}
	if p.breach {
		s.violate("%s %s: %s", r.Method, r.URL.RequestURI(), p.message)
	}
	writeProblem(w, p)
}

func writeProblem(w http.ResponseWriter, p *problem) {
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(p.retryAfter))
	}
	if p.location != "" {
		w.Header().Set("Location", p.location)
	}
	say(w, answer{p.status, map[string]any{"error": map[string]any{
		"code":    p.code,
		"message": p.message,
		"innerError": map[string]any{
			"date":       time.Now().UTC().Format("2006-01-02T15:04:05"),
			"request-id": w.Header().Get("request-id"),
		},
	}}})
}

func say(w http.ResponseWriter, a answer) {
	switch body := a.body.(type) {
	case nil:
		w.WriteHeader(a.status)
	case string:
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, body) // fails only when the caller has gone
	default:
		w.Header().Set("Content-Type", "application/json;odata.metadata=minimal;charset=utf-8")
		w.WriteHeader(a.status)
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(body) // likewise
	}
}
