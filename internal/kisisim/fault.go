package kisisim

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Fault is what goes wrong on a route.
type Fault struct {
	Route      string        `json:"route"`       // the beginning of "METHOD /path"; "" is any
	Status     int           `json:"status"`      // the answer, without effect; 0: the usual one
	RetryAfter int           `json:"retry_after"` // seconds, sent with Status
	Body       string        `json:"body"`        // instead of JSON
	Times      int           `json:"times"`       // so often; 0: until it is cleared
	Skip       int           `json:"skip"`        // let so many pass first
	Hang       time.Duration `json:"hang"`        // answer, or lose the answer, only then
	Lost       bool          `json:"lost"`        // it takes effect, and the answer is lost
}

// SetFault adds a fault; the first that fits a request is used.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Times == 0 {
		f.Times = -1
	}
	s.faults = append(s.faults, &f)
}

// ClearFaults makes all well.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault finds what goes wrong with a request, if anything does.
func (s *Server) fault(r *http.Request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.Times == 0 || !strings.HasPrefix(r.Method+" "+r.URL.Path, f.Route) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		copied := *f
		return &copied
	}
	return nil
}

func (f *Fault) write(w http.ResponseWriter) {
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	body := f.Body
	if body == "" {
		w.Header().Set("Content-Type", "application/json")
		body = fmt.Sprintf(`{"code":"ffffff","error":"Unexpected issue %d."}`, f.Status)
	} else {
		w.Header().Set("Content-Type", "text/html")
	}
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, body) // the client may be gone
}
