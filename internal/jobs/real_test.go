package jobs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/jobs"
	"kisibridge/internal/redistest"
)

// eventually waits for something, as tests in real time must.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 2000 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: not within twenty seconds", what)
}

func TestWhatWasWokenSurvivesThatRedisGoesAway(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	c := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = c.Close() }) // after the crew, for asynq panics without a client
	d, log := &diary{}, &paper{}
	one := hire(t, jobs.Options{Redis: c, Process: "one", Log: log.log()}, jobs.Handlers{Work: work{access.Apply: d.takes(10 * time.Millisecond)}})

	var want []string
	for k := range 200 {
		w := apply(fmt.Sprint("guest", k), access.Import)
		one.wake(w)
		want = append(want, w.Key())
	}
	server.Kill()
	if err := one.queue.Wake(t.Context(), apply("ada", access.Allow)); !fault.Is(err, fault.Busy) {
		t.Errorf("waking without Redis gives %v, want it to say so", err)
	}
	time.Sleep(5 * time.Second)
	server.Run(t)

	eventually(t, "everything that was woken is done", func() bool {
		done := map[string]bool{}
		for _, e := range d.all() {
			done[e.Key] = true
		}
		return !slices.ContainsFunc(want, func(key string) bool { return !done[key] })
	})
	one.wake(apply("ada", access.Allow))
	eventually(t, "work goes on", func() bool { return len(d.of(apply("ada", access.Allow))) == 1 })
	text := log.String()
	if n := strings.Count(text, "Redis does not take tasks"); n != 1 || !strings.Contains(text, "Redis takes tasks again") {
		t.Errorf("the outage is told %d times, want its begin and its end:\n%s", n, text)
	}
	if n := strings.Count(text, "\n"); n > 60 {
		t.Errorf("%d lines about an outage of five seconds:\n%s", n, text)
	}
}

// The figures are read, not judged: they hang on the machine.
func TestIdlePickupOnARealRedis(t *testing.T) {
	t.Parallel()
	c := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr})
	t.Cleanup(func() { _ = c.Close() }) // after the crew, for asynq panics without a client
	d := &diary{}
	one := hire(t, jobs.Options{Redis: c, Process: "one"}, jobs.Handlers{Work: work{access.Apply: d.takes(0)}})
	var waits []time.Duration
	for k := range 50 {
		w := apply(fmt.Sprint("guest", k), access.Revoke)
		woken := time.Now()
		one.wake(w)
		eventually(t, "a wake is run", func() bool { return len(d.of(w)) == 1 })
		waits = append(waits, d.of(w)[0].Sub(woken))
	}
	slices.Sort(waits)
	t.Logf("from wake to run, idle: p50 %v, p90 %v, most %v", waits[25], waits[45], waits[49])
	if n := one.count("kisibridge_job_wait_seconds", "apply"); n != 50 {
		t.Errorf("%v waits counted, want 50", n)
	}
}
