package jobs_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"kisibridge/internal/access"
	"kisibridge/internal/jobs"
)

// compare compares metrics of a crew with their text form.
func compare(t *testing.T, c *crew, want string, names ...string) {
	t.Helper()
	if err := testutil.GatherAndCompare(c.metrics, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestWakesOfWorkThatRunsAreFoldedIntoOneMoreRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		one := hire(t, jobs.Options{Redis: memory(t), Process: "one", Poll: 500 * time.Millisecond},
			jobs.Handlers{Work: work{access.Apply: d.takes(10 * time.Second)}})
		w := apply("ada", access.Allow)
		one.wake(w)
		time.Sleep(3 * time.Second)
		var last time.Time
		for range 32 {
			last = time.Now()
			one.wake(w)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(30 * time.Second)

		runs := d.of(w)
		if len(runs) != 2 || runs[1].Before(last) {
			t.Errorf("ran at %v, want a second run after the last wake, %v", runs, last)
		}
		if d.most != 1 {
			t.Errorf("%d runs of one piece of work at a time, want 1", d.most)
		}
		// The task of what is woken meanwhile is made when the run ends.
		compare(t, one, `
# HELP kisibridge_wakes_folded_total Wakes that were folded into one that waited.
# TYPE kisibridge_wakes_folded_total counter
kisibridge_wakes_folded_total 32
`, "kisibridge_wakes_folded_total")
	})
}

// Imports hold their workers for longer than a revocation may wait, so it
// must have workers of its own: to be first in a line is not enough.
func TestARevocationDoesNotWaitForAnImportThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		one := hire(t, jobs.Options{Redis: memory(t), Process: "one", Poll: 200 * time.Millisecond},
			jobs.Handlers{Work: work{access.Apply: d.takes(time.Second)}})
		var crowd []access.Wake
		for k := range 1000 {
			crowd = append(crowd, apply(fmt.Sprint("guest", k), access.Import))
		}
		one.wake(crowd...)
		for len(d.all()) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		w := apply("mallory", access.Revoke)
		asked := time.Now()
		one.wake(w)
		time.Sleep(time.Second)
		if runs := d.of(w); len(runs) != 1 || runs[0].Sub(asked) > 500*time.Millisecond {
			t.Errorf("asked at %v, ran at %v; want it while the first imports run", asked, runs)
		}
	})
}

func TestAHandlerThatPanicsHasABugAndIsCalledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		one := hire(t, jobs.Options{Redis: memory(t), Process: "one", Poll: time.Second}, jobs.Handlers{
			Work: work{access.Apply: func(context.Context, access.Wake) error {
				if runs.Add(1) == 1 {
					panic("boom")
				}
				return nil
			}},
			Dead: func(context.Context, access.Wake, error) { t.Error("the work was given up") },
		})
		one.wake(apply("ada", access.Allow))
		time.Sleep(10 * time.Second)
		compare(t, one, `
# HELP kisibridge_jobs_total Runs, by kind and outcome: ok or the class of the error.
# TYPE kisibridge_jobs_total counter
kisibridge_jobs_total{kind="apply",outcome="bug"} 1
kisibridge_jobs_total{kind="apply",outcome="ok"} 1
`, "kisibridge_jobs_total", "kisibridge_jobs_dead_total")
	})
}
