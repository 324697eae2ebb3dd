package graphsim

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAFaultBreaksItsRouteAsOftenAsItSays(t *testing.T) {
	w := newWorld(t, Options{})
	w.person("ada")
	w.SetFault(Fault{Route: "GET /v1.0/users", Status: 503, RetryAfter: 3, Skip: 1, Times: 2})
	w.get("/v1.0/users/ada")
	for range 2 {
		r := w.want(http.StatusServiceUnavailable, "GET", "/v1.0/users/ada", "")
		if diff := cmp.Diff("3", r.header.Get("Retry-After")); diff != "" {
			t.Errorf("Retry-After (-want +got):\n%s", diff)
		}
		w.get("/v1.0/organization")
	}
	w.get("/v1.0/users/ada")

	w.SetFault(Fault{Status: 500})
	for range 3 {
		w.want(http.StatusInternalServerError, "GET", "/v1.0/users/ada", "")
	}
	w.ClearFaults()
	w.get("/v1.0/users/ada")
}

func TestAFaultCanBeAPageOfHTML(t *testing.T) {
	w := newWorld(t, Options{})
	w.SetFault(Fault{HTML: true, Times: 1})
	r := w.want(http.StatusBadGateway, "GET", "/v1.0/organization", "")
	if diff := cmp.Diff("text/html", r.header.Get("Content-Type")); diff != "" {
		t.Errorf("content type (-want +got):\n%s", diff)
	}
}

func TestALostAnswerTakesEffectAndBreaksTheConnection(t *testing.T) {
	w := newWorld(t, Options{})
	w.SetFault(Fault{Route: "POST /v1.0/subscriptions", Lost: true, Times: 1})
	_, err := w.do("POST", "/v1.0/subscriptions", subscription("groups"))
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset connection", err)
	}
	w.want(http.StatusConflict, "POST", "/v1.0/subscriptions", subscription("groups"))
	log := w.Log()
	if diff := cmp.Diff([]int{0, 409}, []int{log[0].Status, log[1].Status}); diff != "" {
		t.Errorf("statuses in the log (-want +got):\n%s", diff)
	}
}

func TestAHangTakesNoEffectWhenTheCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.SetFault(Fault{Route: "POST", Hang: time.Minute, Times: 2})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		req, err := http.NewRequestWithContext(ctx, "POST", graphHost+"/v1.0/subscriptions", strings.NewReader(subscription("groups")))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+w.Token())
		req.Header.Set("Content-Type", "application/json")
		resp, err := w.client.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 10*time.Second {
			t.Errorf("got %v after %v, want the deadline after 10 s", err, time.Since(began))
		}
		if got := w.Subscriptions(); len(got) != 0 {
			t.Errorf("subscribed all the same: %v", got)
		}
		w.want(http.StatusCreated, "POST", "/v1.0/subscriptions", subscription("groups")) // slow, but whole
		if diff := cmp.Diff(70*time.Second, time.Since(began)); diff != "" {
			t.Errorf("took (-want +got):\n%s", diff)
		}
	})
}

func TestCallsAreCountedByMethodAndPath(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	w.get(groupsDelta())
	w.get("/v1.0/groups/hq")
	w.get("/v1.0/users/ada?$select=id")
	for prefix, want := range map[string]int{"": 3, "GET /v1.0/groups": 2, "GET /v1.0/groups/delta": 1, "POST": 0} {
		if got := w.Calls(prefix); got != want {
			t.Errorf("Calls(%q) is %d, want %d", prefix, got, want)
		}
	}
	last := w.Log()[2]
	want := Call{Method: "GET", Path: "/v1.0/users/ada", Query: "$select=id", At: last.At, Status: 200}
	if diff := cmp.Diff(want, last); diff != "" {
		t.Errorf("last call (-want +got):\n%s", diff)
	}
}

func TestRoundTripperLooksLikeAServer(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Seen", strings.Join([]string{r.Host, r.RemoteAddr, r.RequestURI}, " "))
		if r.TLS != nil {
			w.WriteHeader(http.StatusAccepted)
		}
		w.Header().Set("X-Late", "never sent")
	})
	for target, status := range map[string]int{"http://a.example/b?c=d": 200, "https://a.example/b?c=d": 202} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", target, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := RoundTripper(echo).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if diff := cmp.Diff("a.example 192.0.2.1:1234 /b?c=d", resp.Header.Get("X-Seen")); diff != "" || resp.StatusCode != status {
			t.Errorf("%s: status %d, want %d (-want +got):\n%s", target, resp.StatusCode, status, diff)
		}
	}
}
