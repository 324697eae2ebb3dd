package jobs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/jobs"
	"kisibridge/internal/store"
)

func TestOnePieceOfWorkRunsOnceAtATimeAndAgainWhenWokenMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, d := memory(t), &diary{}
		h := jobs.Handlers{Work: work{access.Apply: d.takes(3 * time.Second)}}
		one := hire(t, jobs.Options{Redis: c, Process: "one", Poll: time.Second}, h)
		two := hire(t, jobs.Options{Redis: c, Process: "two", Poll: time.Second}, h)

		last := map[string]time.Time{}
		people := []string{"ada", "bob", "eve"}
		for k := range 60 {
			w := apply(people[rand.N(len(people))], access.Urgency(rand.N(3)))
			[]*crew{one, two}[k%2].wake(w)
			last[w.Name] = time.Now()
			time.Sleep(rand.N(time.Second))
		}
		time.Sleep(30 * time.Second)
		if d.most != 1 {
			t.Errorf("%d runs of one piece of work at a time, want 1", d.most)
		}
		for name, at := range last {
			runs := d.of(access.Wake{Kind: access.Apply, Name: name})
			if runs[len(runs)-1].Before(at) {
				t.Errorf("%s was woken at %v and ran last at %v", name, at, runs[len(runs)-1])
			}
		}
		if woken := one.count("kisibridge_wakes_total") + two.count("kisibridge_wakes_total"); woken != 60 {
			t.Errorf("%v wakes counted, want 60", woken)
		}
		if ran := one.count("kisibridge_jobs_total", "ok") + two.count("kisibridge_jobs_total", "ok"); int(ran) != len(d.all()) {
			t.Errorf("%v runs counted, want %d", ran, len(d.all()))
		}
	})
}

// asynq schedules by whole seconds, so the second in which a burst begins
// must not matter.
func TestABurstForOneGroupIsAtMostThreePullsAndTheLastIsSeen(t *testing.T) {
	for offset, size := range map[time.Duration]int{0: 100, 350 * time.Millisecond: 10, 970 * time.Millisecond: 10} {
		t.Run(offset.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &diary{}
				one := hire(t, jobs.Options{Redis: memory(t), Process: "one", Poll: 100 * time.Millisecond},
					jobs.Handlers{Work: work{access.Pull: d.takes(5 * time.Millisecond)}})
				time.Sleep(offset)
				var last time.Time
				for range 100 {
					batch := make([]access.Wake, size)
					for k := range batch {
						batch[k] = pull(access.ByNotice)
					}
					one.wake(batch...)
					last = time.Now()
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(3 * time.Second)
				runs := d.all()
				if len(runs) > 3 {
					t.Errorf("%d pulls of a burst, want at most 3: %v", len(runs), runs)
				}
				if len(runs) == 0 || runs[len(runs)-1].At.Before(last) {
					t.Errorf("pulled %v, want one after the last notification, %v", runs, last)
				}
			})
		})
	}
}

func TestARevocationOvertakesAThousandImports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		one := hire(t, jobs.Options{Redis: memory(t), Process: "one", Poll: 200 * time.Millisecond},
			jobs.Handlers{Work: work{access.Apply: d.takes(200 * time.Millisecond)}})
		var crowd []access.Wake
		for k := range 1000 {
			crowd = append(crowd, apply(fmt.Sprint("guest", k), access.Import))
		}
		one.wake(crowd...)
		time.Sleep(5 * time.Second)

		asked := time.Now()
		one.wake(apply("mallory", access.Revoke), apply("guest999", access.Revoke), apply("ada", access.Allow))
		time.Sleep(time.Second)
		for _, who := range []string{"mallory", "guest999", "ada"} {
			runs := d.of(apply(who, access.Revoke))
			if len(runs) != 1 || runs[0].Sub(asked) > 400*time.Millisecond {
				t.Errorf("%s was waited for since %v, ran at %v", who, asked, runs)
			}
		}
		time.Sleep(22 * time.Second)
		if n := len(d.all()); n != 1002 {
			t.Errorf("%d runs, want 1000 imports and 2 more", n)
		}
	})
}

func TestWorkOfAWorkerThatVanishedIsDoneWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		one := hire(t, jobs.Options{Redis: memory(t), Process: "one", Poll: time.Second},
			jobs.Handlers{Work: work{access.Apply: d.takes(time.Second)}})
		time.Sleep(time.Second)
		// A process wakes and claims, and is killed.
		w := apply("mallory", access.Revoke)
		if _, err := one.store.Wake(t.Context(), []access.Wake{w}); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := one.store.Claim(t.Context(), w.Key(), "dead"); !ok || err != nil {
			t.Fatalf("claim: %v, %v", ok, err)
		}
		killed := time.Now()
		time.Sleep(20 * time.Second)
		if runs := d.of(w); len(runs) != 1 || runs[0].Sub(killed) > 8*time.Second {
			t.Errorf("killed at %v, done at %v; want once, within seconds", killed, runs)
		}
		if n := one.count("kisibridge_jobs_rescued_total"); n != 1 {
			t.Errorf("%v rescues counted, want 1", n)
		}
	})
}

// asynq alone would find the task by its lease, after more than a minute.
func TestATaskThatGotLostOnItsWayToAWorkerIsMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, d := memory(t), &diary{}
		w := apply("mallory", access.Revoke)
		taken := asynq.NewServerFromRedisClient(c, asynq.Config{
			Concurrency: 1, Queues: map[string]int{"revoke": 1}, LogLevel: asynq.FatalLevel,
		})
		gone := make(chan struct{})
		if err := taken.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error { <-gone; return nil })); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { close(gone); taken.Shutdown() })
		lose(t, c, w)
		time.Sleep(3 * time.Second)
		one := hire(t, jobs.Options{Redis: c, Process: "one", Poll: time.Second}, jobs.Handlers{Work: work{access.Apply: d.takes(0)}})
		began := time.Now()
		time.Sleep(20 * time.Second)
		if runs := d.of(w); len(runs) != 1 || runs[0].Sub(began) > 8*time.Second {
			t.Errorf("looked for since %v, run at %v; want once, within seconds", began, runs)
		}
		if n := one.count("kisibridge_jobs_rescued_total"); n != 1 {
			t.Errorf("%v rescues counted, want 1", n)
		}
	})
}

// lose wakes work and gives it its task, as a process does that ends then.
func lose(t *testing.T, c *redis.Client, w access.Wake) {
	t.Helper()
	s, err := store.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := s.Wake(t.Context(), []access.Wake{w})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := asynq.NewClientFromRedisClient(c).Enqueue(asynq.NewTask("work", []byte(w.Key())), asynq.Queue("revoke")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tend(t.Context(), "gone", fresh, nil); err != nil {
		t.Fatal(err)
	}
}

func TestAStopLetsRunsEndAndHandsOnWhatDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, first, second := memory(t), &diary{}, &diary{}
		one := hire(t, jobs.Options{Redis: c, Process: "one", Poll: time.Second}, jobs.Handlers{
			Work: work{access.Apply: first.takes(7 * time.Second), access.Roster: first.takes(time.Hour)},
		})
		roster := access.RosterOf(doors, access.ByPull, time.Now())
		one.wake(apply("ada", access.Allow), roster)
		time.Sleep(3 * time.Second)
		two := hire(t, jobs.Options{Redis: c, Process: "two", Poll: time.Second}, jobs.Handlers{
			Work: work{access.Apply: second.takes(time.Second), access.Roster: second.takes(time.Second)},
		})
		told := time.Now()
		one.quit()
		if took := time.Since(told); took > 15*time.Second {
			t.Errorf("the stop took %v, want about ten seconds", took)
		}
		time.Sleep(10 * time.Second)
		if n := one.count("kisibridge_jobs_total", "apply", "ok"); n != 1 {
			t.Errorf("%v applies ended, want 1", n)
		}
		if runs := second.of(roster); len(second.all()) != 1 || len(runs) != 1 || runs[0].Sub(told) > 20*time.Second {
			t.Errorf("the other process ran %v, want the roster soon after %v", second.all(), told)
		}
		if n := two.count("kisibridge_jobs_dead_total"); n != 0 {
			t.Errorf("%v dead, want none", n)
		}
	})
}

func TestALaterWakeIsNeverEarlyAndFoldedBySeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		one := hire(t, jobs.Options{Redis: memory(t), Process: "one", Poll: 500 * time.Millisecond},
			jobs.Handlers{Work: work{access.Pull: d.takes(0)}})
		later := func(after time.Duration) {
			if err := one.queue.Later(context.Background(), pull(access.ByRecheck), after); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(300 * time.Millisecond)
		began := time.Now()
		later(2 * time.Second)
		later(2 * time.Second)
		later(10 * time.Second)
		time.Sleep(9 * time.Second)
		later(10 * time.Second) // not lost in the one that is due in a second
		time.Sleep(12 * time.Second)

		runs := d.all()
		if len(runs) != 3 {
			t.Fatalf("ran at %v, want 3 runs", runs)
		}
		for k, want := range []time.Duration{2 * time.Second, 10 * time.Second, 19 * time.Second} {
			if got := runs[k].At.Sub(began); got < want || got > want+3*time.Second {
				t.Errorf("run %d came after %v, want %v or little more", k, got, want)
			}
			if runs[k].Cause != access.ByRecheck {
				t.Errorf("run %d has cause %v", k, runs[k].Cause)
			}
		}
	})
}
