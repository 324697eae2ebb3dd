package jobs_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/jobs"
	"kisibridge/internal/redistest"
)

func TestTheClassOfAnErrorSaysWhenWorkIsTriedAgain(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name string
		err  error
		want []time.Duration // the least wait before each retry; a fifth, rounding and polls come on top
	}{
		{"busy waits as asked", &fault.Error{Class: fault.Busy, Op: "kisi", After: 40 * s}, []time.Duration{40 * s, 40 * s}},
		{
			"busy doubles to a minute", &fault.Error{Class: fault.Busy, Op: "kisi"},
			[]time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s},
		},
		{"clash goes on at once", fault.New(fault.Clash, "save", "lost"), []time.Duration{0, 0, 0}},
		{"unknown leaves time to look", fault.New(fault.Unknown, "grant", "timeout"), []time.Duration{2 * s, 4 * s, 8 * s}},
		{
			"a bug doubles to ten minutes", errors.New("boom"),
			[]time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 64 * s, 128 * s, 256 * s, 512 * s, 600 * s},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &diary{answers: slices.Repeat([]error{tc.err}, len(tc.want))}
				one := hire(t, jobs.Options{Redis: redistest.Memory(t), Process: "one", Poll: s}, jobs.Handlers{Apply: d.takes(0)})
				one.wake(apply("ada", access.Allow))
				var sum time.Duration
				for _, w := range tc.want {
					sum += w
				}
				time.Sleep(sum*6/5 + 4*s*time.Duration(len(tc.want)+1))

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
				c, d := redistest.Memory(t), &diary{answers: []error{fault.New(class, "grant", "no")}}
				var dead []string
				one := hire(t, jobs.Options{Redis: c, Process: "one", Poll: time.Second}, jobs.Handlers{
					Apply: d.takes(0),
					Dead:  func(_ context.Context, w access.Wake, err error) { dead = append(dead, w.Key()+" "+err.Error()) },
				})
				w := apply("ada", access.Allow)
				one.wake(w)
				time.Sleep(2 * time.Minute)

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

func TestABugIsGivenUpAfterItsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, log := redistest.Memory(t), &paper{}
		var runs, dead int
		one := hire(t, jobs.Options{Redis: c, Process: "one", Poll: 30 * time.Second, Log: log.log()}, jobs.Handlers{
			Apply: func(context.Context, access.Wake) error { runs++; panic("boom") },
			Dead:  func(context.Context, access.Wake, error) { dead++ },
		})
		one.wake(apply("ada", access.Revoke))
		time.Sleep(5 * time.Hour)
		if runs != 26 || dead != 1 {
			t.Errorf("%d runs and %d dead, want 26 and 1", runs, dead)
		}
		if n := one.count("kisibridge_queue_depth", "revoke", "archived"); n != 1 {
			t.Errorf("%v archived, want 1", n)
		}
		text := log.String()
		if n := strings.Count(text, "work failed"); n != 1 || !strings.Contains(text, "retry_test.go") {
			t.Errorf("logged %d times, want once, with the place of the panic:\n%s", n, text)
		}
	})
}

func TestWakesDuringAnOutageStartNoChainsOfRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{answers: slices.Repeat([]error{fault.New(fault.Busy, "graph", "503")}, 1000)}
		one := hire(t, jobs.Options{Redis: redistest.Memory(t), Process: "one", Poll: time.Second}, jobs.Handlers{Pull: d.takes(0)})
		for range 50 {
			one.wake(pull(access.ByNotice))
			time.Sleep(3 * time.Second)
		}
		before := len(d.all())
		time.Sleep(10 * time.Minute)
		if n := len(d.all()) - before; n < 7 || n > 14 {
			t.Errorf("%d retries in ten minutes, want about one a minute", n)
		}
	})
}
