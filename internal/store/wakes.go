package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"kisibridge/internal/access"
)

// Work that is woken stands in Redis as one hash under its key, beside the
// tasks that asynq carries, so that a wake is never lost: not one that comes
// while its work runs (a task of a fixed id would be refused), nor one whose
// task died with a worker (asynq hands those on after a minute only).
//
//	(none) ──wake──▶ q ──claim──▶ r ──finish──▶ (none), or c: rests a while
//	                 ▲            │ woken meanwhile: q again
//	                 │            └ an error: b, waits for its retry
//	                 └── wake, or the watch finds that nobody works on it
const (
	grace = 3 * time.Second // for a wake to get its task, before the watch makes one
	life  = 5 * time.Second // without a sign from a worker, before its work is given to another
)

// Wake writes down that work is to be done, in one round trip for all of it,
// and returns what needs a task: what waits already is folded into one.
func (s *Store) Wake(ctx context.Context, wakes []access.Wake) ([]access.Wake, error) {
	if len(wakes) == 0 {
		return nil, nil
	}
	keys := make([]string, 0, 2+len(wakes))
	keys = append(keys, watchKey, seqKey)
	args := make([]any, 0, 2+5*len(wakes))
	args = append(args, grace.Milliseconds(), int(access.ByRescue))
	for _, w := range wakes {
		keys = append(keys, wakePrefix+w.Key())
		args = append(args, w.Key(), int(w.Urgency), int(w.Cause), w.Since.UnixMilli(), w.Delay.Milliseconds())
	}
	got, err := s.run(ctx, "wake", keys, args...).Int64Slice()
	if err != nil {
		return nil, sorted("redis: wake", err)
	}
	var fresh []access.Wake
	for k, w := range wakes {
		if got[2*k] > 0 {
			w.Seq, w.Delay = got[2*k], time.Duration(got[2*k+1])*time.Millisecond
			fresh = append(fresh, w)
		}
	}
	return fresh, nil
}

// Claim takes a piece of work for run, and tells with which causes it was
// woken since it was last done. ok is false when there is nothing to do, or
// somebody is at it.
func (s *Store) Claim(ctx context.Context, key, run string) (w access.Wake, ok bool, err error) {
	got, err := s.run(ctx, "claim", []string{watchKey, wakePrefix + key}, key, run, life.Milliseconds()).StringSlice()
	if err != nil || len(got) == 0 {
		return w, false, sorted("redis: claim "+key, err)
	}
	w, err = readWake(key, got)
	return w, err == nil, err
}

// Finish ends a run. Work that was woken meanwhile is returned with ok, for a
// new task. Done work rests for rest, in which wakes are gathered; failed work
// waits for its retry, due after rest.
func (s *Store) Finish(ctx context.Context, key, run string, failed bool, rest time.Duration) (again access.Wake, ok bool, err error) {
	mode := "done"
	if failed {
		mode = "back"
	}
	got, err := s.run(ctx, "finish", []string{watchKey, seqKey, wakePrefix + key},
		key, run, mode, rest.Milliseconds(), grace.Milliseconds()).StringSlice()
	if err != nil || len(got) == 0 {
		return again, false, sorted("redis: finish "+key, err)
	}
	again, err = readWake(key, got)
	return again, err == nil, err
}

// Tend is the sign of life of a process: the wakes in queued have their task,
// the work in running goes on (work key → run). It returns the work that
// nobody is at any more, for new tasks.
func (s *Store) Tend(ctx context.Context, process string, queued []access.Wake, running map[string]string) ([]access.Wake, error) {
	args := []any{life.Milliseconds(), grace.Milliseconds(), wakePrefix, len(queued)}
	for _, w := range queued {
		args = append(args, w.Key(), w.Seq)
	}
	for key, run := range running {
		args = append(args, key, run)
	}
	rows, err := s.run(ctx, "tend", []string{watchKey, seqKey, alivePrefix + process}, args...).Slice()
	if err != nil {
		return nil, sorted("redis: tend the wakes", err)
	}
	var overdue []access.Wake
	for _, row := range rows {
		f, ok := row.([]any)
		if !ok || len(f) < 6 {
			return overdue, fmt.Errorf("redis: tend the wakes: unheard-of answer %v", row)
		}
		texts := make([]string, len(f))
		for k, v := range f {
			texts[k] = fmt.Sprint(v)
		}
		w, err := readWake(texts[0], texts[1:])
		if err != nil {
			return overdue, err
		}
		overdue = append(overdue, w)
	}
	return overdue, nil
}

// Alive tells whether a process gave a sign of life lately.
func (s *Store) Alive(ctx context.Context, process string) (bool, error) {
	n, err := s.redis.Exists(ctx, alivePrefix+process).Result()
	return n == 1, sorted("redis: look for process "+process, err)
}

// readWake reads urgency, cause, since, seq and delay.
func readWake(key string, f []string) (access.Wake, error) {
	var n [5]int64
	for k := range n {
		v, err := strconv.ParseInt(f[k], 10, 64)
		if err != nil {
			return access.Wake{}, broken("wake "+key, err)
		}
		n[k] = v
	}
	kind, name, err := access.ParseKey(key)
	return access.Wake{
		Kind: kind, Name: name, Urgency: access.Urgency(n[0]), Cause: access.Cause(n[1]),
		Since: time.UnixMilli(n[2]), Seq: n[3], Delay: time.Duration(n[4]) * time.Millisecond,
	}, err
}
