package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// Work that is woken stands in Redis under its key, beside the
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

// most is how many wakes of a kind one section of a call may name: Lua takes
// no more than a few thousand arguments at once.
const most = 1000

// Wake writes down that work is to be done, in one round trip for all of it,
// and returns what needs a task: what waits already is folded into one.
func (s *Store) Wake(ctx context.Context, wakes []access.Wake) ([]access.Wake, error) {
	if len(wakes) == 0 {
		return nil, nil
	}
	args := make([]any, 0, 8+len(wakes))
	args = append(args, "wake", grace.Milliseconds(), int(access.ByRescue))
	for rest := wakes; len(rest) > 0; {
		n := alike(rest)
		w := rest[0]
		args = append(args, int(w.Urgency), int(w.Cause), max(0, w.Since.UnixMilli()), w.Delay.Milliseconds(), n)
		for _, w := range rest[:n] {
			args = append(args, w.Key())
		}
		rest = rest[n:]
	}
	got, err := s.run(ctx, "wakes", wakeKeys(), args...).Int64Slice()
	if err != nil {
		return nil, sorted("redis: wake", err)
	}
	fresh := make([]access.Wake, 0, len(got)/3)
	for ; len(got) >= 3; got = got[3:] {
		w := wakes[got[0]-1]
		w.Seq, w.Delay = got[1], time.Duration(got[2])*time.Millisecond
		fresh = append(fresh, w)
	}
	return fresh, nil
}

// alike counts the wakes at the beginning that differ in nothing but their
// names, as those of a batch of notifications do.
func alike(wakes []access.Wake) int {
	w := wakes[0]
	for n, o := range wakes {
		if n == most || o.Urgency != w.Urgency || o.Cause != w.Cause || !o.Since.Equal(w.Since) || o.Delay != w.Delay {
			return n
		}
	}
	return len(wakes)
}

// Claim takes a piece of work for run, and tells with which causes it was
// woken since it was last done. ok is false when there is nothing to do, or
// somebody is at it.
func (s *Store) Claim(ctx context.Context, key, run string) (w access.Wake, ok bool, err error) {
	got, err := s.run(ctx, "wakes", wakeKeys(), "claim", key, run, life.Milliseconds()).StringSlice()
	if err != nil || len(got) == 0 {
		return w, false, sorted("redis: claim "+key, err)
	}
	w, err = readWake(got)
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
	got, err := s.run(ctx, "wakes", wakeKeys(), "finish", key, run, mode, rest.Milliseconds(), grace.Milliseconds()).StringSlice()
	if err != nil || len(got) == 0 {
		return again, false, sorted("redis: finish "+key, err)
	}
	again, err = readWake(got)
	return again, err == nil, err
}

// Tend is the sign of life of a process: the wakes in queued have their task,
// the work in running goes on (work key → run). It returns the work that
// nobody is at any more, for new tasks.
func (s *Store) Tend(ctx context.Context, process string, queued []access.Wake, running map[string]string) ([]access.Wake, error) {
	args := []any{"tend", life.Milliseconds(), grace.Milliseconds(), len(queued)}
	for _, w := range queued {
		args = append(args, w.Key(), w.Seq)
	}
	for key, run := range running {
		args = append(args, key, run)
	}
	rows, err := s.run(ctx, "wakes", wakeKeys(alivePrefix+process), args...).Slice()
	if err != nil {
		return nil, sorted("redis: tend the wakes", err)
	}
	var overdue []access.Wake
	for _, row := range rows {
		w, err := readWake(texts(row))
		if err != nil {
			return overdue, err
		}
		overdue = append(overdue, w)
	}
	return overdue, nil
}

// texts reads an array of texts that is an element of another array.
func texts(row any) (all []string) {
	f, _ := row.([]any)
	for _, v := range f {
		all = append(all, fmt.Sprint(v))
	}
	return all
}

// Alive tells whether a process gave a sign of life lately.
func (s *Store) Alive(ctx context.Context, process string) (bool, error) {
	n, err := s.redis.Exists(ctx, alivePrefix+process).Result()
	return n == 1, sorted("redis: look for process "+process, err)
}

// readWake reads key, urgency, cause, since, seq and delay.
func readWake(f []string) (access.Wake, error) {
	var n [5]int64
	if len(f) != 1+len(n) {
		return access.Wake{}, fault.New(fault.Bug, "redis: read a wake", "unheard-of answer %q", f)
	}
	for k := range n {
		v, err := strconv.ParseInt(f[k+1], 10, 64)
		if err != nil {
			return access.Wake{}, broken("wake "+f[0], err)
		}
		n[k] = v
	}
	kind, name, err := access.ParseKey(f[0])
	return access.Wake{
		Kind: kind, Name: name, Urgency: access.Urgency(n[0]), Cause: access.Cause(n[1]),
		Since: millis(f[3]), Seq: n[3], Delay: time.Duration(n[4]) * time.Millisecond,
	}, err
}
