package graphsim

import (
	"net/url"
	"strings"
	"sync"
	"time"
)

// keptCalls bounds the log; the counts go on for ever.
const keptCalls = 100_000

// A Call is one request to Graph or the login host. An item of a batch is a
// call of its own, with the method "BATCH GET" and a path without "/v1.0".
type Call struct {
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Query  string    `json:"query"`
	At     time.Time `json:"at"`
	Status int       `json:"status"` // 0: under way, or no answer went out
}

type callLog struct {
	mu     sync.Mutex // guards all below
	log    []*Call
	counts map[string]int // by "METHOD path"
}

func (l *callLog) begin(method string, u *url.URL) *Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &Call{Method: method, Path: u.Path, Query: u.RawQuery, At: time.Now()}
	l.counts[method+" "+u.Path]++
	l.log = append(l.log, c)
	if len(l.log) > 2*keptCalls {
		l.log = append([]*Call(nil), l.log[keptCalls:]...)
	}
	return c
}

func (l *callLog) end(c *Call, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Status = status
}

// Calls returns how many requests came so far whose "METHOD path" begins with
// prefix, for example "GET /v1.0/groups/delta".
func (s *Server) Calls(prefix string) int {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	n := 0
	for key, count := range s.calls.counts {
		if strings.HasPrefix(key, prefix) {
			n += count
		}
	}
	return n
}

// Log returns the last 100,000 calls at least, oldest first.
func (s *Server) Log() []Call {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	log := make([]Call, 0, len(s.calls.log))
	for _, c := range s.calls.log {
		log = append(log, *c)
	}
	return log
}
