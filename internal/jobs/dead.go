package jobs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hibiken/asynq"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// A DeadJob is work that was given up. asynq keeps its task.
type DeadJob struct {
	ID       string // lane and asynq's id
	Lane     string
	Kind     access.Kind
	Name     string
	Err      string
	Attempts int
	At       time.Time
}

// A Lane is a queue at one moment.
type Lane struct {
	Name                           string
	Waiting, Running, Later, Dead  int
	Retrying, Processed, FailedDay int
	Oldest                         time.Duration // how long the oldest task waits
}

// Lanes tells how full every queue is.
func (q *Queue) Lanes(context.Context) ([]Lane, error) {
	known, err := q.known()
	if err != nil {
		return nil, err
	}
	var all []Lane
	for _, l := range lanes {
		if !slices.Contains(known, l.queue) {
			all = append(all, Lane{Name: l.queue})
			continue
		}
		info, err := q.search.inspector.GetQueueInfo(l.queue)
		if err != nil {
			return nil, &fault.Error{Class: fault.Busy, Op: "look at the queue " + l.queue, Err: err}
		}
		all = append(all, Lane{
			Name: l.queue, Waiting: info.Pending, Running: info.Active, Later: info.Scheduled, Retrying: info.Retry,
			Dead: info.Archived, Processed: info.Processed, FailedDay: info.Failed, Oldest: info.Latency,
		})
	}
	return all, nil
}

// known lists the queues that ever held a task.
func (q *Queue) known() ([]string, error) {
	names, err := q.search.inspector.Queues()
	if err != nil {
		return nil, &fault.Error{Class: fault.Busy, Op: "list the queues", Err: err}
	}
	return names, nil
}

// mostDead is how many dead jobs of a lane are looked at; asynq keeps 10,000.
const mostDead = 1000

// Dead lists the work that was given up, the newest first.
func (q *Queue) Dead(context.Context) ([]DeadJob, error) {
	known, err := q.known()
	if err != nil {
		return nil, err
	}
	var all []DeadJob
	for _, l := range lanes {
		if !slices.Contains(known, l.queue) {
			continue
		}
		tasks, err := q.search.inspector.ListArchivedTasks(l.queue, asynq.PageSize(mostDead))
		if err != nil {
			return nil, &fault.Error{Class: fault.Busy, Op: "list the dead jobs of " + l.queue, Err: err}
		}
		for _, t := range tasks {
			kind, name, err := access.ParseKey(string(t.Payload))
			if err == nil {
				all = append(all, DeadJob{
					ID: l.queue + "." + t.ID, Lane: l.queue, Kind: kind, Name: name, Err: t.LastErr, Attempts: t.Retried + 1, At: t.LastFailedAt,
				})
			}
		}
	}
	slices.SortFunc(all, func(a, b DeadJob) int {
		if d := b.At.Compare(a.At); d != 0 {
			return d
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all, nil
}

// Revive wakes the work of a dead job again, and takes its task out of the
// archive. It says Missing when there is none of that id.
func (q *Queue) Revive(ctx context.Context, id string) error {
	queue, task, ok := strings.Cut(id, ".")
	missing := fault.New(fault.Missing, "dead job "+id, "there is none of that id")
	if !ok || !slices.ContainsFunc(lanes[:], func(l lane) bool { return l.queue == queue }) {
		return missing
	}
	info, err := q.search.inspector.GetTaskInfo(queue, task)
	switch {
	case errors.Is(err, asynq.ErrQueueNotFound), errors.Is(err, asynq.ErrTaskNotFound):
		return missing
	case err != nil:
		return &fault.Error{Class: fault.Busy, Op: "read dead job " + id, Err: err}
	case info.State != asynq.TaskStateArchived:
		return missing
	}
	kind, name, err := access.ParseKey(string(info.Payload))
	if err != nil {
		return &fault.Error{Class: fault.Bug, Op: "read dead job " + id, Err: err}
	}
	urgency := access.Look
	if at := slices.Index([]string{revokeLane, grantLane, importLane}, queue); at >= 0 {
		urgency = access.Urgency(at)
	}
	if err := q.Wake(ctx, access.Wake{Kind: kind, Name: name, Urgency: urgency, Cause: access.ByPerson, Since: time.Now()}); err != nil {
		return err
	}
	if err := q.search.inspector.DeleteTask(queue, task); err != nil && !errors.Is(err, asynq.ErrTaskNotFound) {
		return &fault.Error{Class: fault.Busy, Op: "forget dead job " + id, Err: err}
	}
	return nil
}
