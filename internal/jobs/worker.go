package jobs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// Handlers do the work. Each may be called twice, late and out of order.
type Handlers struct {
	Pull, Apply, Roster, Keep func(ctx context.Context, w access.Wake) error
	Sweep, Watch              func(ctx context.Context) error
	Dead                      func(ctx context.Context, w access.Wake, err error) // told of work that is given up
}

// A Worker takes tasks and calls handlers.
type Worker struct {
	opts     Options
	queue    *Queue
	handlers Handlers
	metrics  *metrics

	mu       sync.Mutex     // guards the two below
	attempts map[string]int // work key → failures in a row
	said     map[string]string
}

// NewWorker makes a worker that wakes through queue.
func NewWorker(o Options, q *Queue, h Handlers) *Worker {
	return &Worker{
		opts: o.withDefaults(), queue: q, handlers: h, metrics: q.metrics,
		attempts: map[string]int{}, said: map[string]string{},
	}
}

// gather is how long a group that was pulled rests, while further
// notifications are gathered for the next pull: of 10,000 within a second, the
// first is answered at once and the rest by two more.
const gather = time.Second

// Run works until ctx ends, and lets what it has begun come to an end.
func (w *Worker) Run(ctx context.Context) error {
	mux := asynq.NewServeMux()
	mux.HandleFunc(workTask, w.work)
	mux.HandleFunc(againTask, w.wakeAgain)
	mux.HandleFunc(sweepTask, func(ctx context.Context, _ *asynq.Task) error { return w.handlers.Sweep(ctx) })
	mux.HandleFunc(watchTask, func(ctx context.Context, _ *asynq.Task) error { return w.handlers.Watch(ctx) })

	var started []*asynq.Server
	for _, l := range lanes {
		s := asynq.NewServerFromRedisClient(w.opts.Redis, w.config(l))
		if err := s.Start(mux); err != nil {
			stop(started)
			return fmt.Errorf("start the workers of %s: %w", l.queue, err)
		}
		started = append(started, s)
	}
	<-ctx.Done()
	stop(started)
	return nil
}

func (w *Worker) config(l lane) asynq.Config {
	return asynq.Config{
		Concurrency:              l.workers,
		Queues:                   map[string]int{l.queue: 1},
		TaskCheckInterval:        w.opts.Poll,
		DelayedTaskCheckInterval: max(w.opts.Poll, 200*time.Millisecond),
		JanitorInterval:          max(w.opts.Poll, time.Second),
		ShutdownTimeout:          10 * time.Second,
		RetryDelayFunc:           func(n int, err error, _ *asynq.Task) time.Duration { return delayOf(n, err) },
		IsFailure:                func(err error) bool { return fault.Of(err) == fault.Bug },
		Logger:                   quiet{w.opts.Log},
		LogLevel:                 asynq.WarnLevel,
	}
}

// stop ends servers together, for each waits for its own work.
func stop(servers []*asynq.Server) {
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(s.Shutdown)
	}
	wg.Wait()
}

// work runs what a task names, if it is still to be done and nobody is at it.
func (w *Worker) work(ctx context.Context, t *asynq.Task) error {
	key, run := string(t.Payload()), rand.Text()
	wake, ok, err := w.opts.Wakes.Claim(ctx, key, run)
	if err != nil || !ok {
		return err
	}
	w.queue.begin(key, run)
	defer w.queue.end(key)
	began := time.Now()
	if !wake.Since.IsZero() {
		w.metrics.wait.WithLabelValues(string(wake.Kind)).Observe(began.Sub(wake.Since).Seconds())
	}
	err = w.handle(ctx, wake)
	w.metrics.seconds.WithLabelValues(string(wake.Kind)).Observe(time.Since(began).Seconds())
	w.metrics.done(wake.Kind, err)
	return w.finish(ctx, wake, run, time.Since(began), err)
}

// handle calls the handler; a panic is a bug like another.
func (w *Worker) handle(ctx context.Context, wake access.Wake) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	switch wake.Kind {
	case access.Pull:
		return w.handlers.Pull(ctx, wake)
	case access.Apply:
		return w.handlers.Apply(ctx, wake)
	case access.Roster:
		return w.handlers.Roster(ctx, wake)
	case access.Keep:
		return w.handlers.Keep(ctx, wake)
	}
	return fault.New(fault.Invalid, "work "+wake.Key(), "nobody does work of that kind")
}

// A delayed error carries how long its retry must wait.
type delayed struct {
	error
	after time.Duration
}

func (d *delayed) Unwrap() error { return d.error }

func delayOf(n int, err error) time.Duration {
	if d, ok := errors.AsType[*delayed](err); ok {
		return d.after
	}
	return backOff(time.Second, n, time.Minute)
}

// finish tells Redis how a run ended, and asynq whether to try again.
func (w *Worker) finish(ctx context.Context, wake access.Wake, run string, took time.Duration, err error) error {
	ctx = context.WithoutCancel(ctx) // also when the process is told to stop
	if err != nil {
		return w.failed(ctx, wake, run, err)
	}
	w.forget(wake.Key())
	rest := time.Duration(0)
	if wake.Kind == access.Pull {
		rest = max(0, gather-took)
	}
	next, more, err := w.opts.Wakes.Finish(ctx, wake.Key(), run, false, rest)
	if err != nil {
		return nil // the work is done; the watch finds that its run is over
	}
	if more {
		w.queue.dispatch([]access.Wake{next})
	}
	return nil
}

func (w *Worker) failed(ctx context.Context, wake access.Wake, run string, err error) error {
	retry, after := w.verdict(ctx, wake.Key(), err)
	w.say(wake, err, retry)
	next, more, ferr := w.opts.Wakes.Finish(ctx, wake.Key(), run, retry, after)
	if ferr == nil && more && retry {
		w.queue.dispatch([]access.Wake{next})
		return nil // the fresh task takes the place of the retry
	}
	if retry {
		return &delayed{err, after}
	}
	w.forget(wake.Key())
	w.metrics.dead.WithLabelValues(string(wake.Kind)).Inc()
	w.handlers.Dead(ctx, wake, err)
	if more {
		w.queue.dispatch([]access.Wake{next})
	}
	return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
}

// verdict says what is to be done about an error, by its class.
func (w *Worker) verdict(ctx context.Context, key string, err error) (retry bool, after time.Duration) {
	n := w.attempt(key)
	switch fault.Of(err) {
	case fault.Busy:
		if after := fault.After(err); after > 0 {
			return true, jitter(after)
		}
		return true, backOff(time.Second, n, time.Minute)
	case fault.Clash:
		return true, jitter(time.Duration(min(n+1, 50)) * 100 * time.Millisecond)
	case fault.Unknown:
		return true, backOff(2*time.Second, n, time.Minute)
	case fault.Invalid, fault.Missing, fault.Denied:
		return false, 0
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return true, time.Second
	}
	retried, _ := asynq.GetRetryCount(ctx)
	return retried < maxRetries, backOff(time.Second, n, 10*time.Minute)
}

// backOff doubles from first to most.
func backOff(first time.Duration, n int, most time.Duration) time.Duration {
	return jitter(min(first<<min(n, 20), most))
}

// jitter adds up to a fifth, so that what failed together does not come back
// together.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration(mathrand.Int64N(int64(d)/5+1))
}

func (w *Worker) attempt(key string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.attempts[key]
	w.attempts[key] = n + 1
	return n
}

func (w *Worker) forget(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.attempts, key)
	delete(w.said, key)
}

// say logs a failure when it is another than before.
func (w *Worker) say(wake access.Wake, err error, retry bool) {
	w.mu.Lock()
	same := w.said[wake.Key()] == err.Error()
	w.said[wake.Key()] = err.Error()
	w.mu.Unlock()
	if same || fault.Is(err, fault.Clash) {
		return
	}
	w.opts.Log.Warn("work failed", "work", string(wake.Kind), "name", wake.Name, "class", fault.Of(err).String(), "retry", retry, "err", err)
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
	return w.queue.Wake(ctx, access.Wake{Kind: kind, Name: name, Urgency: a.Urgency, Cause: a.Cause, Since: a.Since})
}
