package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/api"
	"kisibridge/internal/graphsim"
)

// tape is an audit trail that a stream plays in pieces: each connection gives
// one event, and breaks.
type tape struct {
	t     *testing.T
	of    []api.Event
	after []string // what each connection asked to go on from
	end   context.CancelFunc
}

func (p *tape) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/events" {
		give(w, http.StatusOK, page[api.Event]{Items: p.of[:1]})
		return
	}
	last := r.Header.Get("Last-Event-ID")
	p.after = append(p.after, last)
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range p.of {
		if e.ID > last {
			text, _ := json.Marshal(e)                                         // it is one
			_, _ = fmt.Fprintf(w, ": alive\nid: %s\ndata: %s\n\n", e.ID, text) // a recorder
			return
		}
	}
	p.end()
}

func TestFollowGoesOnAfterTheLastEventWhenTheLineBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var trail []api.Event
		for k, what := range []string{"integration added", "access granted", "access revoked"} {
			trail = append(trail, api.Event{ID: fmt.Sprint(k + 1), At: dawn(), What: what, Email: "ada@contoso.example", Cause: "notification", LagSeconds: 1.25})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		p := &tape{t: t, of: trail, end: cancel}
		c := newCounter(t)
		out := c.with(ctx, graphsim.RoundTripper(p), "events", "--since", "2026-01-31T00:00:00Z", "--follow")
		want := `2026-01-31T08:00:00Z  integration added       ada@contoso.example  notification  1.25s
2026-01-31T08:00:00Z  access granted          ada@contoso.example  notification  1.25s
2026-01-31T08:00:00Z  access revoked          ada@contoso.example  notification  1.25s
`
		if diff := cmp.Diff(want, out); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"1", "2", "3"}, p.after); diff != "" {
			t.Errorf("connections go on after (-want +got):\n%s", diff)
		}
	})
}

func TestEventsAsJSONAreOneALine(t *testing.T) {
	p := &tape{t: t, of: []api.Event{{ID: "1", At: dawn(), What: "access granted"}}}
	out := newCounter(t).with(t.Context(), graphsim.RoundTripper(p), "events", "-o", "json")
	if diff := cmp.Diff(`{"at":"2026-01-31T08:00:00Z","id":"1","what":"access granted"}`+"\n", out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
