package app_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/bridge"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisi"
	"kisibridge/internal/kisisim"
	"kisibridge/internal/redistest"
	"kisibridge/internal/store"
)

// A breaker lets the n-th call fail, once: before it took effect, or after.
type breaker struct {
	mu    sync.Mutex // guards the two below
	left  int        // calls until one fails; 0: none will
	broke bool
	after bool
}

var errBroken = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// around makes a call, or breaks it.
func (b *breaker) around(call func() error) error {
	b.mu.Lock()
	hit := b.left == 1
	if b.left > 0 {
		b.left--
	}
	b.broke = b.broke || hit
	b.mu.Unlock()
	if !hit {
		return call()
	}
	if b.after {
		_ = call() // it took effect, and nobody hears of it
	}
	return errBroken
}

func (b *breaker) arm(n int, after bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left, b.after, b.broke = n, after, false
}

func (b *breaker) hit() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broke
}

func (b *breaker) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b *breaker) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := b.around(func() error { return next(ctx, cmd) })
		if err != nil && errors.Is(err, errBroken) {
			cmd.SetErr(err)
		}
		return err
	}
}

func (b *breaker) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := b.around(func() error { return next(ctx, cmds) })
		if err != nil && errors.Is(err, errBroken) {
			for _, c := range cmds {
				c.SetErr(err)
			}
		}
		return err
	}
}

type brokenTransport struct {
	*breaker
	next http.RoundTripper
}

func (t brokenTransport) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	err = t.around(func() (err error) {
		answer, err = t.next.RoundTrip(r) //nolint:bodyclose // whoever gets the answer closes it
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// pending keeps what was woken, as Redis would, and hands it out by kind.
type pending struct {
	mu    sync.Mutex // guards wakes
	wakes map[string]access.Wake
}

func (p *pending) Wake(_ context.Context, wakes ...access.Wake) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range wakes {
		p.wakes[w.Key()] = w
	}
	return nil
}

func (p *pending) Later(context.Context, access.Wake, time.Duration) error { return nil }

func (p *pending) take(kind access.Kind) []access.Wake {
	p.mu.Lock()
	defer p.mu.Unlock()
	var some []access.Wake
	for key, w := range p.wakes {
		if w.Kind == kind {
			some = append(some, w)
			delete(p.wakes, key)
		}
	}
	return some
}

// A bench is an engine alone, without a queue, whose calls can be broken.
type bench struct {
	*world
	breaker *breaker
	pending *pending
	group   access.Group
	target  access.Target
}

func newBench(t *testing.T, doubles bool) *bench {
	t.Helper()
	w := &world{t: t, redis: redistest.Memory(t), rules: map[string]rule{}}
	w.graph = graphsim.New(graphsim.Options{PageSize: 2, Violation: func(v string) { t.Errorf("Graph: %s", v) }})
	w.kisi = kisisim.New(kisisim.Options{Rate: -1, DoubleAssignments: doubles, Violation: func(v string) { t.Errorf("Kisi: %s", v) }})
	t.Cleanup(w.graph.Close)
	b := &bench{world: w, breaker: &breaker{}, pending: &pending{wakes: map[string]access.Wake{}}}
	w.graph.AddGroup("hq", "HQ doors")
	w.rules["hq"] = rule{entra: "hq", kisi: w.kisi.AddGroup("HQ doors")}
	w.kisi.AddClutter(w.rules["hq"].kisi)
	b.group = access.Group{Connection: graphsim.DefaultTenant, ID: "hq"}
	b.target = access.Target{Connection: "kisi", Type: access.TargetGroup, ID: w.rules["hq"].kisi}
	w.redis.AddHook(b.breaker)
	return b
}

// engine makes an engine as a fresh process would; broken says whether its
// calls go through the breaker.
func (b *bench) engine(process string) (*bridge.Engine, *store.Store) {
	b.t.Helper()
	s, err := store.Open(b.redis)
	if err != nil {
		b.t.Fatal(err)
	}
	k, err := kisi.New(kisi.Options{APIKey: kisisim.DefaultAPIKey, Transport: brokenTransport{b.breaker, graphsim.RoundTripper(b.kisi)}})
	if err != nil {
		b.t.Fatal(err)
	}
	g := newGraphReader(b.graph, brokenTransport{b.breaker, graphsim.RoundTripper(b.graph)})
	return bridge.New(bridge.Options{
		Store: s, Waker: b.pending, Process: process,
		Clouds: bridge.Fixed{Tenant: map[string]bridge.Entra{graphsim.DefaultTenant: g}, Organization: map[string]bridge.Kisi{"kisi": k}},
	}), s
}

// pass pulls, and applies what that woke; it gives the first error.
func (b *bench) pass(e *bridge.Engine) error {
	ctx := b.t.Context()
	if err := e.Pull(ctx, access.PullOf(b.group, access.Revoke, access.ByNotice, time.Now())); err != nil {
		return err
	}
	var failed error
	for _, w := range b.pending.take(access.Apply) {
		if err := e.Apply(ctx, w); err != nil {
			_ = b.pending.Wake(ctx, w) // as the queue does with what failed
			failed = err
		}
	}
	return failed
}

// untilQuiet passes again and again, as retries do, until all is in line.
func (b *bench) untilQuiet(e *bridge.Engine, s *store.Store) {
	b.t.Helper()
	for range 10 {
		err := b.pass(e)
		open, openErr := s.Open(b.t.Context(), b.target, time.Now().Add(time.Hour))
		if err == nil && openErr == nil && len(open) == 0 {
			return
		}
		if err == nil {
			for _, person := range open {
				_ = b.pending.Wake(b.t.Context(), access.ApplyOf(b.target, person, access.Revoke, access.ByRescue, time.Time{}))
			}
		}
		time.Sleep(10 * time.Second)
	}
	b.t.Error("not in line after ten passes")
}

// prepare lets ada open doors, bob be known to Kisi, and cy be a stranger;
// then ada leaves, and the others join.
func (b *bench) prepare() {
	b.t.Helper()
	b.person("ada", "bob", "cy")
	b.join("hq", "ada")
	e, s := b.engine("before")
	i := access.Integration{ID: "hq", Name: "hq", Group: b.group, Target: b.target}.WithDefaults()
	if err := s.AddIntegration(b.t.Context(), i); err != nil {
		b.t.Fatal(err)
	}
	if err := b.pass(e); err != nil {
		b.t.Fatal(err)
	}
	b.kisi.AddUser("bob@contoso.example", "Bob")
	b.leave("hq", "ada")
	b.join("hq", "bob", "cy")
}

// Whatever call of a pull and the applies fails, before it took effect or
// after, and whether the same process tries again or another takes over: in
// the end everybody has one assignment and had one mail.
func TestBrokenAtEveryCallAndWholeInTheEnd(t *testing.T) {
	for _, doubles := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			for _, other := range []bool{false, true} {
				name := fmt.Sprintf("doubles=%v/after=%v/another process=%v", doubles, after, other)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					broken := 0
					for n := 1; breakAt(t, n, doubles, after, other); n++ {
						broken = n
					}
					if broken < 40 {
						t.Errorf("only %d calls were broken, want every one of some dozens", broken)
					}
					t.Logf("%d calls broken", broken)
				})
			}
		}
	}
}

// breakAt tells one history, and whether there was an n-th call to break.
func breakAt(t *testing.T, n int, doubles, after, other bool) (hit bool) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, doubles)
		b.prepare()
		e, s := b.engine("first")
		b.breaker.arm(n, after)
		err := b.pass(e)
		hit = b.breaker.hit()
		if hit && err != nil && fault.Of(err) == fault.Bug && !errors.Is(err, errBroken) {
			t.Errorf("call %d broken: %v is a bug, want a class that is tried again", n, err)
		}
		b.breaker.arm(0, false)
		if other {
			e, s = b.engine("second")
		}
		b.untilQuiet(e, s)
		b.wantDoors("hq", "bob", "cy")
		b.wantMails(3)
		if t.Failed() {
			t.Logf("broken at call %d: %v", n, err)
			hit = false // one is enough to look at
		}
	})
	return hit
}
