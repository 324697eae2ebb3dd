package jobs

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// A verdict is what to do about work that failed.
type verdict struct {
	retry  bool
	after  time.Duration
	counts bool // towards giving up; the faults of others never do
}

// judge knows what each class of error asks for, at the n-th failure in a row.
func judge(err error, n int) verdict {
	switch fault.Of(err) {
	case fault.Busy:
		if after := fault.After(err); after > 0 {
			return verdict{retry: true, after: jitter(after)}
		}
		return verdict{retry: true, after: backOff(time.Second, n, time.Minute)}
	case fault.Clash:
		return verdict{retry: true, after: 50*time.Millisecond + mathrand.N(100*time.Millisecond)}
	case fault.Unknown:
		return verdict{retry: true, after: backOff(2*time.Second, n, time.Minute)}
	case fault.Missing, fault.Invalid, fault.Denied:
		return verdict{}
	default:
		return verdict{retry: true, after: backOff(time.Second, n, 10*time.Minute), counts: true}
	}
}

// failed ends a run that went wrong, and tells asynq whether and when to try
// again. asynq counts in whole seconds and rounds down, so longer waits are
// rounded up here: who asks to be left alone is.
func (w *Worker) failed(ctx context.Context, wake access.Wake, run string, err error) error {
	key := wake.Key()
	n, news := w.troubles.add(key, err)
	v := judge(err, n)
	if v.counts && exhausted(ctx) {
		v = verdict{}
	}
	if news && !fault.Is(err, fault.Clash) {
		w.opts.Log.Warn("work failed", failure(err, "kind", string(wake.Kind), "name", wake.Name, "retry", v.retry)...)
	}
	if !v.retry {
		return w.bury(ctx, wake, run, err)
	}
	now := time.Now()
	if v.after >= time.Second {
		v.after = wholeSecond(now.Add(v.after)).Sub(now)
	}
	if w.handlers.Failed != nil {
		w.handlers.Failed(context.WithoutCancel(ctx), wake, err, now.Add(v.after))
	}
	if w.finish(ctx, key, run, true, v.after) || w.troubles.retryIsDue(key) {
		return nil // another task takes the place of the retry
	}
	w.troubles.promise(key, now.Add(v.after))
	return &postponed{err, v}
}

// exhausted tells whether this failure is the last. asynq would put a task
// that has used up its retries away at any error, so it never gets there.
func exhausted(ctx context.Context) bool {
	retried, _ := asynq.GetRetryCount(ctx)
	most, ok := asynq.GetMaxRetry(ctx)
	return ok && retried+1 >= most
}

// bury gives work up. asynq keeps the task in its archive. Dead is told before
// Redis: should the process end between, the work is done again.
func (w *Worker) bury(ctx context.Context, wake access.Wake, run string, err error) error {
	w.metrics.dead.WithLabelValues(string(wake.Kind)).Inc()
	if w.handlers.Dead != nil {
		told := guard(func() error { w.handlers.Dead(context.WithoutCancel(ctx), wake, err); return nil })
		if told != nil {
			w.opts.Log.Error("a handler of dead work panicked", failure(told, "kind", string(wake.Kind), "name", wake.Name)...)
		}
	}
	w.troubles.forget(wake.Key())
	w.finish(ctx, wake.Key(), run, false, 0)
	return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
}

// interrupted ends a run whose time was up, or whose process is told to stop.
// asynq no longer listens then, and may have handed the task on already, to
// somebody who found the work taken: so it is woken again, for a task of its own.
func (w *Worker) interrupted(ctx context.Context, wake access.Wake, run string, began time.Time) error {
	err := &fault.Error{Class: fault.Unknown, Op: "run " + wake.Key(), Err: context.Cause(ctx)}
	w.metrics.done(string(wake.Kind), began, err)
	if lost := w.queue.rewake(context.WithoutCancel(ctx), wake); lost != nil {
		w.opts.Log.Debug("an interrupted run waits for its rescue", "work", wake.Key(), "err", lost)
	}
	return w.failed(ctx, wake, run, err)
}

// postpone is for tasks whose work could not even be begun.
func (w *Worker) postpone(key string, err error) error {
	n, news := w.troubles.add(key, err)
	if news {
		w.opts.Log.Warn("a task waits", failure(err, "work", key)...)
	}
	return &postponed{err, verdict{after: backOff(time.Second, n, time.Minute)}}
}

// A postponed error carries to asynq what was judged about it.
type postponed struct {
	error
	verdict verdict
}

func (p *postponed) Unwrap() error { return p.error }

// delayOf answers asynq. Errors of its own are that a lease or a timeout ran out.
func delayOf(err error) time.Duration {
	if p, ok := errors.AsType[*postponed](err); ok {
		return p.verdict.after
	}
	return jitter(time.Second)
}

// counts tells asynq whether an error uses up a retry.
func counts(err error) bool {
	p, ok := errors.AsType[*postponed](err)
	return ok && p.verdict.counts
}

// backOff doubles from first to most.
func backOff(first time.Duration, n int, most time.Duration) time.Duration {
	return jitter(min(first<<min(n, 20), most))
}

// jitter adds up to a fifth, so that what failed together does not come back
// together.
func jitter(d time.Duration) time.Duration {
	return d + mathrand.N(d/5+1)
}

// failure is how the log tells of an error.
func failure(err error, about ...any) []any {
	about = append(about, "class", fault.Of(err).String(), "err", err)
	if p, ok := errors.AsType[*panicked](err); ok {
		about = append(about, "stack", string(p.stack))
	}
	return about
}

// A trouble is what a process remembers of work that failed.
type trouble struct {
	failures int       // in a row
	said     string    // the error that was logged last
	due      time.Time // when the retry is due that asynq holds
}

// troubles are forgotten with the process, and some of them when they are too
// many: then a back-off begins anew, or an error is logged twice.
type troubles struct {
	mu sync.Mutex // guards of
	of map[string]*trouble
}

const mostTroubles = 10_000

// add notes a failure; n failures in a row came before it, and news tells
// whether it is another than the last.
func (t *troubles) add(key string, err error) (n int, news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.of) >= mostTroubles {
		for old := range t.of {
			delete(t.of, old)
			break
		}
	}
	was := t.of[key]
	if was == nil {
		was = &trouble{}
		t.of[key] = was
	}
	n, news = was.failures, was.said != err.Error()
	was.failures++
	was.said = err.Error()
	return n, news
}

// promise notes when the retry is due.
func (t *troubles) promise(key string, due time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if was := t.of[key]; was != nil {
		was.due = due
	}
}

// retryIsDue tells whether asynq holds a retry already, not about to begin.
// Without this, each wake that comes during an outage would start a chain of
// retries of its own.
func (t *troubles) retryIsDue(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.of[key]
	return was != nil && time.Until(was.due) > time.Second
}

func (t *troubles) forget(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of, key)
}
