package app

import (
	"context"

	"kisibridge/internal/jobs"
	"kisibridge/internal/rest"
	"kisibridge/internal/store"
)

// queues shows where work waits in the words of the API.
type queues struct {
	*jobs.Queue
	clouds *clouds
}

// Dead lists the work that was given up.
func (q queues) Dead(ctx context.Context) ([]rest.DeadJob, error) {
	all, err := q.Queue.Dead(ctx)
	dead := make([]rest.DeadJob, len(all))
	for k, j := range all {
		dead[k] = rest.DeadJob{ID: j.ID, Queue: j.Lane, Kind: string(j.Kind), Name: j.Name, Error: j.Err, Attempts: j.Attempts}
		if !j.At.IsZero() {
			dead[k].FailedAt = &all[k].At
		}
	}
	return dead, err
}

// Status tells how much there is to do, and what of Kisi's rate is in use.
func (q queues) Status(ctx context.Context) (rest.Work, error) {
	var w rest.Work
	lanes, err := q.Lanes(ctx)
	if err != nil {
		return w, err
	}
	for _, l := range lanes {
		w.Queues = append(w.Queues, rest.QueueStatus{Name: l.Name, Waiting: l.Waiting, Running: l.Running, Later: l.Later, Retry: l.Retrying, Dead: l.Dead})
		if seconds := l.Oldest.Seconds(); l.Waiting > 0 && (w.Oldest == nil || seconds > w.Oldest.WaitingSeconds) {
			w.Oldest = &rest.OldestJob{Queue: l.Name, WaitingSeconds: seconds}
		}
	}
	all, err := q.clouds.Connections(ctx)
	if err != nil {
		return w, err
	}
	rate := q.clouds.config.KisiRate
	for _, c := range all {
		if c.Kind != store.KisiConnection {
			continue
		}
		used, slowed, err := q.clouds.store.Limiter(c.ID, rate).Budget(ctx)
		if err != nil {
			return w, err
		}
		w.Kisi = append(w.Kisi, rest.KisiBudget{ConnectionID: c.ID, Rate: float64(rate), Used: used, Slowed: slowed})
	}
	return w, nil
}
