package kisisim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A handler answers with s.mu held.
type handler func(r *http.Request) (*answer, error)

type answer struct {
	status int
	body   any // nil: an empty body
	header http.Header
}

// A problem is one of Kisi's two error bodies.
type problem struct {
	status int
	code   string
	text   string
	fields map[string][]string
}

func (p *problem) Error() string { return p.text }

func invalid(field, text string) *problem {
	return &problem{status: 422, fields: map[string][]string{field: {text}}}
}

func notFound(what string, id int) *problem {
	return &problem{404, "5a5f31", fmt.Sprintf("%s %d was not found.", what, id), nil}
}

func exists() *problem { return &problem{409, "000409", "Record already exists.", nil} }

// serve wraps a route with what every request goes through: the key, the rate,
// the headers, the fault that is set, and the log.
func (s *Server) serve(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			panic(http.ErrAbortHandler) // the client went away
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if a := s.admit(r); a != nil {
			s.note(r, a.status)
			a.write(w)
			return
		}
		f := s.fault(r)
		if f != nil && f.Hang > 0 && !f.Lost {
			if !wait(r, f.Hang) {
				panic(http.ErrAbortHandler)
			}
		}
		if f != nil && f.Status != 0 {
			s.note(r, f.Status)
			f.write(w)
			return
		}
		a := s.handle(r, h)
		s.note(r, a.status)
		if f != nil && f.Lost {
			wait(r, f.Hang)
			panic(http.ErrAbortHandler)
		}
		a.write(w)
	}
}

// wait tells whether the client is still there after d.
func wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return r.Context().Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-r.Context().Done():
		return false
	case <-t.C:
		return true
	}
}

func (s *Server) note(r *http.Request, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, Call{r.Method, r.URL.Path, r.URL.RawQuery, time.Now(), status})
}

func (s *Server) handle(r *http.Request, h handler) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := h(r)
	if err != nil {
		p, ok := errors.AsType[*problem](err)
		if !ok {
			p = &problem{500, "ffffff", err.Error(), nil}
		}
		a = p.answer()
	}
	if what := deprecated(r); what != "" {
		s.violate("%s %s: %s is deprecated", r.Method, r.URL.Path, what)
		a.warn()
	}
	return a
}

func (p *problem) answer() *answer {
	if p.fields != nil {
		return &answer{status: p.status, body: map[string]any{"errors": p.fields}}
	}
	return &answer{status: p.status, body: map[string]any{"code": p.code, "error": p.text}}
}

// admit checks what every request must bring, whatever becomes of it then.
func (s *Server) admit(r *http.Request) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	auth := r.Header.Get("Authorization")
	if auth == "" {
		s.violate("%s %s: no key", r.Method, r.URL.Path)
	}
	if auth != "KISI-LOGIN "+s.opts.APIKey {
		return (&problem{401, "b0ac72", "Please sign in.", nil}).answer()
	}
	if a := s.rate(r); a != nil {
		return a
	}
	if !strings.Contains(r.Header.Get("Accept"), "application/json") {
		s.violate("%s %s: no Accept: application/json", r.Method, r.URL.Path)
		return (&problem{406, "406406", "Ask for application/json.", nil}).answer()
	}
	if r.Method == http.MethodPost || r.Method == http.MethodPatch {
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			s.violate("%s %s: no Content-Type: application/json", r.Method, r.URL.Path)
			return (&problem{415, "415415", "Send application/json.", nil}).answer()
		}
	}
	return nil
}

// rate counts the requests of the last second. What comes with a 429 varies,
// for nobody says what Kisi sends.
func (s *Server) rate(r *http.Request) *answer {
	limit := s.opts.Rate
	if limit == 0 {
		limit = 5
	}
	now := time.Now()
	for len(s.recent) > 0 && now.Sub(s.recent[0]) >= time.Second {
		s.recent = s.recent[1:]
	}
	s.recent = append(s.recent, now)
	if limit < 0 || len(s.recent) <= limit {
		return nil
	}
	if !s.opts.TolerateRate {
		s.violate("%s %s: request %d within a second, %d are allowed", r.Method, r.URL.Path, len(s.recent), limit)
	}
	s.refusals++
	a := (&problem{429, "429429", "Too many requests.", nil}).answer()
	switch s.refusals % 3 {
	case 1:
		a.header = http.Header{"Retry-After": {"1"}}
	case 2:
		a.body = nil
	}
	return a
}

func (a *answer) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body) // the client may be gone
}

func ok(body any) (*answer, error) { return &answer{status: 200, body: body}, nil }

func empty() (*answer, error) { return &answer{status: 204}, nil }

// options reads the query and refuses what the route does not know.
func (s *Server) options(r *http.Request, known ...string) (url.Values, error) {
	q := r.URL.Query()
	for name := range q {
		if !slices.Contains(known, name) {
			s.violate("%s %s: unknown option %s", r.Method, r.URL.Path, name)
			return nil, &problem{400, "400400", "Unknown option " + name + ".", nil}
		}
	}
	return q, nil
}

// body reads {"wrap":{…}} and refuses fields that the route does not know.
func (s *Server) body(r *http.Request, wrap string, into any) error {
	var outer map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&outer); err != nil || len(outer) != 1 || outer[wrap] == nil {
		s.violate("%s %s: the body is not {%q:{…}}", r.Method, r.URL.Path, wrap)
		return &problem{400, "400401", "Wrap the body in " + wrap + ".", nil}
	}
	d := json.NewDecoder(bytes.NewReader(outer[wrap]))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		s.violate("%s %s: %v", r.Method, r.URL.Path, err)
		return invalid("base", err.Error())
	}
	return nil
}

func pathID(r *http.Request) int {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return -1
	}
	return id
}

func itoa(n int) string { return strconv.Itoa(n) }
