package jobs

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/hibiken/asynq"

	"kisibridge/internal/access"
)

// A search finds tasks that asynq gave to nobody: Redis took them from their
// queue and the answer was lost, or their process died before it claimed the
// work. The watch does not see those, for they had their task, and asynq looks
// for them after a minute only.
type search struct {
	inspector *asynq.Inspector
	seen      map[string]int // task id → looks in a row that found it active
}

// look is called every few seconds, by one goroutine. A task that is active at
// two looks has had time enough to be claimed. Each is tried once, so that
// little is lost where its work only waits for a retry.
func (q *Queue) look(ctx context.Context) error {
	seen := map[string]int{}
	for _, l := range lanes {
		active, err := q.search.inspector.ListActiveTasks(l.queue, asynq.PageSize(500))
		if errors.Is(err, asynq.ErrQueueNotFound) {
			continue // never used yet
		}
		if err != nil {
			return err
		}
		for _, t := range active {
			seen[t.ID] = q.search.seen[t.ID] + 1
			if key := string(t.Payload); t.Type == workTask && seen[t.ID] == 2 && !q.runs(key) {
				if err := q.resume(ctx, key); err != nil {
					return err
				}
			}
		}
	}
	q.search.seen = seen
	return nil
}

// resume gives work a new task, unless somebody is at it or it is done.
func (q *Queue) resume(ctx context.Context, key string) error {
	run := rand.Text()
	w, ok, err := q.opts.Wakes.Claim(ctx, key, run)
	if err != nil || !ok {
		return err
	}
	if err := q.rewake(ctx, w); err != nil {
		return err
	}
	again, ok, err := q.opts.Wakes.Finish(ctx, key, run, true, 0)
	if err == nil && ok {
		q.metrics.rescued.Inc()
		q.dispatch([]access.Wake{again})
	}
	return err
}

// rewake wakes work that is claimed, so that its end gives it a new task.
func (q *Queue) rewake(ctx context.Context, w access.Wake) error {
	if w.Cause == access.ByRescue {
		w.Cause |= access.ByPull // a rescue alone does not wake what runs
	}
	_, err := q.opts.Wakes.Wake(ctx, []access.Wake{w})
	return err
}
