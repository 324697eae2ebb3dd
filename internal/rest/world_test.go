package rest_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/auth"
	"kisibridge/internal/bridge"
	"kisibridge/internal/rest"
	"kisibridge/internal/store"
)

const adminToken = "an admin token that is long enough"

// A world is a server of the API over a real engine. The clients of both
// clouds may not be had here, so that the clouds are a few lines each.
type world struct {
	t       testing.TB
	redis   *redis.Client
	store   *store.Store
	engine  *bridge.Engine
	gate    *auth.Gate
	entra   *entraCloud
	kisi    *kisiCloud
	clouds  *connections
	queues  *queues
	handler http.Handler
	tokens  map[string]string // role → secret
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, redis: memory(t), queues: &queues{}, tokens: map[string]string{}}
	var err error
	if w.store, err = store.Open(w.redis); err != nil {
		t.Fatal(err)
	}
	w.entra = &entraCloud{groups: map[string][]access.Person{}}
	w.kisi = &kisiCloud{places: map[access.Target]string{}}
	w.clouds = &connections{store: w.store, all: []store.Connection{
		{ID: "contoso", Kind: store.EntraConnection, Name: "Contoso", Domain: "contoso.example", Created: time.Unix(1, 0)},
		{ID: "doors", Kind: store.KisiConnection, Name: "Doors", Organization: 7, Created: time.Unix(2, 0), Checked: time.Unix(3, 0)},
		{ID: "kisi", Kind: store.KisiConnection, Name: "KISI_API_KEY", Settings: true},
	}}
	w.engine = bridge.New(bridge.Options{
		Store: w.store, Waker: silent{}, HookURL: "https://bridge.example/webhooks/kisi/", KisiRate: 5,
		Clouds: bridge.Fixed{Tenant: map[string]bridge.Entra{"contoso": w.entra}, Organization: map[string]bridge.Kisi{"doors": w.kisi}},
	})
	if w.gate, err = auth.New(auth.Options{Store: w.store, AdminToken: adminToken}); err != nil {
		t.Fatal(err)
	}
	w.serve()
	for _, role := range []auth.Role{auth.Viewer, auth.Operator, auth.Admin} {
		_, secret, err := w.gate.CreateKey(t.Context(), "the "+role.String(), role, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.tokens[role.String()] = secret
	}
	return w
}

func (w *world) serve() {
	w.t.Helper()
	s, err := rest.New(rest.Options{
		Engine: w.engine, Store: w.store, Gate: w.gate, Connections: w.clouds, Lookup: w.clouds, Consent: w.clouds,
		Queues: w.queues, Version: "test", Sweep: 15 * time.Minute,
		Log: slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	e := echo.New()
	s.Register(e)
	w.handler = e
}

// group makes a group of Entra with people in it, and doors of that number.
func (w *world) group(id string, number int, people ...string) {
	var all []access.Person
	for _, p := range people {
		all = append(all, person(p))
	}
	w.entra.groups[id] = all
	w.kisi.places[access.Target{Connection: "doors", Type: access.TargetGroup, ID: number}] = strings.ToUpper(id)
}

func person(id string) access.Person {
	return access.Person{ID: id, Name: strings.ToUpper(id[:1]) + id[1:], UPN: id + "@contoso.example"}
}

// integration stores one whose group is read, and whose people, all but the
// last, hold their access.
func (w *world) integration(id string, number int, people ...string) access.Integration {
	w.t.Helper()
	w.group(id, number, people...)
	i := access.Integration{
		ID: id, Name: strings.ToUpper(id) + " doors", Group: access.Group{Connection: "contoso", ID: id},
		Target: access.Target{Connection: "doors", Type: access.TargetGroup, ID: number}, Created: time.Now(), Since: time.Now(),
	}.WithDefaults()
	ctx := context.Background()
	w.check(w.store.UseGroup(ctx, i.Group))
	w.check(w.store.AddIntegration(ctx, i))
	changes := access.Changes{Name: id, Full: true}
	for _, p := range people {
		changes.Joined = append(changes.Joined, access.Member{ID: p, Kind: access.KindUser})
	}
	_, err := w.store.SaveMembership(ctx, i.Group, 0, changes, time.Now())
	w.check(err)
	_, err = w.store.SavePeople(ctx, "contoso", w.entra.groups[id], time.Now())
	w.check(err)
	for k := range max(0, len(people)-1) {
		w.grant(i, people[k], 100+k)
	}
	return i
}

func (w *world) grant(i access.Integration, who string, user int) {
	w.t.Helper()
	_, err := w.store.SaveGrant(context.Background(), i.Target, access.Grant{
		Person: who, Email: who + "@contoso.example", User: user, Row: user, Standing: access.Holds, For: []string{i.ID}, Since: time.Now(),
	})
	w.check(err)
}

// hold lets the removals of some people wait.
func (w *world) hold(i access.Integration, people ...string) {
	w.t.Helper()
	say := map[string]access.Verdict{}
	for _, p := range people {
		say[p] = access.Verdict{State: access.Waits, At: time.Now()}
	}
	v, err := w.store.Verdicts(context.Background(), i.Target)
	w.check(err)
	_, err = w.store.SaveVerdicts(context.Background(), i.Target, v, say, "too many")
	w.check(err)
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// A request is one of a caller of the API.
type request struct {
	method, path, body string
	role               string // or "": nobody
	header             map[string]string
}

func (r request) make(ctx context.Context, token string) *http.Request {
	req := httptest.NewRequestWithContext(ctx, r.method, r.path, strings.NewReader(r.body))
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	return req
}

func (w *world) do(r request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r.make(context.Background(), w.tokens[r.role]))
	return rec
}

// as calls as an admin and wants an answer.
func (w *world) want(status int, method, path, body string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := request{method: method, path: path, body: body, role: "admin", header: map[string]string{}}
	for k := 0; k+1 < len(header); k += 2 {
		r.header[header[k]] = header[k+1]
	}
	rec := w.do(r)
	if rec.Code != status {
		w.t.Fatalf("%s %s: %d, want %d: %s", method, path, rec.Code, status, rec.Body)
	}
	return rec
}

// read decodes an answer.
func read[T any](t testing.TB, rec *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, rec.Body)
	}
	return v
}
