package webhook_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kisibridge/internal/access"
)

func (w *world) replace(id, state string) {
	w.set(func() { w.subs[hq] = access.Subscription{ID: id, Group: hq, ClientState: state} })
}

func (w *world) read() (n int) {
	w.set(func() { n = w.loads })
	return n
}

func TestASubscriptionMadeElsewhereIsSeenAtOnce(t *testing.T) {
	for _, tc := range []struct{ name, id, state string }{
		{"made anew", "sub-new", "new-state"},
		{"with another client state", "sub-hq", "new-state"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.notify(hqChanged())
				w.replace(tc.id, tc.state)
				if got := w.notify(change(tc.id, tc.state, "7a1c-tenant", "Groups/2e58-hq")); got != 202 || len(w.woken()) != 2 {
					t.Errorf("answer %d and wakes %v, want 202 and two", got, w.woken())
				}
			})
		})
	}
}

// Old subscriptions that Graph still serves must not hide a new one.
func TestNoiseHidesNoNewSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.notify(hqChanged())
		time.Sleep(time.Hour)
		w.notify(change("sub-old", "x", "", ""))
		loads := w.read()
		w.replace("sub-new", "new-state")
		begun := time.Now()

		var together sync.WaitGroup
		for range 10 {
			together.Go(func() { w.notify(change("sub-new", "new-state", "", "")) })
			together.Go(func() { w.notify(change("sub-old", "x", "", "")) })
		}
		together.Wait()
		if got := len(w.woken()); got != 11 {
			t.Errorf("%d wakes, want 11", got)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("took %v, want a second at most", took)
		}
		if got := w.read() - loads; got != 1 {
			t.Errorf("the table was read %d times for 20 requests at once, want once", got)
		}
	})
}

func TestAFloodOfForgeriesReadsTheTableOnceASecondAndPilesNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.notify(hqChanged())
		begun := time.Now()
		var flood sync.WaitGroup
		for range 500 {
			flood.Go(func() {
				for range 3 {
					if got := w.notify(change("sub-x", "x", "", "")); got != 202 {
						t.Errorf("answer %d, want 202", got)
					}
				}
			})
		}
		flood.Wait()
		seconds := int(time.Since(begun) / time.Second)
		if loads := w.read() - 1; loads > seconds+1 || seconds > 4 {
			t.Errorf("%d readings in %d s, want one a second, and an end", loads, seconds)
		}
	})
}

func TestTheTableIsReadEveryHalfMinuteWhileThereIsUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for range 60 {
			w.notify(hqChanged())
			time.Sleep(time.Second)
		}
		if got := w.read(); got != 2 {
			t.Errorf("read %d times in a minute, want 2", got)
		}
	})
}

func TestWithoutATableNothingIsAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.broken = errors.New("redis: list subscriptions: connection refused")
		for range 10 {
			if got := w.notify(hqChanged()); got != 503 {
				t.Errorf("answer %d, want 503", got)
			}
		}
		if got := w.read(); got != 1 {
			t.Errorf("read %d times at once, want once", got)
		}
		w.set(func() { w.broken = nil })
		time.Sleep(time.Second)
		if got := w.notify(hqChanged()); got != 202 {
			t.Errorf("answer %d when Redis is back, want 202", got)
		}
	})
}

func TestAnOldTableServesWhileRedisIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.notify(hqChanged())
		w.set(func() { w.broken = errors.New("redis: list subscriptions: i/o timeout") })
		time.Sleep(time.Hour)
		if got := w.notify(hqChanged()); got != 202 {
			t.Errorf("answer %d for a known subscription, want 202", got)
		}
		time.Sleep(time.Hour)
		// It may be new: only Graph's next try can tell. The other is woken for all that.
		if got := w.notify(hqChanged(), change("sub-new", "new-state", "", "")); got != 503 || len(w.woken()) != 3 {
			t.Errorf("answer %d and %d wakes, want 503 and 3", got, len(w.woken()))
		}
	})
}
