package graphsim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

const maxBatch = 20

// A batchItem is one request of a batch. Status is what the SDK may send along
// and nobody reads.
type batchItem struct {
	ID        string            `json:"id"`
	Method    string            `json:"method"`
	URL       string            `json:"url"`
	Headers   map[string]string `json:"headers"`
	Body      json.RawMessage   `json:"body"`
	DependsOn []string          `json:"dependsOn"`
	Status    *int              `json:"status"`
}

type batchAnswer struct {
	ID      string            `json:"id"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    any               `json:"body,omitempty"`
}

func newBatchAnswer(id string, status int, body any) batchAnswer {
	return batchAnswer{ID: id, Status: status, Headers: map[string]string{}, Body: body}
}

// batch answers each item on its own, and the last one first: Graph promises
// no order, so nobody may rely on one.
func (s *Server) batch(r *http.Request) (answer, error) {
	var asked struct {
		Requests []batchItem `json:"requests"`
	}
	if err := body(r, &asked); err != nil {
		return answer{}, err
	}
	if err := checkBatch(asked.Requests); err != nil {
		return answer{}, err
	}
	statuses := map[string]int{}
	answers := []batchAnswer{}
	for _, it := range asked.Requests {
		a := s.batchOne(r, it, statuses)
		statuses[it.ID] = a.Status
		answers = append(answers, a)
	}
	slices.Reverse(answers)
	return ok(map[string]any{"responses": answers})
}

func checkBatch(items []batchItem) error {
	if len(items) == 0 || len(items) > maxBatch {
		return breach("a batch of %d requests, of 1 to %d", len(items), maxBatch)
	}
	seen := map[string]bool{}
	for _, it := range items {
		switch {
		case it.ID == "" || seen[it.ID]:
			return breach("batch: id %q is empty or not unique", it.ID)
		case strings.Contains(it.URL, "://"):
			return breach("batch: url %q is not relative", it.URL)
		case strings.HasPrefix(strings.TrimPrefix(it.URL, "/"), "v1.0/"):
			return breach("batch: url %q repeats the version", it.URL)
		case strings.HasPrefix(strings.TrimPrefix(it.URL, "/"), "$batch"):
			return breach("batch: a batch inside a batch")
		}
		seen[it.ID] = true
	}
	return nil
}

func (s *Server) batchOne(outer *http.Request, it batchItem, statuses map[string]int) batchAnswer {
	for _, id := range it.DependsOn {
		if statuses[id] >= 400 || statuses[id] == 0 {
			return newBatchAnswer(it.ID, http.StatusFailedDependency, nil)
		}
	}
	url := "/v1.0/" + strings.TrimPrefix(it.URL, "/")
	r, err := http.NewRequestWithContext(outer.Context(), it.Method, url, bytes.NewReader(it.Body))
	if err != nil {
		return newBatchAnswer(it.ID, http.StatusBadRequest, err.Error())
	}
	for name, value := range it.Headers {
		r.Header.Set(name, value)
	}
	r.Host, r.TLS, r.RequestURI = outer.Host, outer.TLS, url
	return s.runItem(it, r)
}

// runItem answers an item as if it had come alone, under the faults whose
// route begins with "BATCH ".
func (s *Server) runItem(it batchItem, r *http.Request) batchAnswer {
	w := newRecorder()
	shown := *r.URL
	shown.Path = strings.TrimPrefix(shown.Path, "/v1.0")
	call := s.calls.begin("BATCH "+r.Method, &shown)
	s.around("BATCH "+r.Method+" "+shown.Path, w, r)
	s.calls.end(call, w.status)
	return w.batchAnswer(it.ID)
}

func (w *recorder) batchAnswer(id string) batchAnswer {
	a := newBatchAnswer(id, w.status, nil)
	for name := range w.header {
		a.Headers[name] = w.header.Get(name)
	}
	if json.Valid(w.body.Bytes()) {
		a.Body = json.RawMessage(w.body.Bytes())
	} else if w.body.Len() > 0 {
		a.Body = w.body.String()
	}
	return a
}
