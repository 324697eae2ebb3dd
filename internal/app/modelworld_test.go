package app_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/bridge"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisi"
	"kisibridge/internal/kisisim"
	"kisibridge/internal/redistest"
	"kisibridge/internal/store"
	"kisibridge/internal/webhook"
)

const (
	modelPeople = 7
	modelGroups = 4
	modelDoors  = 3
	modelSlots  = 4
)

// A model is a company with a bridge whose work is done one piece after the
// other, in the order in which a history wants it.
type model struct {
	truth
	t        *testing.T
	redis    *redis.Client
	graph    *graphsim.Server
	kisi     *kisisim.Server
	hook     http.Handler
	engine   *bridge.Engine
	store    *store.Store
	onlooker *store.Store // of a client that nothing breaks
	breaker  *breaker
	queue    *modelQueue
	process  int

	mu  sync.Mutex // guards bad
	bad []string
}

// modelQueue keeps wakes as the queue does: folded by key, never lost.
type modelQueue struct {
	mu    sync.Mutex // guards both below
	order []string
	wakes map[string]access.Wake
	later []laterWake
}

type laterWake struct {
	wake access.Wake
	due  time.Time
}

func (q *modelQueue) Wake(_ context.Context, wakes ...access.Wake) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range wakes {
		old, waits := q.wakes[w.Key()]
		if !waits {
			q.order = append(q.order, w.Key())
		} else {
			w.Cause |= old.Cause
			w.Urgency = min(w.Urgency, old.Urgency)
		}
		q.wakes[w.Key()] = w
	}
	return nil
}

func (q *modelQueue) Later(_ context.Context, w access.Wake, after time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.later = append(q.later, laterWake{w, time.Now().Add(after)})
	return nil
}

// due moves what is due into the queue.
func (q *modelQueue) due() {
	q.mu.Lock()
	var due []access.Wake
	q.later = slices.DeleteFunc(q.later, func(l laterWake) bool {
		is := !time.Now().Before(l.due)
		if is {
			due = append(due, l.wake)
		}
		return is
	})
	q.mu.Unlock()
	_ = q.Wake(context.Background(), due...)
}

func (q *modelQueue) take(n int) (access.Wake, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.order) == 0 {
		return access.Wake{}, false
	}
	k := n % len(q.order)
	key := q.order[k]
	q.order = slices.Delete(q.order, k, k+1)
	w := q.wakes[key]
	delete(q.wakes, key)
	return w, true
}

func newModel(t *testing.T) *model {
	m := &model{
		t: t, redis: redistest.Memory(t), breaker: &breaker{}, truth: newTruth(),
		queue: &modelQueue{wakes: map[string]access.Wake{}},
	}
	m.graph = graphsim.New(graphsim.Options{Notify: graphsim.RoundTripper(m), PageSize: 2, Violation: func(v string) { m.fail("Graph: %s", v) }})
	m.kisi = kisisim.New(kisisim.Options{Rate: -1, Violation: func(v string) { m.fail("Kisi: %s", v) }})
	t.Cleanup(m.graph.Close)
	for n := range modelPeople {
		id := personID(n)
		email := id + "@contoso.example"
		m.graph.AddUser(graphsim.User{ID: id, DisplayName: id, UserPrincipalName: email, Mail: &email, AccountEnabled: true})
		m.people[id] = &human{email: email, enabled: true}
	}
	for n := range modelGroups {
		m.graph.AddGroup(m.group(n), m.group(n))
	}
	for n := range modelDoors {
		d := m.kisi.AddGroup(fmt.Sprint("doors", n))
		m.kisi.AddClutter(d)
		m.doors = append(m.doors, d)
		m.clutter[d] = m.kisi.Holders(d)
	}
	unbroken := redis.NewClient(m.redis.Options())
	t.Cleanup(func() { _ = unbroken.Close() })
	s, err := store.Open(unbroken)
	if err != nil {
		t.Fatal(err)
	}
	m.onlooker = s
	m.redis.AddHook(m.breaker)
	m.reborn()
	e := echo.New()
	webhook.New(webhook.Options{Wake: m.queue.Wake, Subscriptions: s.Subscriptions, Known: s.Known}).Register(e)
	m.hook = e
	return m
}

// ServeHTTP takes notifications as the bridge's endpoint does.
func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.hook.ServeHTTP(w, r) }

// reborn lets another process take the place of one that died.
func (m *model) reborn() {
	m.process++
	s, err := store.Open(m.redis)
	if err != nil {
		m.t.Fatal(err)
	}
	k, err := kisi.New(kisi.Options{APIKey: kisisim.DefaultAPIKey, Transport: brokenTransport{m.breaker, graphsim.RoundTripper(http.HandlerFunc(m.called))}})
	if err != nil {
		m.t.Fatal(err)
	}
	m.store = s
	m.engine = bridge.New(bridge.Options{
		Store: s, Waker: m.queue, Process: fmt.Sprint("process", m.process), NotificationURL: "https://bridge.example/webhooks/graph",
		Clouds: bridge.Fixed{Tenant: map[string]bridge.Entra{graphsim.DefaultTenant: newGraphReader(m.graph, brokenTransport{m.breaker, graphsim.RoundTripper(m.graph)})}, Organization: map[string]bridge.Kisi{"kisi": k}},
	})
}

// called watches what is deleted.
func (m *model) called(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodDelete {
		m.deleting(strings.TrimPrefix(r.URL.Path, "/role_assignments/"))
	}
	m.kisi.ServeHTTP(w, r)
}

func (m *model) fail(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bad = append(m.bad, fmt.Sprintf(format, args...))
}

func (m *model) wrong() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.bad)
}

func (m *model) failed() bool { return len(m.wrong()) > 0 }

func (m *model) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
	m.queue.due()
}

// try runs a round of the schedule; a failed one is repeated by the next.
func (m *model) try(round func(context.Context) error) {
	if err := round(m.t.Context()); err != nil {
		m.judge("a round", err)
	}
}

// judge wants errors to be of a class that is tried again.
func (m *model) judge(what string, err error) {
	if fault.Of(err) == fault.Bug && !errors.Is(err, errBroken) {
		m.fail("%s: %v is a bug, want a class that tells what to do", what, err)
	}
}

// work does some pieces of work, the last of which breaks at a call of it.
// Broken, the process may die and another go on.
func (m *model) work(pieces, breakAt int, after, die bool) {
	for n := range pieces {
		if n == pieces-1 {
			m.breaker.arm(breakAt, after)
		}
		if !m.one(n * 7) {
			break
		}
	}
	if m.breaker.hit() && die {
		m.breaker.arm(0, false)
		m.reborn()
	}
	m.breaker.arm(0, false)
}

// one does a piece of work; what failed is woken again, as the queue does.
func (m *model) one(n int) bool {
	w, ok := m.queue.take(n)
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), 5*time.Minute)
	defer cancel()
	if err := m.engine.Handlers()[w.Kind](ctx, w); err != nil {
		m.judge(w.Key(), err)
		switch fault.Of(err) {
		case fault.Missing, fault.Invalid, fault.Denied:
			m.engine.Dead(ctx, w, err)
		default:
			_ = m.queue.Wake(ctx, w)
		}
	}
	return true
}

// drain works until nothing is left, or for long enough.
func (m *model) drain() {
	for n := range 400 {
		if !m.one(n) {
			return
		}
		if n%50 == 49 {
			m.wait(2 * time.Second)
		}
	}
}

// becomeQuiet ends all faults and lets time, people and the schedule do what
// they do.
func (m *model) becomeQuiet() {
	m.graph.ClearFaults()
	m.kisi.ClearFaults()
	m.graph.SetReplicationLag(0)
	m.graph.SetDelivery(graphsim.Delivery{})
	m.resumeAll()
	for range 5 {
		m.wait(16 * time.Minute)
		for _, round := range []func(context.Context) error{m.engine.Rescue, m.engine.Watch, m.engine.Sweep} {
			m.try(round)
		}
		m.drain()
		m.approveAll()
		m.drain()
	}
}
