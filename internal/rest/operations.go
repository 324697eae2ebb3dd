package rest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"kisibridge/api"
	"kisibridge/internal/access"
	"kisibridge/internal/auth"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// Whoever implements [Queues] speaks in the words of the document.
type (
	// DeadJob is work that was given up.
	DeadJob = api.DeadJob
	// QueueStatus is a queue at one moment.
	QueueStatus = api.QueueStatus
	// OldestJob is what has waited longest.
	OldestJob = api.OldestJob
	// KisiBudget is how much of what Kisi allows is in use.
	KisiBudget = api.KisiBudget
)

// Work is how much there is to do.
type Work struct {
	Queues []QueueStatus
	Oldest *OldestJob // nil: nothing waits
	Kisi   []KisiBudget
}

// Queues is where work waits.
type Queues interface {
	// Dead lists the work that was given up.
	Dead(ctx context.Context) ([]DeadJob, error)
	// Revive tries one again; Missing where there is none of that id.
	Revive(ctx context.Context, id string) error
	Status(ctx context.Context) (Work, error)
}

// ListDeadJobs lists work that was given up, the newest first.
func (s *Server) ListDeadJobs(ctx context.Context, r api.ListDeadJobsRequestObject) (api.ListDeadJobsResponseObject, error) {
	all, err := s.Queues.Dead(ctx)
	if err != nil {
		return nil, err
	}
	items, next, err := page(listOf(r.Params.Limit, r.Params.Cursor, "dead"), all, func(d DeadJob) string {
		var failed time.Time
		take(&failed, d.FailedAt)
		return fmt.Sprintf("%020d", math.MaxInt64-failed.UnixMilli()) + d.ID
	})
	if err != nil {
		return nil, err
	}
	return api.ListDeadJobs200JSONResponse{Items: each(items, inUTC), NextCursor: next}, nil
}

func inUTC(d DeadJob) DeadJob {
	if d.FailedAt != nil {
		d.FailedAt = at(*d.FailedAt)
	}
	return d
}

// RetryDeadJob tries one again.
func (s *Server) RetryDeadJob(ctx context.Context, r api.RetryDeadJobRequestObject) (api.RetryDeadJobResponseObject, error) {
	if err := s.Queues.Revive(ctx, r.ID); err != nil {
		return nil, err
	}
	return api.RetryDeadJob200JSONResponse{Retried: 1}, nil
}

// RetryDeadJobs tries all again; one that somebody else revives meanwhile is
// no mistake.
func (s *Server) RetryDeadJobs(ctx context.Context, _ api.RetryDeadJobsRequestObject) (api.RetryDeadJobsResponseObject, error) {
	all, err := s.Queues.Dead(ctx)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, d := range all {
		err := s.Queues.Revive(ctx, d.ID)
		switch {
		case err == nil:
			n++
		case !fault.Is(err, fault.Missing):
			return nil, err
		}
	}
	return api.RetryDeadJobs200JSONResponse{Retried: n}, nil
}

// measured is how many of the newest events the lag is taken from.
const measured = 1000

// GetStatus shows how the bridge does.
func (s *Server) GetStatus(ctx context.Context, _ api.GetStatusRequestObject) (api.GetStatusResponseObject, error) {
	work, err := s.Queues.Status(ctx)
	if err != nil {
		return nil, err
	}
	events, err := s.Store.NewestEvents(ctx, measured)
	if err != nil {
		return nil, err
	}
	return api.GetStatus200JSONResponse{
		Version: s.Version, Public: s.Public, SweepSeconds: int(s.Sweep / time.Second), Lag: lag(events),
		OldestJob: work.Oldest, Queues: append([]QueueStatus{}, work.Queues...), Kisi: append([]KisiBudget{}, work.Kisi...),
	}, nil
}

// lag takes the time of changes from the first word of them to Kisi's answer.
func lag(events []store.Event) api.Lag {
	var all []float64
	for _, e := range events {
		if e.Lag > 0 {
			all = append(all, e.Lag.Seconds())
		}
	}
	slices.Sort(all)
	part := func(p float64) float64 {
		if len(all) == 0 {
			return 0
		}
		return all[int(math.Ceil(p*float64(len(all))))-1]
	}
	return api.Lag{Changes: len(all), P50Seconds: part(.5), P95Seconds: part(.95), P99Seconds: part(.99)}
}

// ListSubscriptions lists the subscriptions to Graph.
func (s *Server) ListSubscriptions(ctx context.Context, r api.ListSubscriptionsRequestObject) (api.ListSubscriptionsResponseObject, error) {
	found, err := s.Store.Subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]access.Subscription, 0, len(found))
	for _, sub := range found {
		all = append(all, sub)
	}
	items, next, err := page(listOf(r.Params.Limit, r.Params.Cursor, "subscriptions"), all, func(sub access.Subscription) string { return sub.Group.String() })
	if err != nil {
		return nil, err
	}
	return api.ListSubscriptions200JSONResponse{
		Items: each(items, func(sub access.Subscription) api.Subscription { return *subscription(sub) }), NextCursor: next,
	}, nil
}

// ListKeys lists API keys, the oldest first.
func (s *Server) ListKeys(ctx context.Context, r api.ListKeysRequestObject) (api.ListKeysResponseObject, error) {
	all, err := s.Gate.Keys(ctx)
	if err != nil {
		return nil, err
	}
	items, next, err := page(listOf(r.Params.Limit, r.Params.Cursor, "keys"), all, func(k auth.Key) string {
		return fmt.Sprintf("%020d", k.Created.UnixMilli()) + k.ID
	})
	if err != nil {
		return nil, err
	}
	return api.ListKeys200JSONResponse{Items: each(items, key), NextCursor: next}, nil
}

func key(k auth.Key) api.Key {
	return api.Key{
		ID: k.ID, Name: k.Name, Prefix: k.Prefix, Role: api.Role(k.Role.String()), CreatedAt: k.Created.UTC(),
		CreatedBy: k.CreatedBy, ExpiresAt: at(k.Expires), LastUsedAt: at(k.LastUsed),
	}
}

// CreateKey makes an API key.
func (s *Server) CreateKey(ctx context.Context, r api.CreateKeyRequestObject) (api.CreateKeyResponseObject, error) {
	role, err := auth.ParseRole(string(r.Body.Role))
	if err != nil {
		return nil, wrong("role", err.Error(), "use viewer, operator or admin")
	}
	k, secret, err := s.Gate.CreateKey(ctx, r.Body.Name, role, r.Body.ExpiresAt)
	if err != nil {
		return nil, err
	}
	return api.CreateKey201JSONResponse{
		Body: api.KeyCreated{Key: key(k), Secret: secret}, Headers: api.CreateKey201ResponseHeaders{Location: "/v1/keys/" + k.ID},
	}, nil
}

// DeleteKey ends an API key at once.
func (s *Server) DeleteKey(ctx context.Context, r api.DeleteKeyRequestObject) (api.DeleteKeyResponseObject, error) {
	if err := s.Gate.DeleteKey(ctx, r.ID); err != nil {
		return nil, err
	}
	return api.DeleteKey204Response{}, nil
}
