package bridge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

const (
	// lookDaily is how often Kisi is looked at where it tells of changes by
	// itself, and how often it is asked who is locked out.
	lookDaily = 24 * time.Hour

	mostStrangers = 1000 // that are listed by name
)

// Drift compares what a target holds in Kisi with the ledger, in both
// directions. What vanished is put back; what was given by hand is reported
// and left alone.
func (e *Engine) Drift(ctx context.Context, w access.Wake) error {
	t, err := access.ParseTarget(w.Name)
	if err != nil {
		return &fault.Error{Class: fault.Invalid, Op: "drift", Err: err}
	}
	last, err := e.store.Drift(ctx, t)
	if err != nil {
		return err
	}
	rules, err := e.store.Rules(ctx)
	if err != nil || len(live(rules.OfTarget(t))) == 0 {
		return err
	}
	if due, err := e.lookIsDue(ctx, t, last, w); err != nil || !due {
		return err
	}
	if err := e.compareKisi(ctx, rules, t, last, w); err != nil {
		return fmt.Errorf("drift of %s: %w", t, err)
	}
	return nil
}

// lookIsDue spares Kisi where its event webhook tells of changes by hand.
func (e *Engine) lookIsDue(ctx context.Context, t access.Target, last store.Drift, w access.Wake) (bool, error) {
	if w.Cause.Has(access.ByPerson|access.ByKisi) || time.Since(last.At) >= lookDaily {
		return true, nil
	}
	hook, err := e.store.Hook(ctx, t.Connection)
	return hook.ID == 0, err
}

func (e *Engine) compareKisi(ctx context.Context, rules *store.Rules, t access.Target, last store.Drift, w access.Wake) error {
	k, err := e.organization(ctx, t.Connection)
	if err != nil {
		return err
	}
	rows, err := listRows(ctx, k, t, access.Look)
	now := store.Drift{At: time.Now(), Locked: last.Locked, LockedAt: last.LockedAt}
	if fault.Is(err, fault.Invalid) {
		now.Cut = err.Error()
		e.log.Warn("Kisi does not list a target whole, so that it is not compared", "target", t.String(), "err", err)
		return e.saveDrift(ctx, rules, t, last, now)
	}
	if err != nil {
		return err
	}
	held, err := e.store.Grants(ctx, t)
	if err != nil {
		return err
	}
	e.compareRows(&now, rows, held)
	if err := e.locked(ctx, k, &now, held, w); err != nil {
		return err
	}
	if err := e.saveDrift(ctx, rules, t, last, now); err != nil {
		return err
	}
	return e.putBack(ctx, t, now.Vanished, w)
}

// compareRows finds what stands on one side only. Whom an apply is at work on
// is in neither list.
func (e *Engine) compareRows(now *store.Drift, rows map[int]access.Row, held map[string]access.Grant) {
	ours := map[int]bool{}
	for _, id := range slices.Sorted(maps.Keys(held)) {
		g := held[id]
		if g.User != 0 && (g.Standing == access.Holds || g.Standing == access.Preserved || g.Intent != nil) {
			ours[g.User] = true
		}
		if g.Old != nil {
			ours[g.Old.User] = true
		}
		young := now.At.Sub(g.Since) < time.Minute
		if _, stands := rows[g.User]; !stands && g.Intent == nil && !young && (g.Standing == access.Holds || g.Standing == access.Preserved) {
			now.Vanished = append(now.Vanished, id)
		}
	}
	for _, user := range slices.Sorted(maps.Keys(rows)) {
		switch {
		case ours[user]:
		case len(now.Strangers) == mostStrangers:
			now.More++
		default:
			now.Strangers = append(now.Strangers, store.Stranger{User: user, Row: rows[user].ID, Email: rows[user].Email})
		}
	}
}

// locked asks, once a day or when somebody wants to see it, to whom of those
// who hold a grant Kisi opens no door all the same.
func (e *Engine) locked(ctx context.Context, k Kisi, now *store.Drift, held map[string]access.Grant, w access.Wake) error {
	if !w.Cause.Has(access.ByPerson) && now.At.Sub(now.LockedAt) < lookDaily {
		return nil
	}
	var users []int
	people := map[int][]string{}
	for id, g := range held {
		if g.Standing == access.Holds && g.User != 0 {
			users = append(users, g.User)
			people[g.User] = append(people[g.User], id)
		}
	}
	if len(users) == 0 {
		return nil
	}
	all, err := k.UsersByID(ctx, access.Look, users)
	if err != nil {
		return err
	}
	now.Locked, now.LockedAt = nil, now.At
	for _, u := range all {
		if u.Locked {
			now.Locked = append(now.Locked, people[u.ID]...)
		}
	}
	slices.Sort(now.Locked)
	return nil
}

// saveDrift writes what was found, and tells of strangers who are new.
func (e *Engine) saveDrift(ctx context.Context, rules *store.Rules, t access.Target, last, now store.Drift) error {
	e.metrics.strangers.Set(float64(len(now.Strangers) + now.More))
	known := map[int]bool{}
	for _, s := range last.Strangers {
		known[s.User] = true
	}
	var ids []string
	for _, i := range rules.OfTarget(t) {
		ids = append(ids, i.ID)
	}
	for _, s := range now.Strangers {
		if known[s.User] {
			continue
		}
		err := e.tell(ctx, store.Event{What: "stranger", Integrations: ids, Target: t.String(), Email: s.Email, User: s.User, Row: s.Row, Why: "access that was given in Kisi by hand; it is not touched"})
		if err != nil {
			return err
		}
	}
	return e.store.SaveDrift(ctx, t, now)
}

// putBack has each person looked at who lost a grant of ours by hand.
func (e *Engine) putBack(ctx context.Context, t access.Target, people []string, w access.Wake) error {
	var wakes []access.Wake
	for _, id := range people {
		wakes = append(wakes, access.ApplyOf(t, id, access.Allow, w.Cause|access.ByKisi, w.Since))
	}
	return e.wake(ctx, wakes)
}
