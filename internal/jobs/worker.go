package jobs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// Handlers do the work. Each may be called twice, late and out of order.
type Handlers struct {
	Work         map[access.Kind]func(ctx context.Context, w access.Wake) error
	Sweep, Watch func(ctx context.Context) error
	Dead         func(ctx context.Context, w access.Wake, err error)                 // told of work that is given up
	Failed       func(ctx context.Context, w access.Wake, err error, next time.Time) // told of work that is tried again
}

// A Worker takes tasks and calls handlers.
type Worker struct {
	opts     Options
	queue    *Queue
	handlers Handlers
	metrics  *metrics
	troubles *troubles
	runs     sync.WaitGroup // asynq does not wait for a run that it has given up
}

// NewWorker makes a worker that wakes through queue.
func NewWorker(o Options, q *Queue, h Handlers) *Worker {
	return &Worker{
		opts: o.withDefaults(), queue: q, handlers: h, metrics: q.metrics,
		troubles: &troubles{of: map[string]*trouble{}},
	}
}

// gather is how long a group that was pulled rests, while further
// notifications are gathered for the next pull: of 10,000 within a second, the
// first is answered at once and the rest by two more.
const gather = time.Second

// Run works until ctx ends, and lets what it has begun come to an end: for ten
// seconds by itself, then its context is cancelled.
func (w *Worker) Run(ctx context.Context) error {
	mux := asynq.NewServeMux()
	mux.HandleFunc(workTask, w.work)
	mux.HandleFunc(againTask, w.wakeAgain)
	mux.HandleFunc(sweepTask, w.round(sweepTask, w.handlers.Sweep))
	mux.HandleFunc(watchTask, w.round(watchTask, w.handlers.Watch))

	log := newAsynqLog(w.opts.Log)
	var started []*asynq.Server
	defer func() { w.stop(started) }()
	for _, l := range lanes {
		s := asynq.NewServerFromRedisClient(w.opts.Redis, w.config(l, log))
		if err := s.Start(mux); err != nil {
			return fmt.Errorf("start the workers of %s: %w", l.queue, err)
		}
		started = append(started, s)
	}
	<-ctx.Done()
	return nil
}

func (w *Worker) config(l lane, log asynq.Logger) asynq.Config {
	return asynq.Config{
		Concurrency:              l.workers,
		Queues:                   map[string]int{l.queue: 1},
		TaskCheckInterval:        w.opts.Poll,
		DelayedTaskCheckInterval: max(w.opts.Poll, 100*time.Millisecond),
		JanitorInterval:          l.tidied(w.opts.Poll),
		ShutdownTimeout:          10 * time.Second,
		RetryDelayFunc:           func(_ int, err error, _ *asynq.Task) time.Duration { return delayOf(err) },
		IsFailure:                counts,
		Logger:                   log,
		LogLevel:                 asynq.WarnLevel,
	}
}

// stop ends servers together, for each waits for its own work.
func (w *Worker) stop(servers []*asynq.Server) {
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(s.Shutdown)
	}
	wg.Wait()
	w.runs.Wait()
}

// work runs what a task names, if it is still to be done and nobody is at it.
func (w *Worker) work(ctx context.Context, t *asynq.Task) error {
	w.runs.Add(1)
	defer w.runs.Done()
	key, run := string(t.Payload()), rand.Text()
	wake, ok, err := w.opts.Wakes.Claim(ctx, key, run)
	if err != nil {
		return w.postpone(key, err)
	}
	if !ok {
		return nil
	}
	w.queue.begin(key, run)
	defer w.queue.end(key, run)
	began := time.Now()
	if !wake.Since.IsZero() {
		w.metrics.wait.WithLabelValues(string(wake.Kind)).Observe(began.Sub(wake.Since).Seconds())
	}
	err = guard(func() error { return w.handle(ctx, wake) })
	if err != nil && ctx.Err() != nil {
		return w.interrupted(ctx, wake, run, began)
	}
	w.metrics.done(string(wake.Kind), began, err)
	if err != nil {
		return w.failed(ctx, wake, run, err)
	}
	w.done(ctx, wake, run, time.Since(began))
	return nil
}

func (w *Worker) handle(ctx context.Context, wake access.Wake) error {
	if do := w.handlers.Work[wake.Kind]; do != nil {
		return do(ctx, wake)
	}
	return fault.New(fault.Invalid, "work "+wake.Key(), "nobody does work of that kind")
}

// A panicked handler has a bug like another; where it panicked goes to the log
// only, so that the same panic reads the same twice.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

func guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{p, debug.Stack()}
		}
	}()
	return do()
}

// done ends a run that went well. When Redis does not hear of it, the work is
// found dead and done again, which does no harm.
func (w *Worker) done(ctx context.Context, wake access.Wake, run string, took time.Duration) {
	w.troubles.forget(wake.Key())
	rest := time.Duration(0)
	if wake.Kind == access.Pull {
		rest = max(0, gather-took)
	}
	w.finish(ctx, wake.Key(), run, false, rest)
}

// finish ends a run in Redis, also when the process is told to stop, and tells
// whether the work was woken meanwhile and so has got a new task.
func (w *Worker) finish(ctx context.Context, key, run string, failed bool, rest time.Duration) (more bool) {
	next, more, err := w.opts.Wakes.Finish(context.WithoutCancel(ctx), key, run, failed, rest)
	if err != nil {
		w.opts.Log.Debug("a run ended unheard", "work", key, "err", err)
		return false
	}
	if more {
		w.queue.dispatch([]access.Wake{next})
	}
	return more
}

// round makes the handler of a task of the schedule. A failed round leaves no
// task behind, whose id would refuse the next: the next tick repeats it.
func (w *Worker) round(name string, do func(context.Context) error) func(context.Context, *asynq.Task) error {
	return func(ctx context.Context, _ *asynq.Task) error {
		w.runs.Add(1)
		defer w.runs.Done()
		began := time.Now()
		err := guard(func() error { return do(ctx) })
		w.metrics.done(name, began, err)
		if err == nil {
			w.troubles.forget(name)
			return nil
		}
		if _, news := w.troubles.add(name, err); news {
			w.opts.Log.Warn("a round failed", failure(err, "round", name)...)
		}
		return fmt.Errorf("%s: %w: %w", name, err, asynq.RevokeTask)
	}
}

// wakeAgain wakes work that was put off.
func (w *Worker) wakeAgain(ctx context.Context, t *asynq.Task) error {
	var a again
	if err := json.Unmarshal(t.Payload(), &a); err != nil {
		return fmt.Errorf("read a wake that was put off: %w: %w", err, asynq.SkipRetry)
	}
	kind, name, err := access.ParseKey(a.Key)
	if err != nil {
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	err = w.queue.Wake(ctx, access.Wake{Kind: kind, Name: name, Urgency: a.Urgency, Cause: a.Cause, Since: a.Since})
	if err != nil {
		return w.postpone(againTask, err)
	}
	return nil
}
