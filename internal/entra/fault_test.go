package entra_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"kisibridge/internal/access"
	"kisibridge/internal/entra"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
)

func TestWhatGraphAnswersIsSortedByWhatIsToBeDone(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault graphsim.Fault
		class fault.Class
		after time.Duration
		hint  string
	}{
		{"429 with a time", graphsim.Fault{Status: 429, RetryAfter: 7}, fault.Busy, 7 * time.Second, ""},
		{"429 without a time", graphsim.Fault{Status: 429}, fault.Busy, 0, ""},
		{"500", graphsim.Fault{Status: 500}, fault.Busy, 0, ""},
		{"502 as a page of HTML", graphsim.Fault{HTML: true}, fault.Busy, 0, ""},
		{"503", graphsim.Fault{Status: 503}, fault.Busy, 0, ""},
		{"503 with a time", graphsim.Fault{Status: 503, RetryAfter: 30}, fault.Busy, 30 * time.Second, ""},
		{"504", graphsim.Fault{Status: 504}, fault.Busy, 0, ""},
		{"a lost answer", graphsim.Fault{Lost: true}, fault.Busy, 0, ""},
		{"200 as a page of HTML", graphsim.Fault{Status: 200, HTML: true}, fault.Busy, 0, ""},
		{"400", graphsim.Fault{Status: 400}, fault.Invalid, 0, ""},
		{"401", graphsim.Fault{Status: 401}, fault.Denied, 0, "credential"},
		{"403", graphsim.Fault{Status: 403}, fault.Denied, 0, "GroupMember.Read.All"},
		{"404", graphsim.Fault{Status: 404}, fault.Missing, 0, ""},
		{"409", graphsim.Fault{Status: 409}, fault.Clash, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.group("hq", "ada")
			tc.fault.Route = "GET /v1.0/groups/delta"
			w.SetFault(tc.fault)
			c, err := w.Changes(t.Context(), "hq", "")
			wantFault(t, err, tc.class, tc.after)
			if errors.Is(err, access.ErrResync) {
				t.Errorf("%v asks for a resync", err)
			}
			if hint := fault.Hint(err); !strings.Contains(hint, tc.hint) {
				t.Errorf("the hint %q does not name %s", hint, tc.hint)
			}
			if diff := cmp.Diff(access.Changes{}, c); diff != "" {
				t.Errorf("changes beside the error (-want +got):\n%s", diff)
			}
			// The queue tries again, so that the client must not.
			if n := w.Calls(tc.fault.Route); n != 1 {
				t.Errorf("it was asked %d times, want once", n)
			}
		})
	}
}

func TestACallThatHangsIsGivenUpAfterTheTimeout(t *testing.T) {
	const timeout = 5 * time.Second
	for _, tc := range []struct {
		name  string
		route string
		call  func(context.Context, world) error
		class fault.Class
	}{
		{"Changes", "GET /v1.0/groups/delta", changesOf, fault.Busy},
		{"Members", "GET /v1.0/groups/hq/members", membersOf, fault.Busy},
		{"People", "POST /v1.0/$batch", peopleOf, fault.Busy},
		{"Subscribe", "POST /v1.0/subscriptions", subscribeTo, fault.Unknown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, signedIn, validating, func(s *setup) { s.client.Timeout = timeout })
				w.group("hq", "ada")
				w.SetFault(graphsim.Fault{Route: tc.route, Hang: time.Minute})
				began := time.Now()
				err := tc.call(t.Context(), w)
				wantFault(t, err, tc.class, 0)
				if took := time.Since(began); took != timeout {
					t.Errorf("it took %v, want %v", took, timeout)
				}
			})
		})
	}
}

func changesOf(ctx context.Context, w world) error {
	_, err := w.Changes(ctx, "hq", "")
	return err
}

func membersOf(ctx context.Context, w world) error {
	_, _, err := w.Client.Members(ctx, "hq")
	return err
}

func peopleOf(ctx context.Context, w world) error {
	_, err := w.People(ctx, []string{"ada"})
	return err
}

func subscribeTo(ctx context.Context, w world) error {
	_, err := w.Subscribe(ctx, ours("hq"))
	return err
}

func TestASlowAnswerWithinTheTimeoutIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, signedIn) // the timeout is half a minute when none is set
		w.group("hq", "ada")
		w.SetFault(graphsim.Fault{Route: "GET /v1.0/groups/delta", Hang: 29 * time.Second})
		w.changes(t, "hq", "")
	})
}

// A process that is told to stop must not take the call for refused.
func TestACallerWhoLeavesSeesItsOwnReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, signedIn, validating)
		w.group("hq", "ada")
		for _, call := range []func(context.Context, world) error{changesOf, membersOf, peopleOf, subscribeTo} {
			w.SetFault(graphsim.Fault{Hang: 20 * time.Second, Times: 1})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := call(ctx, w)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v; want that the deadline passed", err)
			}
		}
	})
}

func TestATokenThatGraphNoLongerTakesIsDenied(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.client.Credential = fixedToken("a token of another tenant") })
	w.group("hq", "ada")
	_, err := w.Changes(t.Context(), "hq", "")
	wantFault(t, err, fault.Denied, 0)
	wantNoSecret(t, err, "a token of another tenant")
}

func TestCallsAreCountedByOutcome(t *testing.T) {
	r := prometheus.NewRegistry()
	w := newWorld(t, func(s *setup) { s.client.Metrics = r })
	w.group("hq", "ada")
	link := w.changes(t, "hq", "").Link
	w.ExpireLinks()
	for _, f := range []graphsim.Fault{{}, {Status: http.StatusServiceUnavailable, Times: 1}} {
		w.SetFault(f)
		_, err := w.Changes(t.Context(), "hq", link)
		if err == nil {
			t.Error("an expired link was taken")
		}
		w.ClearFaults()
	}
	_, _ = w.People(t.Context(), []string{"ada"}) // only counted here
	want := map[string]float64{"delta ok": 1, "delta resync": 1, "delta busy": 1, "people ok": 1}
	if diff := cmp.Diff(want, counts(t, r)); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// counts reads kisibridge_graph_requests_total by call and outcome.
func counts(t *testing.T, r prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "kisibridge_graph_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := m.GetLabel() // sorted by name: call, outcome
			got[labels[0].GetValue()+" "+labels[1].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return got
}

func TestNothingIsCalledBeforeItIsAsked(t *testing.T) {
	o := options()
	o.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		t.Errorf("%s %s was called", r.Method, r.URL)
		return nil, http.ErrHandlerTimeout
	})
	if _, err := entra.New(o); err != nil {
		t.Error(err)
	}
}
