package jobs_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/jobs"
)

func TestTheClassOfAnErrorSaysWhenWorkIsTriedAgain(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name string
		err  error
		want []time.Duration // the least wait before each retry; a fifth, rounding and polls come on top
	}{
		{"busy waits as asked", &fault.Error{Class: fault.Busy, Op: "kisi", After: 20 * s}, []time.Duration{20 * s, 20 * s}},
		{"busy backs off", &fault.Error{Class: fault.Busy, Op: "kisi"}, []time.Duration{s, 2 * s, 4 * s}},
		{"clash goes on at once", fault.New(fault.Clash, "save", "lost"), []time.Duration{0, 0, 0}},
		{"unknown leaves time to look", fault.New(fault.Unknown, "grant", "timeout"), []time.Duration{2 * s, 4 * s, 8 * s}},
		{"a bug backs off", errors.New("boom"), []time.Duration{s, 2 * s, 4 * s}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &diary{answers: slices.Repeat([]error{tc.err}, len(tc.want))}
				one := hire(t, jobs.Options{Redis: memory(t), Process: "one", Poll: s}, jobs.Handlers{Work: work{access.Apply: d.takes(0)}})
				one.wake(apply("ada", access.Allow))
				for range 60 {
					if len(d.all()) > len(tc.want) {
						break
					}
					time.Sleep(s)
				}
				runs := d.all()
				if len(runs) != len(tc.want)+1 {
					t.Fatalf("%d runs, want %d: %v", len(runs), len(tc.want)+1, runs)
				}
				for k, least := range tc.want {
					if got := runs[k+1].At.Sub(runs[k].At); got < least || got > least*6/5+4*s {
						t.Errorf("retry %d came after %v, want %v or little more", k+1, got, least)
					}
				}
				if n := one.count("kisibridge_jobs_total", fault.Of(tc.err).String()); int(n) != len(tc.want) {
					t.Errorf("%v runs of that class counted, want %d", n, len(tc.want))
				}
			})
		})
	}
}

func TestWhatNoRetryHelpsIsKeptAndCounted(t *testing.T) {
	for _, class := range []fault.Class{fault.Missing, fault.Invalid, fault.Denied} {
		t.Run(class.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, d := memory(t), &diary{answers: []error{fault.New(class, "grant", "no")}}
				var dead []string
				one := hire(t, jobs.Options{Redis: c, Process: "one", Poll: time.Second}, jobs.Handlers{
					Work: work{access.Apply: d.takes(0)},
					Dead: func(_ context.Context, w access.Wake, err error) { dead = append(dead, w.Key()+" "+err.Error()) },
				})
				w := apply("ada", access.Allow)
				one.wake(w)
				time.Sleep(20 * time.Second)

				if diff := cmp.Diff([]string{w.Key() + " grant: no"}, dead); diff != "" {
					t.Errorf("told of the dead (-want +got):\n%s", diff)
				}
				archived, err := asynq.NewInspectorFromRedisClient(c).ListArchivedTasks("grant")
				if err != nil || len(archived) != 1 || string(archived[0].Payload) != w.Key() {
					t.Errorf("archived are %v, %v; want the work", archived, err)
				}
				if a, b := one.count("kisibridge_jobs_dead_total", "apply"), one.count("kisibridge_queue_depth", "grant", "archived"); a != 1 || b != 1 {
					t.Errorf("counted %v dead and %v archived, want 1 and 1", a, b)
				}
				one.wake(w)
				time.Sleep(5 * time.Second)
				if n := len(d.all()); n != 2 {
					t.Errorf("%d runs, want a second after a fresh wake", n)
				}
			})
		})
	}
}

func TestABugIsGivenUpAfterItsRetriesAndTheFaultsOfOthersNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, log := memory(t), &paper{}
		var runs, dead atomic.Int32
		one := hire(t, jobs.Options{Redis: c, Process: "one", Poll: 2 * time.Second, Log: log.log()}, jobs.Handlers{
			Work: work{access.Apply: func(context.Context, access.Wake) error {
				if runs.Add(1)%2 == 0 {
					return fault.New(fault.Unknown, "grant", "timeout")
				}
				panic("boom")
			}},
			Dead: func(context.Context, access.Wake, error) { dead.Add(1) },
		})
		// A task of fewer retries than the queue gives, for a short story.
		w := apply("ada", access.Revoke)
		if _, err := one.store.Wake(t.Context(), []access.Wake{w}); err != nil {
			t.Fatal(err)
		}
		_, err := asynq.NewClientFromRedisClient(c).Enqueue(asynq.NewTask("work", []byte(w.Key())), asynq.Queue("revoke"), asynq.MaxRetry(3))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if runs.Load() != 5 || dead.Load() != 1 {
			t.Errorf("%d runs and %d dead, want three that panic, two between, and a death", runs.Load(), dead.Load())
		}
		if n := one.count("kisibridge_queue_depth", "revoke", "archived"); n != 1 {
			t.Errorf("%v archived, want 1", n)
		}
		if text := log.String(); !strings.Contains(text, "panic: boom") || !strings.Contains(text, "retry_test.go") {
			t.Errorf("logged without the place of the panic:\n%s", text)
		}
	})
}

func TestAFailureIsLoggedWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := fault.New(fault.Busy, "kisi", "503")
		d, log := &diary{answers: []error{busy, busy, busy, errors.New("boom")}}, &paper{}
		one := hire(t, jobs.Options{Redis: memory(t), Process: "one", Poll: time.Second, Log: log.log()}, jobs.Handlers{Work: work{access.Apply: d.takes(0)}})
		one.wake(apply("ada", access.Allow))
		time.Sleep(40 * time.Second)
		if n := strings.Count(log.String(), "work failed"); n != 2 || len(d.all()) != 5 {
			t.Errorf("%d runs and %d lines, want 5 and 2:\n%s", len(d.all()), n, log)
		}
	})
}

// Each wake is tried once at once; the retries do not add up.
func TestWakesDuringAnOutageStartNoChainsOfRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{answers: slices.Repeat([]error{fault.New(fault.Busy, "graph", "503")}, 1000)}
		one := hire(t, jobs.Options{Redis: memory(t), Process: "one", Poll: 2 * time.Second}, jobs.Handlers{Work: work{access.Pull: d.takes(0)}})
		for range 15 {
			one.wake(pull(access.ByNotice))
			time.Sleep(4 * time.Second)
		}
		time.Sleep(time.Minute) // the retry of the outage's early minutes
		before := len(d.all())
		time.Sleep(4 * time.Minute)
		if n := len(d.all()) - before; n < 2 || n > 5 {
			t.Errorf("%d retries in four minutes, want about one a minute", n)
		}
	})
}
