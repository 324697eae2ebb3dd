package rest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/api"
	"kisibridge/internal/access"
	"kisibridge/internal/store"
)

func TestAnIntegrationReadsAsItWasMade(t *testing.T) {
	w := newWorld(t)
	w.group("lab", 2)
	for _, tc := range []struct{ name, fields string }{
		{"every default", `"email_property":"userPrincipalName","membership":"direct","existing_access":"adopt","disabled_accounts":"revoke",
			"removal_limit":{"count":25,"percent":20},"removal_mode":"at_once","removal_hours":0,"guests":true,"exclude":[],
			"first_batch":0,"notify":true,"send_emails":true,"insist":false`},
		{"no default", `"email_property":"mail","membership":"transitive","existing_access":"preserve","disabled_accounts":"keep",
			"removal_limit":{"count":0,"percent":0},"removal_mode":"after","removal_hours":48,"guests":false,"exclude":["ada"],
			"first_batch":10,"notify":false,"send_emails":false,"insist":true`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := strings.TrimSuffix(goodIntegration, "}")
			if tc.name != "every default" {
				body += "," + tc.fields
			}
			rec := w.want(201, "POST", "/v1/integrations", body+"}")
			var got, want map[string]any
			w.check(json.Unmarshal(w.want(200, "GET", rec.Header().Get("Location"), "").Body.Bytes(), &got))
			w.check(json.Unmarshal([]byte("{"+tc.fields+"}"), &want))
			for field := range want {
				if diff := cmp.Diff(want[field], got[field]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", field, diff)
				}
			}
		})
	}
}

func TestAPatchLeavesAloneWhatItDoesNotName(t *testing.T) {
	w := furnished(t)
	before := read[map[string]any](t, w.want(200, "PATCH", "/v1/integrations/hq", `{"removal_mode":"after","removal_hours":5}`))
	after := read[map[string]any](t, w.want(200, "PATCH", "/v1/integrations/hq", `{"removal_mode":"at_once"}`))
	before["removal_mode"], before["removal_hours"] = "at_once", 0.0 // the hours belong to the mode
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("integration (-want +got):\n%s", diff)
	}
}

func TestAConnectionInUseNamesWhoUsesIt(t *testing.T) {
	w := furnished(t)
	p := read[api.Problem](t, w.want(409, "DELETE", "/v1/connections/doors", ""))
	var got []string
	for _, e := range *p.Errors {
		got = append(got, e.Detail)
	}
	if diff := cmp.Diff([]string{"hq (HQ doors)", "old (OLD doors)", "staged (STAGED doors)"}, got); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
}

func TestTheTrailNamesWhoCalled(t *testing.T) {
	w := furnished(t)
	w.do(request{method: "POST", path: "/v1/integrations/hq/pause", role: "operator"})
	page := read[api.EventPage](t, w.want(200, "GET", "/v1/events?integration=hq", ""))
	last := page.Items[len(page.Items)-1]
	if last.What != "integration paused" || last.By != "key the operator" {
		t.Errorf("the last event is %q by %q", last.What, last.By)
	}
}

func TestARunEndsWhenTheGroupWasReadAndNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		i := w.integration("hq", 1, "ada", "bob", "cyd")
		time.Sleep(time.Minute)
		rec := w.want(202, "POST", "/v1/integrations/hq/sync", "")
		path := rec.Header().Get("Location")
		state := func() string {
			run := read[api.Run](t, w.want(200, "GET", path, ""))
			return fmt.Sprintf("%s %d/%d", run.State, run.Progress.Done, run.Progress.Total)
		}
		var got []string
		got = append(got, state())
		time.Sleep(time.Second)
		w.check(w.store.AddRun(t.Context(), "hq", store.Run{At: time.Now(), Cause: "person", Make: 1}))
		_, err := w.store.SaveMembership(t.Context(), i.Group, 1, access.Changes{}, time.Now())
		w.check(err)
		got = append(got, state())
		w.grant(i, "cyd", 300)
		got = append(got, state())
		if diff := cmp.Diff([]string{"running 0/1", "running 0/1", "done 1/1"}, got); diff != "" {
			t.Errorf("run (-want +got):\n%s", diff)
		}
	})
}

func TestTheRunOfADeletionOutlivesTheIntegration(t *testing.T) {
	w := furnished(t)
	path := w.want(202, "DELETE", "/v1/integrations/hq", "").Header().Get("Location")
	if got := read[api.Run](t, w.want(200, "GET", path, "")); got.State != api.RunStateRunning || got.Progress.Total != 3 {
		t.Errorf("the run is %s of %d, want running of 3", got.State, got.Progress.Total)
	}
	w.check(w.store.RemoveIntegration(t.Context(), "hq"))
	if got := read[api.Run](t, w.want(200, "GET", path, "")); got.State != api.RunStateDone || got.Progress.Done != 3 {
		t.Errorf("the run is %s with %d done, want done with 3", got.State, got.Progress.Done)
	}
}

func TestRedisAwayIs503AndTellsNothingOfOurInsides(t *testing.T) {
	w := furnished(t)
	b := &breaker{at: "kb:{integrations}"}
	w.redis.AddHook(b)
	b.arm()
	rec := w.want(503, "GET", "/v1/integrations/hq", "")
	if strings.Contains(rec.Body.String(), "10.1.2.3") || rec.Header().Get("Retry-After") == "" {
		t.Errorf("Retry-After is %q, the body %s", rec.Header().Get("Retry-After"), rec.Body)
	}
}

func TestWhoCallsTooOftenHasToWait(t *testing.T) {
	w := newWorld(t)
	for range 700 {
		rec := w.do(request{method: "GET", path: "/v1/status", role: "viewer"})
		if rec.Code == 200 {
			continue
		}
		wait, err := strconv.Atoi(rec.Header().Get("Retry-After"))
		if rec.Code != 429 || err != nil || wait < 1 || wait > 60 {
			t.Errorf("the answer is %d, Retry-After %q", rec.Code, rec.Header().Get("Retry-After"))
		}
		w.want(200, "GET", "/v1/status", "") // somebody else does not
		return
	}
	t.Error("700 calls passed at once")
}

func TestTheRequestIDIsTakenOrMade(t *testing.T) {
	w := newWorld(t)
	for given, keeps := range map[string]bool{"abc-1": true, "": false, "a b": false, strings.Repeat("x", 101): false} {
		rec := w.do(request{method: "GET", path: "/v1/nothing", role: "viewer", header: map[string]string{"X-Request-ID": given}})
		got := rec.Header().Get("X-Request-ID")
		if got == "" || (got == given) != keeps {
			t.Errorf("X-Request-ID %q became %q", given, got)
		}
		if p := read[api.Problem](t, rec); rec.Code != 404 || *p.Instance != got {
			t.Errorf("the answer is %d of %s, want 404 of %s", rec.Code, *p.Instance, got)
		}
	}
}

func TestTheExportIsTheWholeTrail(t *testing.T) {
	w := newWorld(t)
	for k := range 1203 {
		w.check(w.store.AddEvent(t.Context(), store.Event{At: time.Now(), What: "x", Count: k, Person: fmt.Sprint("p", k%2)}))
	}
	for query, want := range map[string]int{"": 1203, "?person=p1": 601, "?since=2999-01-01T00:00:00Z": 0} {
		got, last := 0, -1
		for lines := bufio.NewScanner(w.want(200, "GET", "/v1/events.ndjson"+query, "").Body); lines.Scan(); got++ {
			var e api.Event
			w.check(json.Unmarshal(lines.Bytes(), &e))
			if e.Count < last {
				t.Fatalf("event %d comes after %d", e.Count, last)
			}
			last = e.Count
		}
		if got != want {
			t.Errorf("the export %q has %d lines, want %d", query, got, want)
		}
	}
}

func TestAStreamTellsWhatIsNewAndResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tell := func(what, integration string) {
			w.check(w.store.AddEvent(t.Context(), store.Event{At: time.Now(), What: what, Integrations: []string{integration}}))
		}
		// follow listens for a while, and calls what happens meanwhile.
		follow := func(query, last string, meanwhile func()) (whats []string, id string, text string) {
			ctx, cancel := context.WithCancel(t.Context())
			rec, done := httptest.NewRecorder(), make(chan struct{})
			go func() {
				defer close(done)
				r := request{method: "GET", path: "/v1/events/stream" + query, header: map[string]string{}}
				if last != "" {
					r.header["Last-Event-ID"] = last
				}
				w.handler.ServeHTTP(rec, r.make(ctx, w.tokens["viewer"]))
			}()
			time.Sleep(2 * time.Second)
			meanwhile()
			time.Sleep(40 * time.Second)
			cancel()
			<-done // it ends with the request
			for line := range strings.Lines(rec.Body.String()) {
				if data, ok := strings.CutPrefix(line, "data: "); ok {
					var e api.Event
					w.check(json.Unmarshal([]byte(data), &e))
					whats = append(whats, e.What)
				}
				if named, ok := strings.CutPrefix(line, "id: "); ok {
					id = strings.TrimSpace(named)
				}
			}
			return whats, id, rec.Body.String()
		}
		tell("before", "hq")
		whats, id, text := follow("?integration=hq", "", func() { tell("one", "hq"); tell("other", "lab"); tell("two", "hq") })
		if diff := cmp.Diff([]string{"one", "two"}, whats); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if n := strings.Count(text, ": still here"); n != 2 {
			t.Errorf("%d heartbeats in 40 seconds, want 2", n)
		}
		tell("three", "hq")
		whats, _, _ = follow("", id, func() { tell("four", "lab") })
		if diff := cmp.Diff([]string{"three", "four"}, whats); diff != "" {
			t.Errorf("events after a break (-want +got):\n%s", diff)
		}
	})
}

func FuzzCreateIntegration(f *testing.F) {
	w := newWorld(f)
	w.group("lab", 2, "ada")
	for _, body := range []string{goodIntegration, badFields, noGroup, unknownField, `{}`, `[]`, `{"name":null}`, "\xff", `{"name":"\u0000"}`} {
		f.Add([]byte(body), "key")
	}
	f.Fuzz(func(t *testing.T, body []byte, key string) {
		w.redis.Del(t.Context(), w.redis.Keys(t.Context(), "kb:{tally:*").Val()...)
		for _, path := range []string{"/v1/integrations/preview", "/v1/integrations"} {
			r := request{method: "POST", path: path, body: string(body), role: "admin", header: map[string]string{"Idempotency-Key": key}}
			if rec := w.do(r); rec.Code >= 500 {
				t.Errorf("%s: %d: %s", path, rec.Code, rec.Body)
			}
		}
	})
}

func TestWhatIsNotThereIsAProblemToo(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		method, path string
		want         []int
	}{
		{"GET", "/v1/nothing", []int{404}},
		{"PUT", "/v1/integrations", []int{404, 405}},
		{"GET", "/v1", []int{404}},
		{"POST", "/v1/integrations/hq", []int{404, 405}},
	} {
		rec := w.do(request{method: tc.method, path: tc.path, role: "viewer"})
		if !slices.Contains(tc.want, rec.Code) {
			t.Errorf("%s %s: %d, want one of %d", tc.method, tc.path, rec.Code, tc.want)
		}
		if kind := rec.Header().Get("Content-Type"); tc.path != "/v1" && kind != "application/problem+json" {
			t.Errorf("%s %s: the answer %d is %q", tc.method, tc.path, rec.Code, kind)
		}
	}
}

func TestTheDocumentIsServedToAnybody(t *testing.T) {
	w := newWorld(t)
	rec := w.do(request{method: "GET", path: "/openapi.yaml"})
	if rec.Code != 200 || rec.Body.String() != api.Document() {
		t.Errorf("the answer is %d with %d bytes", rec.Code, rec.Body.Len())
	}
}
