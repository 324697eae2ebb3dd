package entra_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/access"
)

// A counter counts what requests say of their urgency, by path.
type counter struct {
	mu   sync.Mutex // guards said
	said map[string]int
}

func (c *counter) on(s *setup) {
	s.via = func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.said[r.Header.Get("x-ms-throttle-priority")]++
			if r.Body != nil {
				text, err := io.ReadAll(r.Body)
				if err != nil {
					return nil, err
				}
				r.Body = io.NopCloser(bytes.NewReader(text))
				for _, p := range []string{"low", "high"} {
					c.said["item "+p] += bytes.Count(text, []byte(`"x-ms-throttle-priority":"`+p+`"`))
				}
			}
			return next.RoundTrip(r)
		})
	}
}

func TestGraphIsToldWhatMayWait(t *testing.T) {
	for _, tc := range []struct {
		name string
		ctx  context.Context
		want map[string]int
	}{
		{"urgent", t.Context(), map[string]int{"high": 5, "item high": 3, "item low": 0}},
		{"a sweep", access.Unhurried(t.Context()), map[string]int{"low": 5, "item low": 3, "item high": 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &counter{said: map[string]int{}}
			w := newWorld(t, signedIn, c.on)
			w.group("hq", crowd("p", 150)...)
			changes, err := w.Changes(tc.ctx, "hq", "") // three pages, one of them empty
			if err != nil || len(changes.Joined) != 150 {
				t.Fatalf("%d joined, error %v", len(changes.Joined), err)
			}
			if _, err := w.People(tc.ctx, []string{"p-0001", "p-0002"}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Belongs(tc.ctx, []string{"p-0001"}, []string{"hq"}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, c.said); diff != "" {
				t.Errorf("requests by urgency (-want +got):\n%s", diff)
			}
		})
	}
}
