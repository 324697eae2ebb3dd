package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

const (
	// What does not fit the channel gets its task from the watch, seconds later.
	dispatchRoom = 8192
	dispatchers  = 8
	tendEvery    = time.Second
	maxRetries   = 25
)

// A Queue takes wakes and gives them tasks.
type Queue struct {
	opts    Options
	client  *asynq.Client
	metrics *metrics
	outage  *outage
	search  *search
	fresh   chan access.Wake

	mu      sync.Mutex        // guards the two below; held for moments only
	queued  []access.Wake     // have their task since the last sign of life
	running map[string]string // work key → run, of this process
}

// NewQueue makes a queue; its tasks are made once Run runs.
func NewQueue(o Options) *Queue {
	o = o.withDefaults()
	return &Queue{
		opts: o, client: asynq.NewClientFromRedisClient(o.Redis), metrics: newMetrics(o),
		outage: &outage{log: o.Log}, search: &search{inspector: asynq.NewInspectorFromRedisClient(o.Redis)},
		fresh: make(chan access.Wake, dispatchRoom), running: map[string]string{},
	}
}

// Wake returns when the work stands in Redis: from then on it cannot be lost.
// Its tasks follow; should the process die before, the watch of any process
// makes them.
func (q *Queue) Wake(ctx context.Context, wakes ...access.Wake) error {
	if len(wakes) == 0 {
		return nil
	}
	fresh, err := q.opts.Wakes.Wake(ctx, wakes)
	if err != nil {
		return err
	}
	q.metrics.folded.Add(float64(len(wakes) - len(fresh)))
	q.metrics.woken(wakes)
	q.dispatch(fresh)
	return nil
}

func (q *Queue) dispatch(wakes []access.Wake) {
	for _, w := range wakes {
		select {
		case q.fresh <- w:
		default:
			return // full: the watch makes the task
		}
	}
}

// again is the payload of a wake that is put off: names, never state.
type again struct {
	Key     string         `json:"key"`
	Urgency access.Urgency `json:"urgency"`
	Cause   access.Cause   `json:"cause"`
	Since   time.Time      `json:"since"`
}

// Later wakes after a while, never earlier: asynq schedules by whole seconds
// and rounds down, so the time is rounded up. What comes due in the same
// second is one task.
func (q *Queue) Later(ctx context.Context, w access.Wake, after time.Duration) error {
	payload, err := json.Marshal(again{w.Key(), w.Urgency, w.Cause, w.Since})
	if err != nil {
		return err
	}
	due := wholeSecond(time.Now().Add(after))
	_, err = q.client.EnqueueContext(ctx, asynq.NewTask(againTask, payload),
		asynq.TaskID(fmt.Sprintf("again:%s:%d:%d", w.Key(), w.Cause, due.Unix())),
		asynq.Queue(pullLane), asynq.ProcessAt(due), asynq.MaxRetry(maxRetries))
	if err == nil || errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	return &fault.Error{Class: fault.Busy, Op: "put off " + w.Key(), Err: err}
}

// wholeSecond rounds up.
func wholeSecond(t time.Time) time.Time {
	return t.Add(time.Second - 1).Truncate(time.Second)
}

// Run makes tasks for wakes, and gives signs of life, until ctx ends. It should
// end after the worker, whose last runs would be given to others without them.
func (q *Queue) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range dispatchers {
		wg.Go(func() { q.dispatchLoop(ctx) })
	}
	wg.Go(func() { q.tendLoop(ctx) })
	wg.Wait()
	return nil
}

func (q *Queue) dispatchLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-q.fresh:
			q.enqueue(ctx, w)
		}
	}
}

// enqueue makes the task of a wake. One that cannot be made is made by the watch.
func (q *Queue) enqueue(ctx context.Context, w access.Wake) {
	opts := []asynq.Option{
		asynq.Queue(laneOf(w.Kind, w.Urgency)), asynq.MaxRetry(maxRetries), asynq.Timeout(timeout(w.Kind)),
	}
	if w.Delay > 0 {
		opts = append(opts, asynq.ProcessIn(w.Delay))
	}
	_, err := q.client.EnqueueContext(ctx, asynq.NewTask(workTask, []byte(w.Key())), opts...)
	if ctx.Err() != nil {
		return
	}
	if q.outage.note(err); err != nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queued) < dispatchRoom {
		q.queued = append(q.queued, w)
	}
}

// timeout bounds a run; listing 20,000 people takes 200 calls of five a second.
func timeout(kind access.Kind) time.Duration {
	if kind == access.Roster || kind == access.Pull || kind == access.Drift || kind == access.Profiles {
		return 15 * time.Minute
	}
	return 5 * time.Minute
}

func (q *Queue) tendLoop(ctx context.Context) {
	t := time.NewTicker(tendEvery)
	defer t.Stop()
	for k := 0; ; k++ {
		err := q.tend(ctx)
		if err == nil && k%2 == 0 {
			err = q.look(ctx)
		}
		if ctx.Err() == nil {
			q.outage.note(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// tend gives one sign of life.
func (q *Queue) tend(ctx context.Context) error {
	q.mu.Lock()
	queued := q.queued
	q.queued = nil
	running := maps.Clone(q.running)
	q.mu.Unlock()

	overdue, err := q.opts.Wakes.Tend(ctx, q.opts.Process, queued, running)
	if err != nil {
		q.mu.Lock()
		q.queued = append(queued, q.queued...)
		q.queued = q.queued[:min(dispatchRoom, len(q.queued))]
		q.mu.Unlock()
		return err
	}
	q.metrics.rescued.Add(float64(len(overdue)))
	q.dispatch(overdue)
	return nil
}

func (q *Queue) begin(key, run string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running[key] = run
}

func (q *Queue) runs(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.running[key] != ""
}

// end is told the run, for the next one of the same work may have begun.
func (q *Queue) end(key, run string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running[key] == run {
		delete(q.running, key)
	}
}
