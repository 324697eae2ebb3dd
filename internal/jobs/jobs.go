// Package jobs carries work between processes, urgent first.
//
// The queue is asynq's. What asynq cannot do stands beside it in Redis, behind
// the interface [Wakes]: a wake that comes while its work runs, and the work
// of a process that died a moment ago.
package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
)

// Wakes keeps what is to be done; *store.Store is one.
type Wakes interface {
	// Wake writes work down, in one round trip, and returns what needs a task.
	Wake(ctx context.Context, wakes []access.Wake) (fresh []access.Wake, err error)
	// Claim takes work for a run, unless somebody is at it or it is done.
	Claim(ctx context.Context, key, run string) (w access.Wake, ok bool, err error)
	// Finish ends a run; again is work that was woken meanwhile.
	Finish(ctx context.Context, key, run string, failed bool, rest time.Duration) (again access.Wake, ok bool, err error)
	// Tend gives a sign of life and returns the work that nobody is at.
	Tend(ctx context.Context, process string, queued []access.Wake, running map[string]string) (overdue []access.Wake, err error)
}

// Options are what queue, worker and schedule share.
type Options struct {
	Redis   redis.UniversalClient // asynq's; the caller closes it
	Wakes   Wakes
	Process string        // under this name the process gives signs of life
	Poll    time.Duration // how often an idle queue is looked at; 0: 20 ms
	Log     *slog.Logger  // nil: silent
	Metrics prometheus.Registerer
}

func (o Options) withDefaults() Options {
	if o.Poll == 0 {
		o.Poll = 20 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// A lane is a queue with workers of its own: a call that waits for Kisi's rate
// holds a worker of its lane only, never one that a more urgent job needs.
type lane struct {
	queue   string
	workers int
}

// tidied is how often asynq looks for tasks to be forgotten. Only those of the
// schedule matter, whose ids must be free in time.
func (l lane) tidied(poll time.Duration) time.Duration {
	if l.queue == sweepLane {
		return max(poll, time.Second)
	}
	return time.Minute
}

const (
	pullLane   = "pull"
	revokeLane = "revoke"
	grantLane  = "grant"
	importLane = "import"
	sweepLane  = "sweep"
	lookLane   = "look" // waits for Kisi with nobody waiting for it
)

var lanes = [...]lane{{pullLane, 8}, {revokeLane, 8}, {grantLane, 8}, {importLane, 8}, {sweepLane, 4}, {lookLane, 2}}

// laneOf says where work is queued.
func laneOf(kind access.Kind, u access.Urgency) string {
	switch {
	case kind == access.Drift || kind == access.Hint:
		return lookLane
	case kind != access.Apply && kind != access.Roster && u <= access.Allow:
		return pullLane
	case kind == access.Apply && u < access.Look:
		return [...]string{revokeLane, grantLane, importLane}[max(u, 0)]
	}
	return sweepLane
}

// The types of task.
const (
	workTask  = "work"
	againTask = "again"
	sweepTask = "sweep"
	watchTask = "watch"
)
