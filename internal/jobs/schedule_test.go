package jobs_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"kisibridge/internal/jobs"
)

// schedule runs a schedule until the returned function is called.
func schedule(t *testing.T, c *redis.Client, sweep, watch time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := jobs.NewSchedule(jobs.Options{Redis: c}, sweep, watch).Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return stop
}

func TestTwoProcessesSweepOnceAnIntervalAndOneAloneGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every = 15 * time.Minute
		c := memory(t)
		var sweeps []time.Time
		// It polls seldom, so that hours pass in seconds.
		server := asynq.NewServerFromRedisClient(c, asynq.Config{
			Concurrency: 1, Queues: map[string]int{"sweep": 1}, LogLevel: asynq.FatalLevel,
			TaskCheckInterval: 15 * time.Second, DelayedTaskCheckInterval: time.Minute, JanitorInterval: 10 * time.Second,
		})
		err := server.Start(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
			if task.Type() == "sweep" {
				sweeps = append(sweeps, time.Now())
			}
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		stop := schedule(t, c, every, 24*time.Hour)
		time.Sleep(17 * time.Second) // replicas do not start together
		schedule(t, c, every, 24*time.Hour)
		time.Sleep(2*time.Hour + 20*time.Second)
		stop()
		time.Sleep(time.Hour)

		server.Shutdown()
		if n := len(sweeps); n < 12 || n > 14 {
			t.Errorf("%d sweeps in three hours, want 13", n)
		}
		if first := sweeps[0].Sub(began); first > 30*time.Second {
			t.Errorf("the first sweep came after %v, want it at once", first)
		}
		for k := range sweeps[1:] {
			if gap := sweeps[k+1].Sub(sweeps[k]); gap < every-time.Minute || gap > every+90*time.Second {
				t.Errorf("%v between two sweeps, want about %v", gap, every)
			}
		}
	})
}

func TestAFailedRoundIsRepeatedByTheNextTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t)
		var sweeps, watches atomic.Int32
		one := hire(t, jobs.Options{Redis: c, Process: "one", Poll: 2 * time.Second}, jobs.Handlers{
			Sweep: func(context.Context) error {
				if sweeps.Add(1) < 4 {
					return errors.New("boom")
				}
				return nil
			},
			Watch: func(context.Context) error { watches.Add(1); return nil },
		})
		schedule(t, c, 15*time.Minute, 30*time.Second)
		time.Sleep(5 * time.Minute)
		if n := sweeps.Load(); n != 4 {
			t.Errorf("%d sweeps, want three that fail, one a minute, and one that does not", n)
		}
		if n := watches.Load(); n < 9 || n > 11 {
			t.Errorf("%d watches in five minutes, want one every 30 s", n)
		}
		if a, b := one.count("kisibridge_jobs_total", "sweep", "bug"), one.count("kisibridge_queue_depth", "archived"); a != 3 || b != 0 {
			t.Errorf("%v failures and %v dead counted, want 3 and 0", a, b)
		}
	})
}
