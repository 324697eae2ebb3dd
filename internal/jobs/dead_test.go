package jobs_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/jobs"
)

func TestADeadJobIsListedAndRunsAgainWhenSomebodyWantsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		one := hire(t, jobs.Options{Redis: memory(t), Process: "one", Poll: time.Second}, jobs.Handlers{
			Work: work{access.Apply: func(context.Context, access.Wake) error {
				if runs.Add(1) == 1 {
					return fault.New(fault.Invalid, "grant", "no such target")
				}
				return nil
			}},
		})
		w := apply("ada", access.Revoke)
		one.wake(w)
		time.Sleep(10 * time.Second)
		dead, err := one.queue.Dead(t.Context())
		if err != nil || len(dead) != 1 || dead[0].Kind != access.Apply || dead[0].Name != w.Name || dead[0].Err == "" {
			t.Fatalf("dead jobs %+v, %v; want ada's with its error", dead, err)
		}
		for _, id := range []string{"", "revoke", "revoke.nobody", "door." + dead[0].ID} {
			if err := one.queue.Revive(t.Context(), id); !fault.Is(err, fault.Missing) {
				t.Errorf("revive %q: %v, want missing", id, err)
			}
		}
		if err := one.queue.Revive(t.Context(), dead[0].ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		dead, err = one.queue.Dead(t.Context())
		if err != nil || len(dead) != 0 || runs.Load() != 2 {
			t.Errorf("after %d runs dead jobs %+v, %v; want none after 2", runs.Load(), dead, err)
		}
		all, err := one.queue.Lanes(t.Context())
		if err != nil || len(all) != 6 {
			t.Errorf("lanes %+v, %v; want six", all, err)
		}
	})
}
