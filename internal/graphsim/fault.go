package graphsim

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Fault breaks requests. What is not set does not happen: a Fault with Hang
// alone makes a slow answer, one with Lost alone takes effect and breaks the
// connection.
type Fault struct {
	Route      string        // prefix of "METHOD /path", or of "BATCH GET /users/…"; "": any
	Status     int           // answered without taking effect
	RetryAfter int           // seconds, sent with Status
	Times      int           // 0: until cleared
	Skip       int           // lets this many pass first
	Hang       time.Duration // waits before it does what it does
	Lost       bool          // takes effect, then the connection breaks without an answer
	HTML       bool          // answers a page, as proxies do; Status 0 means 502
}

type faults struct {
	mu     sync.Mutex // guards active
	active []*Fault
}

// SetFault adds a fault to those that are set.
func (s *Server) SetFault(f Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.active = append(s.faults.active, &f)
}

// ClearFaults removes all faults.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.active = nil
}

// pick returns the first fault that is due for a route, and counts it.
func (f *faults) pick(route string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, x := range f.active {
		if !strings.HasPrefix(route, x.Route) {
			continue
		}
		if x.Skip > 0 {
			x.Skip--
			continue
		}
		if x.Times == 1 {
			f.active = slices.Delete(slices.Clone(f.active), i, i+1)
		}
		x.Times = max(0, x.Times-1)
		return *x, true
	}
	return Fault{}, false
}

// around serves r, unless a fault is due for its route.
func (s *Server) around(route string, w http.ResponseWriter, r *http.Request) {
	x, due := s.faults.pick(route)
	if !due {
		s.routes.ServeHTTP(w, r)
		return
	}
	if x.Lost {
		s.routes.ServeHTTP(newRecorder(), r)
	} else if x.Hang > 0 {
		keepBody(r)
	}
	if !s.pause(r.Context(), x.Hang) || x.Lost {
		panic(http.ErrAbortHandler)
	}
	if x.Status == 0 && !x.HTML {
		s.routes.ServeHTTP(w, r)
		return
	}
	x.answer(w)
}

// keepBody reads the body at once: net/http notices that a caller has gone only
// when nothing is left to read.
func keepBody(r *http.Request) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
}

func (f Fault) answer(w http.ResponseWriter) {
	if f.HTML {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(orDefault(f.Status, http.StatusBadGateway))
		_, _ = io.WriteString(w, "<html><body><h1>Bad gateway</h1></body></html>") // fails only when the caller has gone
		return
	}
	code := strings.ReplaceAll(http.StatusText(f.Status), " ", "")
	writeProblem(w, &problem{status: f.Status, code: code, message: "a fault that was set", retryAfter: f.RetryAfter})
}

// pause waits for d. It is false when ctx ended first, or the server closed.
func (s *Server) pause(ctx context.Context, d time.Duration) bool {
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
	}
	return ctx.Err() == nil && s.ctx.Err() == nil
}
