package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// A disabled or deleted account keeps its memberships, and group delta is
// silent about it. So the people of the tenant have a stream of their own, of
// which only those matter whom some group holds.

// Profiles reads who changed in a tenant since it was last asked. Where the
// link is lost, or was never had, everybody who is known is read anew.
func (e *Engine) Profiles(ctx context.Context, w access.Wake) error {
	tenant := w.Name
	dir, err := e.directory(ctx, tenant)
	if err != nil {
		return err
	}
	link, err := e.store.ProfileLink(ctx, tenant)
	if err != nil {
		return err
	}
	changes, err := dir.PeopleChanges(ctx, link)
	full := link == "" || w.Cause.Has(access.ByReread)
	if errors.Is(err, access.ErrResync) {
		e.log.Info("delta link of the people expired, everybody known is read again", "tenant", tenant)
		changes, err = dir.PeopleChanges(ctx, "")
		full = true
	}
	if err != nil {
		return fmt.Errorf("profiles of %s: %w", tenant, err)
	}
	// The link comes first: what changes from now on is told with the next.
	if full {
		err = e.store.EachKnown(ctx, tenant, func(ids []string) error { return e.reprofile(ctx, tenant, ids, true, w) })
	} else {
		err = e.reprofileKnown(ctx, tenant, changes.IDs, w)
	}
	if err != nil {
		return fmt.Errorf("profiles of %s: %w", tenant, err)
	}
	return e.store.SaveProfileLink(ctx, tenant, changes.Link)
}

// Profile reads one person anew.
func (e *Engine) Profile(ctx context.Context, w access.Wake) error {
	tenant, person, err := access.ParseProfile(w.Name)
	if err != nil {
		return &fault.Error{Class: fault.Invalid, Op: "profile", Err: err}
	}
	if err := e.reprofileKnown(ctx, tenant, []string{person}, w); err != nil {
		return fmt.Errorf("profile %s: %w", w.Name, err)
	}
	return nil
}

// reprofileKnown leaves out people whom no group holds, without asking Graph.
func (e *Engine) reprofileKnown(ctx context.Context, tenant string, ids []string, w access.Wake) error {
	for chunk := range slices.Chunk(ids, 1000) {
		known, err := e.store.People(ctx, tenant, chunk)
		if err != nil {
			return err
		}
		some := slices.DeleteFunc(slices.Clone(chunk), func(id string) bool { _, ok := known[id]; return !ok })
		unknown := slices.DeleteFunc(slices.Clone(chunk), func(id string) bool { _, ok := known[id]; return ok })
		if len(unknown) > 0 {
			if err := e.store.Touch(ctx, tenant, unknown, time.Now()); err != nil {
				return err
			}
		}
		if err := e.reprofile(ctx, tenant, some, false, w); err != nil {
			return err
		}
	}
	return nil
}

// reprofile reads people, and decides about those of them who are in a group.
// Of everybody it decides only about those who are others than they were; of
// whom Graph told, it does so in any case, for the process may have died after
// it had written down what they are. Whoever is marked stays so until that is
// done.
func (e *Engine) reprofile(ctx context.Context, tenant string, ids []string, everybody bool, w access.Wake) error {
	if len(ids) == 0 {
		return nil
	}
	dir, err := e.directory(ctx, tenant)
	if err != nil {
		return err
	}
	began := time.Now()
	people, err := dir.People(ctx, ids)
	if err != nil {
		return err
	}
	was, err := e.store.People(ctx, tenant, ids)
	if err != nil {
		return err
	}
	var others []access.Person
	var changed []string
	for _, p := range people {
		if !everybody || p != was[p.ID] {
			others = append(others, p)
			changed = append(changed, p.ID)
		}
	}
	rules, err := e.store.Rules(ctx)
	if err != nil || len(changed) == 0 {
		return err
	}
	groups := slices.DeleteFunc(rules.Groups(), func(g access.Group) bool { return g.Connection != tenant })
	// Marked, saved, marked: a pull in between may have settled the first mark
	// with the old details, and a death in between leaves a mark.
	if _, err := e.store.MarkChanged(ctx, groups, changed); err != nil {
		return err
	}
	if _, err := e.savePeople(ctx, dir, tenant, others, began); err != nil {
		return err
	}
	in, err := e.store.MarkChanged(ctx, groups, changed)
	if err != nil {
		return err
	}
	for _, g := range in {
		if err := e.spread(ctx, g, w, nil); err != nil {
			return err
		}
	}
	return e.lingering(ctx, rules, tenant, others, w)
}

// lingering decides about people who were let go, and who hold access although
// no group of a target holds them: because a removal was dismissed, or comes
// later, or never.
func (e *Engine) lingering(ctx context.Context, rules *store.Rules, tenant string, people []access.Person, w access.Wake) error {
	var off []string
	for _, p := range people {
		if p.Gone || p.Disabled {
			off = append(off, p.ID)
		}
	}
	if len(off) == 0 {
		return nil
	}
	for _, t := range rules.Targets() {
		if !slices.ContainsFunc(rules.OfTarget(t), func(i access.Integration) bool { return i.Group.Connection == tenant }) {
			continue
		}
		held, err := e.store.Grants(ctx, t, off...)
		if err != nil {
			return err
		}
		var holders []string
		for id, g := range held {
			if g.Opens() {
				holders = append(holders, id)
			}
		}
		slices.Sort(holders)
		if err := e.decide(ctx, pass{target: t, changed: holders, wake: w}); err != nil {
			return err
		}
	}
	return nil
}
