package webhook_test

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"kisibridge/internal/access"
	"kisibridge/internal/webhook"
)

const (
	secret   = "hq-client-state-0123456789"
	notices  = "/webhooks/graph"
	events   = "/webhooks/graph/lifecycle"
	jsonType = "application/json; charset=utf-8"
)

var (
	hq  = access.Group{Connection: "7a1c-Tenant", ID: "2e58-hq"}
	lab = access.Group{Connection: "7a1c-Tenant", ID: "9d04-lab"}
)

// A world is a handler with what it is given and what it gives.
type world struct {
	echo    *echo.Echo
	metrics *prometheus.Registry
	log     *bytes.Buffer

	mu     sync.Mutex // guards the rest
	subs   map[access.Group]access.Subscription
	loads  int
	broken error // what Subscriptions answers
	full   error // what Wake answers
	calls  [][]access.Wake
}

func newWorld(t testing.TB) *world { return newWorldOf(t, nil, nil) }

type known = func(ctx context.Context, groups, people []access.Group) (used, known []bool, err error)

func newWorldOf(_ testing.TB, census known, kisi webhook.KisiSource) *world {
	w := &world{
		echo: echo.New(), metrics: prometheus.NewRegistry(), log: &bytes.Buffer{},
		subs: map[access.Group]access.Subscription{
			hq:  {ID: "sub-hq", Group: hq, ClientState: secret},
			lab: {ID: "sub-lab", Group: lab, ClientState: "lab-client-state"},
			{Connection: "7a1c-Tenant", ID: "refused"}: {Refused: "quota"},
			{Connection: "7a1c-Tenant", ID: "bare"}:    {ID: "sub-bare"},
		},
	}
	webhook.New(webhook.Options{
		Wake: w.wake, Subscriptions: w.subscriptions, Known: census, Kisi: kisi, Metrics: w.metrics,
		Log: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}).Register(w.echo)
	return w
}

func (w *world) wake(ctx context.Context, wakes ...access.Wake) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, wakes)
	return cmp.Or(w.full, ctx.Err())
}

func (w *world) subscriptions(context.Context) (map[access.Group]access.Subscription, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loads++
	return maps.Clone(w.subs), w.broken
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) post(url, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set(echo.HeaderContentType, contentType)
	}
	return w.serve(r)
}

func (w *world) serve(r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	w.echo.ServeHTTP(answer, r)
	return answer
}

// notify posts items and returns the status.
func (w *world) notify(items ...string) int { return w.post(notices, jsonType, body(items...)).Code }

// woken lists the wakes of all calls, without their times, as "keep:…=lapse".
func (w *world) woken() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, c := range w.calls {
		for _, k := range c {
			all = append(all, k.Key()+"="+k.Cause.String())
		}
	}
	slices.Sort(all)
	return all
}

// counted gives the samples of a counter by one of its labels.
func (w *world) counted(t testing.TB, name, label string) map[string]int {
	t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if n := int(m.GetCounter().GetValue()); l.GetName() == label && n > 0 {
					got[l.GetValue()] += n
				}
			}
		}
	}
	return got
}

func body(items ...string) string { return `{"value":[` + strings.Join(items, ",") + `]}` }

// An item of a group's change, in the shape of live captures.
func change(sub, state, tenant, resource string) string {
	return `{"changeType":"updated","clientState":"` + state + `","resource":"` + resource + `",
	"resourceData":{"@odata.type":"#Microsoft.Graph.Group","@odata.id":"` + resource + `","id":"2e58-hq",
	"organizationId":"` + tenant + `","members@delta":[{"id":"632f"},{"id":"37de","@removed":"deleted"}]},
	"subscriptionExpirationDateTime":"2026-12-22T10:00:00+00:00","subscriptionId":"` + sub + `","tenantId":"` + tenant + `"}`
}

func event(name string) string {
	return `{"subscriptionId":"sub-hq","clientState":"` + secret + `","tenantId":"7a1c-tenant","lifecycleEvent":"` + name + `"}`
}

func hqChanged() string { return change("sub-hq", secret, "7a1c-tenant", "Groups/2e58-HQ") }
func labChanged() string {
	return change("sub-lab", "lab-client-state", "7a1c-tenant", "groups/9d04-lab")
}
