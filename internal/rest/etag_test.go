package rest_test

import (
	"net/http"
	"sync"
	"testing"

	"kisibridge/api"
	"kisibridge/internal/access"
)

func TestAChangeOfWhatTheCallerSawPasses(t *testing.T) {
	w := furnished(t)
	for _, path := range []string{"/v1/integrations/hq", "/v1/connections/doors"} {
		tag := w.want(200, "GET", path, "").Header().Get("ETag")
		next := w.want(200, "PATCH", path, `{"name":"Other"}`, "If-Match", `"x", `+tag).Header().Get("ETag")
		if got := w.want(200, "GET", path, "").Header().Get("ETag"); next == tag || got != next {
			t.Errorf("%s: the ETags are %s, after the change %s, and when read again %s", path, tag, next, got)
		}
		w.want(412, "PATCH", path, `{"name":"Third"}`, "If-Match", tag)
		w.want(412, "DELETE", path, "", "If-Match", tag)
		w.want(200, "PATCH", path, `{"name":"Fourth"}`, "If-Match", "*")
	}
}

// The engine decides about everybody after a change, and notes that it did.
func TestWhatTheEngineNotesForItselfIsNoChange(t *testing.T) {
	w := furnished(t)
	tag := w.want(200, "PATCH", "/v1/integrations/hq", `{"name":"Other"}`).Header().Get("ETag")
	_, err := w.store.ChangeIntegration(t.Context(), "hq", func(i *access.Integration) bool { i.Unsettled = false; return true })
	w.check(err)
	w.want(200, "PATCH", "/v1/integrations/hq", `{"name":"Third"}`, "If-Match", tag)
}

func TestOnlyThoseAreRemovedWhomTheCallerSaw(t *testing.T) {
	w := furnished(t)
	rec := w.want(200, "GET", "/v1/integrations/hq/hold", "")
	tag := rec.Header().Get("ETag")
	if got := read[api.Hold](t, rec); got.Count != 2 {
		t.Fatalf("%d removals wait, want 2", got.Count)
	}
	i, err := w.store.Integration(t.Context(), "hq")
	w.check(err)
	w.hold(i, "ada")
	w.want(412, "POST", "/v1/integrations/hq/hold/approve", "", "If-Match", tag)
	if got := read[api.Hold](t, w.want(200, "GET", "/v1/integrations/hq/hold", "")); got.Count != 3 {
		t.Errorf("%d removals wait, want 3", got.Count)
	}
}

func TestOfTwoWhoChangeWhatBothSawOneIsRefused(t *testing.T) {
	w := furnished(t)
	tag := w.want(200, "GET", "/v1/integrations/hq", "").Header().Get("ETag")
	codes := make([]int, 6)
	var wait sync.WaitGroup
	for k := range codes {
		wait.Go(func() {
			body := `{"first_batch":` + string(rune('1'+k)) + `}`
			codes[k] = w.do(request{method: "PATCH", path: "/v1/integrations/hq", body: body, role: "admin", header: map[string]string{"If-Match": tag}}).Code
		})
	}
	wait.Wait()
	done := 0
	for _, code := range codes {
		switch code {
		case http.StatusOK:
			done++
		case http.StatusPreconditionFailed:
		default:
			t.Errorf("a change is answered %d", code)
		}
	}
	if done != 1 {
		t.Errorf("%d changes passed, want 1", done)
	}
}
