package jobs_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/jobs"
	"kisibridge/internal/redistest"
	"kisibridge/internal/store"
)

var (
	hq    = access.Group{Connection: "tenant", ID: "hq"}
	doors = access.Target{Connection: "kisi", Type: access.TargetGroup, ID: 45}
)

func pull(why access.Cause) access.Wake {
	return access.PullOf(hq, access.Revoke, why, time.Now())
}

func apply(person string, u access.Urgency) access.Wake {
	return access.ApplyOf(doors, person, u, access.ByPull, time.Now())
}

// memory is a Redis for many callers at once: those who wait for a connection
// would share go-redis's timers with other bubbles, which ends the process.
func memory(t *testing.T) *redis.Client {
	t.Helper()
	o := *redistest.Memory(t).Options()
	o.PoolSize = 1000
	c := redis.NewClient(&o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// A crew is the jobs of one process.
type crew struct {
	t       *testing.T
	store   *store.Store
	queue   *jobs.Queue
	metrics *prometheus.Registry
	quit    func() // ends it in order, and waits
}

// hire starts a queue and a worker; they end with the test, or by quit.
func hire(t *testing.T, o jobs.Options, h jobs.Handlers) *crew {
	t.Helper()
	s, err := store.Open(o.Redis)
	if err != nil {
		t.Fatal(err)
	}
	c := &crew{t: t, store: s, metrics: prometheus.NewRegistry()}
	o.Wakes, o.Metrics = s, c.metrics
	c.queue = jobs.NewQueue(o)
	worker := jobs.NewWorker(o, c.queue, h)

	work, stopWork := context.WithCancel(context.Background())
	tend, stopTend := context.WithCancel(context.Background())
	var workers, queues sync.WaitGroup
	queues.Go(func() { _ = c.queue.Run(tend) }) // returns nil always
	workers.Go(func() {
		if err := worker.Run(work); err != nil {
			t.Error(err)
		}
	})
	c.quit = sync.OnceFunc(func() {
		stopWork()
		workers.Wait()
		stopTend()
		queues.Wait()
	})
	t.Cleanup(c.quit)
	return c
}

func (c *crew) wake(w ...access.Wake) {
	c.t.Helper()
	if err := c.queue.Wake(context.Background(), w...); err != nil {
		c.t.Error(err)
	}
}

// count adds up a metric over what bears all of labels.
func (c *crew) count(name string, labels ...string) (sum float64) {
	c.t.Helper()
	families, err := c.metrics.Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	metric:
		for _, m := range f.GetMetric() {
			has := map[string]bool{}
			for _, l := range m.GetLabel() {
				has[l.GetValue()] = true
			}
			for _, l := range labels {
				if !has[l] {
					continue metric
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// A diary keeps what handlers were called for, and when; it answers from a
// list of errors, then well.
type diary struct {
	mu      sync.Mutex // guards all below
	entries []entry
	answers []error
	now     map[string]int // work → runs going on
	most    int            // runs of one piece of work at a time
}

type entry struct {
	Key   string
	Cause access.Cause
	At    time.Time
}

// takes makes a handler whose runs last.
func (d *diary) takes(last time.Duration) func(context.Context, access.Wake) error {
	return func(ctx context.Context, w access.Wake) error {
		err := d.begin(w)
		select {
		case <-time.After(last):
		case <-ctx.Done():
			err = ctx.Err()
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.now[w.Key()]--
		return err
	}
}

func (d *diary) begin(w access.Wake) (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, entry{w.Key(), w.Cause, time.Now()})
	if d.now == nil {
		d.now = map[string]int{}
	}
	d.now[w.Key()]++
	d.most = max(d.most, d.now[w.Key()])
	if len(d.answers) > 0 {
		err, d.answers = d.answers[0], d.answers[1:]
	}
	return err
}

func (d *diary) all() []entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]entry(nil), d.entries...)
}

// of lists the runs of one piece of work.
func (d *diary) of(w access.Wake) (at []time.Time) {
	for _, e := range d.all() {
		if e.Key == w.Key() {
			at = append(at, e.At)
		}
	}
	return at
}

// work is short for what a worker does.
type work = map[access.Kind]func(context.Context, access.Wake) error

// A paper is a log to read.
type paper struct {
	mu   sync.Mutex // guards text
	text []byte
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = append(p.text, b...)
	return len(b), nil
}

func (p *paper) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.text)
}

func (p *paper) log() *slog.Logger { return slog.New(slog.NewTextHandler(p, nil)) }
