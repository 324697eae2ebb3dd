package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
	"kisibridge/internal/bridge"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisisim"
	"kisibridge/internal/redistest"
)

// A world is a company in a bubble: directory, doors and the bridge between
// them, in virtual time.
type world struct {
	t     *testing.T
	redis *redis.Client
	graph *graphsim.Server
	kisi  *kisisim.Server
	app   *app.App
	env   []string
	poll  time.Duration
	stop  func()
	rules map[string]rule // by integration

	mu   sync.Mutex
	hook http.Handler // where Graph's notifications go
}

// A rule is an integration, as the test sees it.
type rule struct {
	entra string
	kisi  int
}

type option func(*world)

func kisiOption(change func(*kisisim.Options)) option {
	return func(w *world) { w.kisi.SetOptions(change) }
}

func polling(d time.Duration) option { return func(w *world) { w.poll = d } }

// newWorld makes a company with groups hq and lab, which open the doors of the
// same name, and starts the bridge.
func newWorld(t *testing.T, options ...option) *world {
	t.Helper()
	w := &world{t: t, redis: redistest.Memory(t), rules: map[string]rule{}, poll: 2 * time.Second}
	w.graph = graphsim.New(graphsim.Options{
		Notify: graphsim.RoundTripper(w), PageSize: 3, Violation: func(v string) { t.Errorf("Graph: %s", v) },
	})
	w.kisi = kisisim.New(kisisim.Options{Violation: func(v string) { t.Errorf("Kisi: %s", v) }})
	w.env = []string{
		"KISIBRIDGE_PUBLIC_URL=https://bridge.example", "KISI_API_KEY=" + kisisim.DefaultAPIKey,
		"AZURE_TENANT_ID=" + graphsim.DefaultTenant, "AZURE_CLIENT_ID=app", "AZURE_CLIENT_SECRET=s",
	}
	for _, g := range []string{"hq", "lab"} {
		w.graph.AddGroup(g, strings.ToUpper(g)+" doors")
		w.rules[g] = rule{entra: g, kisi: w.kisi.AddGroup(strings.ToUpper(g) + " doors")}
		w.kisi.AddClutter(w.rules[g].kisi)
	}
	for _, o := range options {
		o(w)
	}
	w.start()
	t.Cleanup(func() {
		w.end()
		w.graph.Close()
	})
	return w
}

// ServeHTTP hands Graph's notifications to the bridge that runs.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	h := w.hook
	w.mu.Unlock()
	if h == nil {
		http.Error(rw, "nobody is there", http.StatusBadGateway)
		return
	}
	h.ServeHTTP(rw, r)
}

// start starts a process of the bridge.
func (w *world) start() {
	w.t.Helper()
	w.app, w.stop = w.process()
	w.mu.Lock()
	w.hook = w.app.Handler()
	w.mu.Unlock()
}

func (w *world) process() (*app.App, func()) {
	w.t.Helper()
	c, err := app.Load(w.env)
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := app.New(w.t.Context(), app.Options{
		Config: c, Redis: w.redis, NoListen: true, Poll: w.poll,
		KisiTransport: graphsim.RoundTripper(w.kisi), Log: slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})),
		Entra: func(app.Config, string, prometheus.Registerer) (bridge.Entra, error) {
			return newGraphReader(w.graph, graphsim.RoundTripper(w.graph)), nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return a, func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("the bridge ended with %v", err)
		}
	}
}

// end stops the process of the bridge in an orderly way.
func (w *world) end() {
	if w.stop != nil {
		w.mu.Lock()
		w.hook = nil
		w.mu.Unlock()
		w.stop()
		w.stop = nil
	}
}

// person makes somebody in Entra, with an address of the same name.
func (w *world) person(names ...string) {
	for _, name := range names {
		email := name + "@contoso.example"
		w.graph.AddUser(graphsim.User{ID: name, DisplayName: name, UserPrincipalName: email, Mail: &email, AccountEnabled: true, UserType: "Member"})
	}
}

// people makes n persons and returns their names.
func (w *world) people(n int) []string {
	names := make([]string, n)
	for k := range names {
		names[k] = fmt.Sprintf("p%03d", k)
	}
	w.person(names...)
	return names
}

func (w *world) join(group string, people ...string)  { w.graph.Join(group, people...) }
func (w *world) leave(group string, people ...string) { w.graph.Leave(group, people...) }

// integrate makes the integration of a group.
func (w *world) integrate(group string, change ...func(*access.Integration)) {
	w.t.Helper()
	r := w.rules[group]
	i := access.Integration{
		ID: group, Name: group, Group: access.Group{Connection: graphsim.DefaultTenant, ID: r.entra},
		Target: access.Target{Connection: app.KisiConnection, Type: access.TargetGroup, ID: r.kisi},
	}
	for _, c := range change {
		c(&i)
	}
	if _, err := w.app.Engine().Add(w.t.Context(), i); err != nil {
		w.t.Fatal(err)
	}
}

// after lets time pass.
func (w *world) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// settle lets time pass until an ordinary change has reached Kisi.
func (w *world) settle() { w.after(max(12*time.Second, 6*w.poll)) }

// sweep does what the schedule does every 15 minutes.
func (w *world) sweep() {
	w.t.Helper()
	if err := w.app.Engine().Sweep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.settle()
}

// wantDoors says who shall open the doors of a group, and nobody else.
func (w *world) wantDoors(group string, people ...string) {
	w.t.Helper()
	want := []string{}
	for _, p := range people {
		want = append(want, p+"@contoso.example")
	}
	slices.Sort(want)
	got := append([]string{}, w.kisi.Holders(w.rules[group].kisi)...)
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("doors of %s (-want +got):\n%s", group, diff)
	}
}

// wantMails says how many mails about access went out.
func (w *world) wantMails(n int) {
	w.t.Helper()
	if got := len(w.kisi.Mails()); got != n {
		w.t.Errorf("%d mails went out, want %d", got, n)
	}
}

// wantState says what an integration is doing.
func (w *world) wantState(id string, want access.State) {
	w.t.Helper()
	i, err := w.app.Store().Integration(w.t.Context(), id)
	if err != nil || i.State != want {
		w.t.Errorf("integration %s is %s (%s), %v; want %s", id, i.State, i.Why, err, want)
	}
}

// graphsimGuest is somebody from outside, whose user name is no mailbox.
func graphsimGuest(name string) graphsim.User {
	return graphsim.User{
		ID: name, DisplayName: name, UserPrincipalName: name + "_fabrikam.com#EXT#@contoso.onmicrosoft.com",
		AccountEnabled: true, UserType: "Guest",
	}
}

// groupSubscriptions leaves out the one of all people.
func (w *world) groupSubscriptions() []graphsim.Subscription {
	return slices.DeleteFunc(w.graph.Subscriptions(), func(s graphsim.Subscription) bool { return s.Resource == "users" })
}
