package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
)

// A Schedule sweeps and watches at their intervals. It runs in every process
// that has the role, and each tick is done once over all of them: the task
// bears one id, asynq keeps it for most of the interval after it is done, and
// refuses another of that id. The ticks are closer than the interval, so that
// another process takes over a tick after one has died.
type Schedule struct {
	opts         Options
	sweep, watch time.Duration
}

// NewSchedule makes a schedule of a sweep and a watch at these intervals.
func NewSchedule(o Options, sweep, watch time.Duration) *Schedule {
	return &Schedule{o.withDefaults(), sweep, watch}
}

// Run keeps the schedule until ctx ends. A sweep that is due is made at once.
func (s *Schedule) Run(ctx context.Context) error {
	missed := &outage{log: s.opts.Log}
	sched := asynq.NewSchedulerFromRedisClient(s.opts.Redis, &asynq.SchedulerOpts{
		HeartbeatInterval: time.Minute,      // for onlookers only
		LogLevel:          asynq.FatalLevel, // what matters of it is told here
		Logger:            newAsynqLog(s.opts.Log),
		PostEnqueueFunc: func(_ *asynq.TaskInfo, err error) {
			missed.note(unlessDone(err))
		},
	})
	client := asynq.NewClientFromRedisClient(s.opts.Redis)
	for task, every := range map[string]time.Duration{sweepTask: s.sweep, watchTask: s.watch} {
		tick := max(time.Second, (every / 15).Truncate(time.Second)) // cron counts in seconds
		opts := []asynq.Option{
			asynq.TaskID(task), asynq.Queue(sweepLane), asynq.Retention(every - tick/2),
			asynq.MaxRetry(maxRetries), asynq.Timeout(10 * time.Minute),
		}
		if _, err := sched.Register(fmt.Sprintf("@every %s", tick), asynq.NewTask(task, nil), opts...); err != nil {
			return fmt.Errorf("schedule the %s: %w", task, err)
		}
		_, err := client.EnqueueContext(ctx, asynq.NewTask(task, nil), opts...)
		missed.note(unlessDone(err))
	}
	if err := sched.Start(); err != nil {
		return fmt.Errorf("start the schedule: %w", err)
	}
	<-ctx.Done()
	sched.Shutdown()
	return nil
}

// unlessDone leaves an error out that says that the task of this interval is
// there already, by whomever.
func unlessDone(err error) error {
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	return err
}
