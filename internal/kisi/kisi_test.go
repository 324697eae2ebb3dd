package kisi_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/kisi"
)

// A limiter remembers who waited, and who was told to go slower.
type limiter struct {
	waited []access.Urgency
	slowed []time.Duration
	delay  time.Duration
	err    error
}

func (l *limiter) Wait(ctx context.Context, u access.Urgency) error {
	l.waited = append(l.waited, u)
	select {
	case <-time.After(l.delay):
		return l.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *limiter) Slow(_ context.Context, after time.Duration) { l.slowed = append(l.slowed, after) }

func TestSettingsAreCheckedAtOnce(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   kisi.Options
		want []string
	}{
		{"both", kisi.Options{URL: "api.kisi.io"}, []string{`URL: is "api.kisi.io"`, "APIKey: is empty"}},
		{"no URL at all", kisi.Options{URL: "https://\x7f", APIKey: "k"}, []string{"URL: is no URL"}},
		{"a password in the URL", kisi.Options{URL: "https://ada:hunter2@api.kisi.io", APIKey: "k"}, []string{"URL: is", "xxxxx"}},
		{"a query", kisi.Options{URL: "https://api.kisi.io/?a=b", APIKey: "k"}, []string{"URL: is", "leave out"}},
		{"a line break behind the key", kisi.Options{APIKey: "hunter2\n"}, []string{"APIKey: has a blank"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := kisi.New(tc.in)
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("got %v, want invalid", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want it to tell %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a secret in %v", err)
			}
		})
	}
	if _, err := kisi.New(kisi.Options{APIKey: "k"}); err != nil {
		t.Errorf("got %v, want the zero value of every other option to do", err)
	}
}

func TestACallIsMadeAsKisiAsks(t *testing.T) {
	var got http.Header
	var url string
	c, err := kisi.New(kisi.Options{
		URL: "https://kisi.example/v0/", APIKey: secret, Version: "1.2.3",
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			got, url = r.Header, r.URL.String()
			return answer{status: 200, body: `{"id":71}`}.RoundTrip(r)
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Whoami(t.Context(), access.Look); err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		"Accept": {"application/json"}, "Content-Type": {"application/json"}, "Authorization": {"KISI-LOGIN " + secret},
		"User-Agent": {"kisibridge/1.2.3"}, "X-Kisi-Integration-Identifier": {"kisibridge/1.2.3"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if want := "https://kisi.example/v0/user"; url != want {
		t.Errorf("called %s, want %s", url, want)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTheLimiterKnowsTheUrgencyOfEveryCall(t *testing.T) {
	lim := &limiter{}
	c, err := kisi.New(kisi.Options{APIKey: secret, Transport: answer{status: 500}, Limiter: lim})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for _, do := range []func(u access.Urgency) error{
		func(u access.Urgency) error { _, err := c.Whoami(ctx, u); return err },
		func(u access.Urgency) error { _, _, err := c.FindUser(ctx, u, "a@b.example"); return err },
		func(u access.Urgency) error { _, err := c.User(ctx, u, 12); return err },
		func(u access.Urgency) error {
			_, err := c.CreateUser(ctx, u, access.NewUser{Email: "a@b.example"})
			return err
		},
		func(u access.Urgency) error { return c.EachUser(ctx, u, nil) },
		func(u access.Urgency) error { _, err := c.Rows(ctx, u, doors, 12); return err },
		func(u access.Urgency) error { return c.EachRow(ctx, u, doors, nil) },
		func(u access.Urgency) error { _, err := c.Grant(ctx, u, doors, 12, true); return err },
		func(u access.Urgency) error { return c.Revoke(ctx, u, doors, 4711) },
		func(u access.Urgency) error { _, err := c.Groups(ctx, u, ""); return err },
		func(u access.Urgency) error { _, err := c.Group(ctx, u, 45); return err },
		func(u access.Urgency) error { _, err := c.Teams(ctx, u, ""); return err },
		func(u access.Urgency) error { _, err := c.Team(ctx, u, 7); return err },
		func(u access.Urgency) error { _, err := c.Imports(ctx, u, 45); return err },
		func(u access.Urgency) error { _, err := c.UsersByID(ctx, u, []int{12}); return err },
		func(u access.Urgency) error { return c.Rename(ctx, u, 12, "Ada") },
		func(u access.Urgency) error { _, err := c.Describe(ctx, u, doors); return err },
		func(u access.Urgency) error { _, err := c.Hooks(ctx, u); return err },
		func(u access.Urgency) error {
			_, err := c.AddHook(ctx, u, access.Hook{URL: "https://bridge.example"})
			return err
		},
		func(u access.Urgency) error { return c.DropHook(ctx, u, 7) },
	} {
		for u := access.Revoke; u <= access.Look; u++ {
			lim.waited = nil
			if err := do(u); err == nil {
				t.Error("got no error, want Kisi's 500")
			}
			if diff := cmp.Diff([]access.Urgency{u}, lim.waited); diff != "" {
				t.Errorf("waited (-want +got):\n%s", diff)
			}
		}
	}
}

func TestACallThatNeverGotItsTurnWasNotMade(t *testing.T) {
	never := roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("the call was made")
		return nil, errors.New("boom")
	})
	down := &fault.Error{Class: fault.Denied, Op: "redis: wait", After: time.Minute}
	for _, tc := range []struct {
		name  string
		err   error
		class fault.Class
		after time.Duration
	}{
		{"canceled", context.Canceled, fault.Busy, 0},
		{"the limiter knows why", down, fault.Denied, time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := kisi.New(kisi.Options{APIKey: secret, Transport: never, Limiter: &limiter{err: tc.err}})
			if err != nil {
				t.Fatal(err)
			}
			err = grant(t.Context(), c)
			if !fault.Is(err, tc.class) || !errors.Is(err, tc.err) || fault.After(err) != tc.after {
				t.Errorf("got %v of class %v, want %v with its cause in sight", err, fault.Of(err), tc.class)
			}
		})
	}
}

func TestTimeBeginsWhenTheWaitIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := roundTrip(func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(19 * time.Second):
				return answer{status: 204}.RoundTrip(r)
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		c, err := kisi.New(kisi.Options{APIKey: secret, Transport: slow, Limiter: &limiter{delay: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		if err := revoke(t.Context(), c); err != nil {
			t.Errorf("got %v, want an hour's wait and 19 s of Kisi to do no harm", err)
		}
	})
}

func TestACanceledCallShowsIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := scripted(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		cancel()
		<-r.Context().Done()
		return nil, r.Context().Err()
	}))
	if err := grant(ctx, c); !errors.Is(err, context.Canceled) || !fault.Is(err, fault.Unknown) {
		t.Errorf("got %v of class %v, want canceled and unknown", err, fault.Of(err))
	}
}

func TestADeprecatedRouteIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	old := answer{status: 500, header: map[string]string{"Deprecation": "@1767225600", "Sunset": "Fri, 01 Jan 2027 00:00:00 GMT"}}
	c, err := kisi.New(kisi.Options{APIKey: secret, Transport: old, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for id := range 3 {
		_ = c.Revoke(t.Context(), access.Revoke, doors, id+1)
		_, _ = c.User(t.Context(), access.Look, id+1)
	}
	for _, route := range []string{`"DELETE /role_assignments/{id}"`, `"GET /users/{id}"`} {
		if got := strings.Count(log.String(), "route="+route); got != 1 {
			t.Errorf("%s is logged %d times, want once:\n%s", route, got, log.String())
		}
	}
	if !strings.Contains(log.String(), "2027") {
		t.Errorf("the log does not tell the day:\n%s", log.String())
	}
}

func TestCallsAreCountedByOutcome(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	next := answer{status: 204}
	c, err := kisi.New(kisi.Options{
		APIKey: secret, Metrics: reg,
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) { return next.RoundTrip(r) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = revoke(t.Context(), c)
	next = answer{status: 500}
	_ = revoke(t.Context(), c)
	_ = revoke(t.Context(), c)
	_ = list(t.Context(), c)

	want := map[string]float64{
		"kisibridge_kisi_requests_total call=revoke outcome=ok":      1,
		"kisibridge_kisi_requests_total call=revoke outcome=unknown": 2,
		"kisibridge_kisi_requests_total call=rows outcome=busy":      1,
		"kisibridge_kisi_request_seconds call=revoke":                3,
		"kisibridge_kisi_request_seconds call=rows":                  1,
		"kisibridge_kisi_wait_seconds urgency=revoke":                3,
		"kisibridge_kisi_wait_seconds urgency=look":                  1,
	}
	if diff := cmp.Diff(want, counts(t, reg)); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// counts spells counters by value and histograms by the number of samples.
func counts(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return got
}
