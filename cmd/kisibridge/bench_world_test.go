package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
	"kisibridge/internal/bridge"
	"kisibridge/internal/entra"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisisim"
)

// A benchWorld is a whole bridge between two stand-ins that are called without
// a socket, so that they take as little of the machine as they can.
type benchWorld struct {
	b       *bench
	graph   *graphsim.Server
	kisi    *kisisim.Server
	app     *app.App
	stop    func()
	arrived chan time.Time // notifications
	lookout atomic.Pointer[lookout]
}

// A lookout tells when Kisi is first called in some way.
type lookout struct {
	begins string // "METHOD /path"
	seen   chan time.Time
}

// newBenchWorld starts a bridge that makes rate calls a second to a Kisi that
// allows simRate; a negative one allows any.
func (b *bench) newBenchWorld(rate, simRate int) *benchWorld {
	b.Helper()
	w := &benchWorld{b: b, arrived: make(chan time.Time, 1000)}
	w.graph = graphsim.New(graphsim.Options{
		Notify: graphsim.RoundTripper(http.HandlerFunc(w.notified)), Violation: func(v string) { b.Errorf("Graph: %s", v) },
	})
	w.kisi = kisisim.New(kisisim.Options{
		Rate: simRate, TolerateRate: true, DoubleAssignments: true, Violation: func(v string) { b.Errorf("Kisi: %s", v) },
	})
	a, stop := b.newApp(app.Options{
		NoListen: true, KisiTransport: graphsim.RoundTripper(http.HandlerFunc(w.called)),
		Entra: func(c app.Config, tenant string, metrics prometheus.Registerer) (bridge.Entra, error) {
			return entra.New(entra.Options{
				Tenant: tenant, ClientID: c.ClientID, ClientSecret: string(c.ClientSecret),
				Transport: graphsim.RoundTripper(w.graph), Metrics: metrics,
			})
		},
	}, environ(b.redisURL(), fmt.Sprintf("KISIBRIDGE_KISI_RATE=%d", rate)))
	w.app = a
	w.stop = func() { stop(); w.graph.Close() }
	return w
}

func (w *benchWorld) notified(rw http.ResponseWriter, r *http.Request) {
	if r.URL.RawQuery == "" {
		w.arrived <- time.Now()
	}
	w.app.Handler().ServeHTTP(rw, r)
}

func (w *benchWorld) called(rw http.ResponseWriter, r *http.Request) {
	if l := w.lookout.Load(); l != nil && strings.HasPrefix(r.Method+" "+r.URL.Path, l.begins) {
		select {
		case l.seen <- time.Now():
		default: // not the first
		}
	}
	w.kisi.ServeHTTP(rw, r)
}

// sample makes a change, and gives the times from the change, and from its
// notification, to the first call of Kisi that begins so.
func (w *benchWorld) sample(begins string, change func()) (all, noticed time.Duration) {
	w.b.Helper()
	for len(w.arrived) > 0 {
		<-w.arrived
	}
	l := &lookout{begins: begins, seen: make(chan time.Time, 1)}
	w.lookout.Store(l)
	began := time.Now()
	change()
	arrived, seen := w.receive(w.arrived), w.receive(l.seen)
	w.lookout.Store(nil)
	return seen.Sub(began), seen.Sub(arrived)
}

func (w *benchWorld) receive(c chan time.Time) time.Time {
	w.b.Helper()
	select {
	case at := <-c:
		return at
	case <-time.After(30 * time.Second):
		w.b.Fatal("no notification, or no call of Kisi, within 30 s")
		panic("not reached")
	}
}

// addPeople makes persons and returns their ids.
func addPeople(g *graphsim.Server, n int) []string {
	ids := make([]string, n)
	for k := range ids {
		ids[k] = fmt.Sprintf(personPrefix+"%012d", k)
		email := emailOf(ids[k])
		g.AddUser(graphsim.User{
			ID: ids[k], DisplayName: fmt.Sprintf("Person %d of Many", k), UserPrincipalName: email, Mail: &email,
			AccountEnabled: true, UserType: "Member",
		})
	}
	return ids
}

const personPrefix = "9e0b1e00-22cc-4b1f-8e77-"

func emailOf(id string) string { return "p" + id[len(id)-12:] + "@contoso.example" }

// integrate lets a new group fill a new Kisi group.
func (w *benchWorld) integrate(id string) (doors int) {
	w.b.Helper()
	doors = w.kisi.AddGroup(id)
	_, err := w.app.Engine().Add(w.b.Context(), access.Integration{
		Name: id, Group: access.Group{Connection: graphsim.DefaultTenant, ID: id},
		Target: access.Target{Connection: app.KisiConnection, Type: access.TargetGroup, ID: doors},
	})
	if err != nil {
		w.b.Fatal(err)
	}
	return doors
}

// subscribed waits until Graph tells of n groups.
func (w *benchWorld) subscribed(n int) {
	w.b.Helper()
	w.b.until("subscriptions", 30*time.Second, 20*time.Millisecond, func() bool {
		all, err := w.app.Store().Subscriptions(w.b.Context())
		return err == nil && len(all) == n+1 && len(w.graph.Subscriptions()) == n+1 // and that of all people
	})
}

const (
	idleGroups  = 16
	idleSamples = 150
)

// toKisi compares how long a change takes in an idle bridge with a bare chain
// of two tasks, half of which is measured before and half after it.
func (b *bench) toKisi() []figure {
	bare := b.chain(idleSamples / 2)
	lags := b.idleLags()
	bare = append(bare, b.chain(idleSamples-idleSamples/2)...)
	b.idleP99 = quantile(lags, 0.99)
	return []figure{
		compare("notification to Kisi call, p50", quantile(lags, 0.5), quantile(bare, 0.5), "bare chain", 1.5),
		compare("notification to Kisi call, p99", b.idleP99, quantile(bare, 0.99), "bare chain", 2),
	}
}

// idleLags lets people join and leave, group after group: a group that was
// read rests for a second, so that none changes twice within that.
func (b *bench) idleLags() (lags []time.Duration) {
	w := b.newBenchWorld(1000, -1)
	defer w.stop()
	people := addPeople(w.graph, idleSamples)
	var doors [idleGroups]int
	for g := range doors {
		w.graph.AddGroup(groupID(g), "Group")
		doors[g] = w.integrate(groupID(g))
	}
	w.subscribed(idleGroups)
	b.wait(33 * time.Second) // the last look after a first reading is over
	round := time.Now()
	for k := range idleSamples {
		g, person := k%idleGroups, people[k]
		begins, change, opens := "GET /users", w.graph.Join, true
		if k/idleGroups%2 == 1 {
			begins, change, opens, person = "DELETE /role_assignments/", w.graph.Leave, false, people[k-idleGroups]
		}
		if g == 0 && k > 0 {
			b.wait(1300*time.Millisecond - time.Since(round))
			round = time.Now()
		}
		_, lag := w.sample(begins, func() { change(groupID(g), person) })
		lags = append(lags, lag)
		b.until("the doors follow", 10*time.Second, 5*time.Millisecond, func() bool { return w.kisi.Opens(doors[g], emailOf(person)) == opens })
		b.wait(60*time.Millisecond + rand.N(20*time.Millisecond)) // at any moment of the poll
	}
	return lags
}

const (
	importRate   = 200
	importPeople = 5000
)

// importing makes a group of many people and starts its import.
func (b *bench) importing(known bool) (w *benchWorld, doors int) {
	b.Helper()
	w = b.newBenchWorld(importRate, importRate)
	people := addPeople(w.graph, importPeople)
	if known {
		for _, id := range people {
			w.kisi.AddUser(emailOf(id), "Somebody")
		}
	}
	w.graph.AddGroup(groupID(0), "Everybody")
	w.graph.Join(groupID(0), people...)
	return w, w.integrate(groupID(0))
}

func (w *benchWorld) imported(doors, people int) {
	w.b.until("the import", 3*time.Minute, 250*time.Millisecond, func() bool { return len(w.kisi.Holders(doors)) == people })
}

func (b *bench) importUnknown() []figure {
	const leavers = 5
	w, doors := b.importing(false)
	defer w.stop()
	b.until("a third of the import", 90*time.Second, 100*time.Millisecond, func() bool { return len(w.kisi.Assignments()) > importPeople*3/10 })
	var lags []time.Duration
	for _, email := range w.kisi.Holders(doors)[:leavers] {
		id := personPrefix + strings.TrimPrefix(strings.TrimSuffix(email, "@contoso.example"), "p")
		lag, _ := w.sample("DELETE /role_assignments/", func() { w.graph.Leave(groupID(0), id) })
		lags = append(lags, lag)
		b.wait(2500*time.Millisecond + rand.N(20*time.Millisecond))
	}
	w.imported(doors, importPeople-leavers)
	log := w.kisi.Log()
	lag, bound := quantile(lags, 0.5), 2*time.Second/importRate+b.idleP99
	return []figure{
		callsFigure(fmt.Sprintf("import of %d unknown people, calls", importPeople), log, 2*importPeople+100, "2 a person + 100"),
		shareFigure(log),
		{
			"somebody leaves meanwhile, to DELETE", millis(lag), "2 calls' time + p99 idle",
			fmt.Sprintf("median of %d, worst %s", leavers, millis(slices.Max(lags))), "≤ " + millis(bound), lag <= bound,
		},
	}
}

func (b *bench) importKnown() []figure {
	w, doors := b.importing(true)
	defer w.stop()
	w.imported(doors, importPeople)
	const pages = importPeople/100 + 1
	return []figure{callsFigure(fmt.Sprintf("import of %d people whom Kisi has, calls", importPeople),
		w.kisi.Log(), importPeople+pages+5, fmt.Sprintf("1 a person + %d pages + 5", pages))}
}

func callsFigure(name string, log []kisisim.Call, bound int, what string) figure {
	return figure{
		name, fmt.Sprint(len(log)), what, fmt.Sprintf("%.3f a person", float64(len(log))/importPeople),
		fmt.Sprintf("≤ %d", bound), len(log) <= bound,
	}
}

// shareFigure tells how much of what Kisi allows was used from the first to
// the last new thing; a refused call used nothing.
func shareFigure(log []kisisim.Call) figure {
	var first, last time.Time
	for _, c := range log {
		if c.Method == http.MethodPost {
			if first.IsZero() {
				first = c.At
			}
			last = c.At
		}
	}
	calls, refused := 0, 0
	for _, c := range log {
		switch {
		case c.At.Before(first) || c.At.After(last):
		case c.Status == http.StatusTooManyRequests:
			refused++
		default:
			calls++
		}
	}
	share := float64(calls) / (importRate * last.Sub(first).Seconds())
	return figure{
		"share of the allowed rate used", fmt.Sprintf("%d calls in %.1f s", calls, last.Sub(first).Seconds()),
		fmt.Sprintf("%d a second, %d refused", importRate, refused), fmt.Sprintf("%.3f", share), "≥ 0.95", share >= 0.95,
	}
}

const crowd = 50_000

// memory looks at a process of its own, as it is deployed: TLS to both sides.
func (b *bench) memory() []figure {
	d := &demo{}
	defer d.close()
	ca, err := newAuthority(filepath.Join(b.TempDir(), "ca.pem"))
	if err != nil {
		b.Fatal(err)
	}
	d.graph = graphsim.New(graphsim.Options{Notify: ca.transport()})
	d.stop = append(d.stop, d.graph.Close)
	d.kisi = kisisim.New(kisisim.Options{Violation: func(v string) { b.Errorf("Kisi: %s", v) }})
	d.graph.AddGroup(groupID(0), "Everybody")
	d.graph.Join(groupID(0), addPeople(d.graph, crowd)...)
	own, urls := freeAddress(b.T), [3]string{}
	for k, h := range []http.Handler{d.graph, d.kisi, httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: own})} {
		if urls[k], err = d.listen(ca, h); err != nil {
			b.Fatal(err)
		}
	}
	env := environ(b.redisURL(), "KISIBRIDGE_GRAPH_URL="+urls[0], "KISIBRIDGE_LOGIN_URL="+urls[0], "KISIBRIDGE_KISI_URL="+urls[1],
		"KISIBRIDGE_PUBLIC_URL="+urls[2], "KISIBRIDGE_LISTEN="+own, "KISIBRIDGE_CA_FILE="+ca.file)
	pid, stop := b.process(env)
	defer stop()
	b.wait(15 * time.Second)
	idle := b.resident("serve, idle, resident", pid, 60)
	took := b.pulled(env)
	b.wait(20 * time.Second)
	full := b.resident(fmt.Sprintf("serve, %d people pulled in %.1f s, resident", crowd, took.Seconds()), pid, 150)
	return []figure{idle, full}
}

// process builds the program and starts serve.
func (b *bench) process(env []string) (pid int, stop func()) {
	b.Helper()
	program := filepath.Join(b.TempDir(), "kisibridge")
	if out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	c := exec.Command(program, "serve", "--log-level", "warn")
	c.Env = env
	c.Stderr = b.Output()
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	return c.Process.Pid, func() {
		_ = c.Process.Kill() // our own child
		_ = c.Wait()         // says "killed", which it was
	}
}

// pulled adds a paused integration, from which nothing is imported, and waits
// until the process has read its group.
func (b *bench) pulled(env []string) time.Duration {
	b.Helper()
	c, err := app.Load(env)
	if err != nil {
		b.Fatal(err)
	}
	a, err := app.New(b.Context(), app.Options{Config: c, NoListen: true, Entra: directory})
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	group, began := access.Group{Connection: graphsim.DefaultTenant, ID: groupID(0)}, time.Now()
	_, err = a.Engine().Add(b.Context(), access.Integration{
		Name: "Everybody", Group: group, State: access.Paused,
		Target: access.Target{Connection: app.KisiConnection, Type: access.TargetUsers},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.until("the pull", 2*time.Minute, 500*time.Millisecond, func() bool {
		all, err := a.Store().Members(b.Context(), group)
		return err == nil && len(all) == crowd
	})
	return time.Since(began)
}

// resident reads how much of the machine's memory a process has.
func (b *bench) resident(name string, pid, bound int) figure {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	field := func(name string) (kB int) {
		_, rest, _ := strings.Cut(string(text), "\n"+name+":")
		if _, err := fmt.Sscan(rest, &kB); err != nil {
			b.Fatalf("%s of process %d: %v", name, pid, err)
		}
		return kB
	}
	mb := float64(field("VmRSS")) / 1000
	return figure{
		name, fmt.Sprintf("%.1f MB", mb), "", fmt.Sprintf("peak %.1f MB", float64(field("VmHWM"))/1000),
		fmt.Sprintf("< %d MB", bound), mb < float64(bound),
	}
}
