package store_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/redistest"
	"kisibridge/internal/store"
)

var pull = access.PullOf(hq, access.Revoke, access.ByNotice, now)

// wakes wakes w and tells how many tasks that needs.
func wakes(t *testing.T, s *store.Store, w ...access.Wake) int {
	t.Helper()
	fresh, err := s.Wake(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return len(fresh)
}

func claim(t *testing.T, s *store.Store, run string) (access.Wake, bool) {
	t.Helper()
	w, ok, err := s.Claim(t.Context(), pull.Key(), run)
	if err != nil {
		t.Fatal(err)
	}
	return w, ok
}

func finish(t *testing.T, s *store.Store, run string, failed bool, rest time.Duration) (access.Wake, bool) {
	t.Helper()
	w, ok, err := s.Finish(t.Context(), pull.Key(), run, failed, rest)
	if err != nil {
		t.Fatal(err)
	}
	return w, ok
}

func TestAWakeIsNeverLostAndFoldedIntoOne(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s := open(t, c)
		if n := wakes(t, s, pull, access.PullOf(access.Group{Connection: "tenant", ID: "other"}, access.Revoke, access.ByNotice, now)); n != 2 {
			t.Fatalf("two groups need %d tasks, want 2", n)
		}
		if n := wakes(t, s, pull); n != 0 {
			t.Errorf("a second wake needs %d tasks, want it folded", n)
		}
		w, ok := claim(t, s, "run1")
		if !ok || w.Cause != access.ByNotice || !w.Since.Equal(now) {
			t.Fatalf("claimed %+v, %v", w, ok)
		}
		if _, ok := claim(t, s, "run2"); ok {
			t.Error("two runs of one piece of work")
		}
		// A change arrives while its job runs.
		if n := wakes(t, s, access.PullOf(hq, access.Look, access.BySweep, now.Add(time.Second)), pull); n != 0 {
			t.Errorf("a wake of running work needs %d tasks, want 0", n)
		}
		again, ok := finish(t, s, "run1", false, 0)
		if !ok || again.Cause != access.ByNotice|access.BySweep || again.Urgency != access.Revoke || !again.Since.Equal(now) {
			t.Fatalf("finishing gives %+v, %v; want both causes, again", again, ok)
		}
		if _, ok := claim(t, s, "run3"); !ok {
			t.Fatal("nothing to claim")
		}
		if again, ok := finish(t, s, "run3", false, 0); ok {
			t.Errorf("nobody woke, and again %+v", again)
		}
		if _, ok := claim(t, s, "run4"); ok {
			t.Error("done work was claimed")
		}
	})
}

func TestAMoreUrgentWakeOvertakesOneThatWaits(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s := open(t, c)
		ada := func(u access.Urgency, why access.Cause) access.Wake { return access.ApplyOf(doors, "ada", u, why, now) }
		if n := wakes(t, s, ada(access.Import, access.ByPull)); n != 1 {
			t.Fatalf("%d tasks, want 1", n)
		}
		if n := wakes(t, s, ada(access.Import, access.ByRescue)); n != 0 {
			t.Errorf("a rescue of what waits needs %d tasks, want 0", n)
		}
		if n := wakes(t, s, ada(access.Revoke, access.ByPull)); n != 1 {
			t.Errorf("a revocation behind an import needs %d tasks, want its own", n)
		}
	})
}

func TestAWakeThatIsDueEarlierNeedsATaskOfItsOwn(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s := open(t, c)
		look := func(d time.Duration) access.Wake {
			w := access.PullOf(hq, access.Look, access.BySweep, now)
			w.Delay = d
			return w
		}
		if n := wakes(t, s, look(time.Minute)); n != 1 {
			t.Fatalf("%d tasks, want 1", n)
		}
		if n := wakes(t, s, look(2*time.Minute)); n != 0 {
			t.Errorf("a later one needs %d tasks, want it folded", n)
		}
		if n := wakes(t, s, look(0)); n != 1 {
			t.Errorf("one that is due at once needs %d tasks, want 1", n)
		}
		if n := wakes(t, s, look(time.Second)); n != 0 {
			t.Errorf("then a later one needs %d tasks, want it folded", n)
		}
	})
}

func TestWorkThatFailedWaitsForItsRetryOrAFreshWake(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s := open(t, c)
		wakes(t, s, pull)
		claim(t, s, "run1")
		finish(t, s, "run1", true, time.Minute)
		rescue := pull
		rescue.Cause = access.ByRescue
		if n := wakes(t, s, rescue); n != 0 {
			t.Errorf("a rescue broke the back-off with %d tasks", n)
		}
		if n := wakes(t, s, pull); n != 1 {
			t.Errorf("a fresh wake needs %d tasks, want 1 at once", n)
		}
		if _, ok := claim(t, s, "run2"); !ok {
			t.Error("the fresh wake cannot be claimed")
		}
	})
}

func TestFailedWorkThatWasWokenMeanwhileForgetsNoneOfItsCauses(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s := open(t, c)
		wakes(t, s, pull)
		claim(t, s, "run1")
		wakes(t, s, access.PullOf(hq, access.Look, access.BySweep, now.Add(time.Minute)))
		again, ok := finish(t, s, "run1", true, time.Second)
		if !ok || again.Cause != access.ByNotice|access.BySweep || again.Urgency != access.Revoke || !again.Since.Equal(now) {
			t.Errorf("got %+v, %v; want the notice as urgent as before", again, ok)
		}
	})
}

func TestWorkOfTheDeadIsGivenToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx := open(t, redistest.Memory(t)), t.Context()
		tend := func(process string, queued []access.Wake, running map[string]string) []access.Wake {
			t.Helper()
			overdue, err := s.Tend(ctx, process, queued, running)
			if err != nil {
				t.Fatal(err)
			}
			return overdue
		}
		// The process dies before it made a task.
		fresh, err := s.Wake(ctx, []access.Wake{pull})
		if err != nil || len(fresh) != 1 {
			t.Fatal(fresh, err)
		}
		if got := tend("p2", nil, nil); len(got) != 0 {
			t.Errorf("at once overdue: %v", got)
		}
		time.Sleep(4 * time.Second)
		got := tend("p2", nil, nil)
		if len(got) != 1 || got[0].Key() != pull.Key() || got[0].Cause != access.ByNotice {
			t.Fatalf("overdue are %+v, want the wake without a task", got)
		}
		// A word of the first task, come late, does not count for the second.
		tend("p1", fresh, nil)
		time.Sleep(4 * time.Second)
		got = tend("p2", nil, nil)
		if len(got) != 1 {
			t.Fatalf("overdue are %v, want the wake again", got)
		}
		tend("p2", got, nil)
		time.Sleep(time.Minute)
		if got := tend("p2", nil, nil); len(got) != 0 {
			t.Errorf("a wake that has its task is overdue: %v", got)
		}
		// While it runs, its process gives signs of life; then it dies.
		claim(t, s, "run1")
		for range 20 {
			time.Sleep(time.Second)
			if got := tend("p1", nil, map[string]string{pull.Key(): "run1"}); len(got) != 0 {
				t.Fatalf("living work is overdue: %v", got)
			}
		}
		wakes(t, s, pull)
		time.Sleep(6 * time.Second)
		if alive, err := s.Alive(ctx, "p1"); alive || err != nil {
			t.Errorf("p1 lives: %v, %v", alive, err)
		}
		if got := tend("p2", nil, nil); len(got) != 1 {
			t.Fatalf("overdue are %v, want the dead one's work", got)
		}
		if alive, err := s.Alive(ctx, "p2"); !alive || err != nil {
			t.Errorf("p2 lives: %v, %v", alive, err)
		}
		// The dead one was only slow, and finishes.
		if again, ok := finish(t, s, "run1", false, 0); ok {
			t.Errorf("a run that was given away finished: %v", again)
		}
		if _, ok := claim(t, s, "run2"); !ok {
			t.Error("the work cannot be claimed by another")
		}
	})
}

func TestWorkRestsAWhileAndGathersWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, redistest.Memory(t))
		wakes(t, s, pull)
		claim(t, s, "run1")
		finish(t, s, "run1", false, time.Second)
		time.Sleep(400 * time.Millisecond)
		fresh, err := s.Wake(t.Context(), []access.Wake{pull})
		if err != nil || len(fresh) != 1 || fresh[0].Delay != 600*time.Millisecond {
			t.Fatalf("got %+v, %v; want one task in 600 ms", fresh, err)
		}
		claim(t, s, "run2")
		finish(t, s, "run2", false, time.Second)
		time.Sleep(2 * time.Second)
		fresh, err = s.Wake(t.Context(), []access.Wake{pull})
		if err != nil || len(fresh) != 1 || fresh[0].Delay != 0 {
			t.Errorf("got %+v, %v; want a task at once", fresh, err)
		}
	})
}

// In virtual time the limiter is exact: 96 % of the allowed rate, and a
// revocation in the middle waits no longer than the time of a call.
func TestTheLimiterKeepsTheRateAndNeverLetsARevocationWaitLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, ctx := open(t, redistest.Memory(t)).Limiter("kisi", 5), t.Context()
		ctx, cancel := context.WithCancel(ctx)
		went := make(chan time.Time, 1000)
		for range 8 {
			go func() {
				for l.Wait(ctx, access.Import) == nil {
					went <- time.Now()
				}
			}()
		}
		var worst time.Duration
		for k := range 60 {
			time.Sleep(time.Second + time.Duration(k)*7*time.Millisecond)
			asked := time.Now()
			if err := l.Wait(ctx, access.Revoke); err != nil {
				t.Fatal(err)
			}
			went <- time.Now()
			worst = max(worst, time.Since(asked))
		}
		began := time.Now()
		for len(went) > 0 {
			<-went
		}
		time.Sleep(time.Minute)
		cancel()
		synctest.Wait()
		if n := len(went); float64(n) < 0.95*5*time.Since(began).Seconds() {
			t.Errorf("%d calls in %v, want 95 %% of 5 a second", n, time.Since(began))
		}
		if worst > 300*time.Millisecond {
			t.Errorf("a revocation waited %v, want about the time of one call", worst)
		}
		last := make([]time.Time, 0, 6)
		for len(went) > 0 {
			last = append(last, <-went)
			if len(last) > 5 {
				if d := last[5].Sub(last[0]); d < time.Second {
					t.Fatalf("6 calls within %v", d)
				}
				last = last[1:]
			}
		}
	})
}

func TestAfter429EverybodyWaitsAndGoesSlower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, ctx := open(t, redistest.Memory(t)).Limiter("kisi", 5), t.Context()
		for range 3 { // it says so again and again
			l.Slow(ctx, 2*time.Second)
		}
		began := time.Now()
		var times []string
		for range 6 {
			if err := l.Wait(ctx, access.Revoke); err != nil {
				t.Fatal(err)
			}
			times = append(times, fmt.Sprint(time.Since(began).Round(100*time.Millisecond)))
		}
		if d := time.Since(began); d < 4*time.Second || d > 5*time.Second {
			t.Errorf("six calls took until %v, want 2 s of silence and then less than half the rate", times)
		}
	})
}
