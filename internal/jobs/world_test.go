package jobs_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/jobs"
	"kisibridge/internal/store"
)

// A rota keeps when the sweeps of all replicas began.
type rota struct {
	mu     sync.Mutex // guards sweeps
	sweeps []time.Time
}

func (r *rota) sweep(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweeps = append(r.sweeps, time.Now())
	return nil
}

func (r *rota) all() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]time.Time(nil), r.sweeps...)
}

// replica runs a schedule and a worker until the returned function is called.
// Its queue does not run: signs of life every second would make a day long,
// and no work is woken.
func replica(t *testing.T, c *redis.Client, name string, poll time.Duration, r *rota) (stop func()) {
	t.Helper()
	s, err := store.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	o := jobs.Options{Redis: c, Wakes: s, Process: name, Poll: poll}
	worker := jobs.NewWorker(o, jobs.NewQueue(o), jobs.Handlers{
		Sweep: r.sweep, Watch: func(context.Context) error { return nil },
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := worker.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stopSchedule := schedule(t, c, 15*time.Minute, 24*time.Hour)
	stop = sync.OnceFunc(func() { stopSchedule(); cancel(); wg.Wait() })
	t.Cleanup(stop)
	return stop
}

func TestTwoReplicasSweepADayOnceAnIntervalAlsoWhenOneEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const poll = 5 * time.Second
		c, r := memory(t), &rota{}
		began := time.Now()
		stop := replica(t, c, "one", poll, r)
		replica(t, c, "two", poll, r)
		time.Sleep(12 * time.Hour)
		stop()
		time.Sleep(12*time.Hour - time.Since(began.Add(12*time.Hour)))

		sweeps := r.all()
		if n := len(sweeps); n < 95 || n > 97 {
			t.Errorf("%d sweeps in a day, want one every 15 minutes", n)
		}
		last := began
		for _, at := range append(sweeps, time.Now()) {
			if gap := at.Sub(last); gap > 17*time.Minute {
				t.Errorf("no sweep for %v until %v", gap, at.Sub(began))
			}
			last = at
		}
	})
}
