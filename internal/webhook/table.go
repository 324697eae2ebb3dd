package webhook

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync/atomic"
	"time"

	"kisibridge/internal/access"
)

const (
	tableLife  = 30 * time.Second // then the next request reads the table anew
	spacing    = time.Second      // between two readings, whatever is sent to us
	readTime   = time.Second      // for one reading
	maxWaiting = 32               // requests that wait for a newer table
)

// ours is a subscription of ours, ready to be compared with.
type ours struct {
	id      string
	group   access.Group
	groupID []byte
	covers  string // what it tells of when that is a whole tenant: groups or users
	tenant  []byte
	state   [sha256.Size]byte // the hash of its client state
}

// A snapshot is the table as one reading found it; it never changes.
type snapshot struct {
	number int64 // of the reading
	at     time.Time
	subs   map[string]*ours
	nobody *ours // stands in for unknown subscriptions
}

func (s *snapshot) find(id []byte) *ours {
	if sub, ok := s.subs[string(id)]; ok {
		return sub
	}
	return s.nobody
}

// A table knows the subscriptions of all groups, those that other processes
// have made included.
type table struct {
	load    func(context.Context) (map[access.Group]access.Subscription, error)
	log     *slog.Logger
	newest  atomic.Pointer[snapshot] // nil until a reading went well
	begun   atomic.Int64             // readings that have begun
	waiting chan struct{}            // a place for each request in newer

	// turn is held by whoever reads, across the call: a channel and no mutex.
	// It guards tried and failed.
	turn   chan struct{}
	tried  time.Time
	failed error
	told   minutely
}

func newTable(load func(context.Context) (map[access.Group]access.Subscription, error), log *slog.Logger) *table {
	return &table{load: load, log: log, waiting: make(chan struct{}, maxWaiting), turn: make(chan struct{}, 1)}
}

// mark is for newer: a reading that begins later sees all that is stored now.
func (t *table) mark() int64 { return t.begun.Load() }

// current gives the table, read again when it is old. An old one serves when
// that fails; only when there is none, that is an error.
func (t *table) current(ctx context.Context) (*snapshot, error) {
	s := t.newest.Load()
	if s == nil {
		return t.first(ctx)
	}
	if time.Since(s.at) < tableLife {
		return s, nil
	}
	select {
	case t.turn <- struct{}{}:
	default: // somebody else is at it
		return s, nil
	}
	defer func() { <-t.turn }()
	if time.Since(t.tried) >= spacing {
		if fresh, err := t.read(ctx); err == nil {
			return fresh, nil
		}
	}
	return s, nil
}

// first reads the table when there is none yet.
func (t *table) first(ctx context.Context) (*snapshot, error) {
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-t.turn }()
	if s := t.newest.Load(); s != nil {
		return s, nil
	}
	if t.failed != nil && time.Since(t.tried) < spacing {
		return nil, t.failed
	}
	return t.read(ctx)
}

// newer gives a table that was read after mark was taken, and waits for it
// when the last reading was just now: a notification of a subscription that
// is a moment old must not be lost. All who wait share a reading. When too
// many do, which a flood of forgeries brings about, the table at hand serves.
func (t *table) newer(ctx context.Context, mark int64) (*snapshot, error) {
	select {
	case t.waiting <- struct{}{}:
	default:
		return t.newest.Load(), nil
	}
	defer func() { <-t.waiting }()
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-t.turn }()
	if s := t.newest.Load(); s.number > mark {
		return s, nil
	}
	if err := pause(ctx, spacing-time.Since(t.tried)); err != nil {
		return nil, err
	}
	return t.read(ctx)
}

// read makes a new snapshot. The caller holds the turn.
func (t *table) read(ctx context.Context) (*snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()

	t.tried = time.Now()
	number := t.begun.Add(1)
	all, err := t.load(ctx)
	if t.failed = err; err != nil {
		if t.told.once(t.tried) {
			t.log.WarnContext(ctx, "subscriptions not read", "error", err)
		}
		return nil, err
	}
	s := &snapshot{number: number, at: t.tried, subs: make(map[string]*ours, len(all)), nobody: &ours{}}
	for group, sub := range all {
		if sub.ID == "" || sub.ClientState == "" { // refused, or nothing could prove its origin
			continue
		}
		s.subs[sub.ID] = &ours{
			id: sub.ID, group: group, groupID: []byte(group.ID), covers: coverage(group.ID),
			tenant: []byte(group.Connection), state: sha256.Sum256([]byte(sub.ClientState)),
		}
	}
	t.newest.Store(s)
	return s, nil
}

// coverage is the kind of resource that a tenant-wide subscription tells of;
// a single group's has none.
func coverage(group string) string {
	switch group {
	case access.AllGroups:
		return ofGroups
	case access.AllUsers:
		return ofUsers
	}
	return ""
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// minutely lets one in a minute through.
type minutely struct{ last atomic.Int64 }

func (m *minutely) once(now time.Time) bool {
	last := m.last.Load()
	return now.UnixNano()-last >= int64(time.Minute) && m.last.CompareAndSwap(last, now.UnixNano())
}
