package bridge

import (
	"context"
	"errors"
	"maps"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/store"
)

// View shows one integration.
func (e *Engine) View(ctx context.Context, id string) (Status, error) {
	i, err := e.store.Integration(ctx, id)
	if err != nil {
		return Status{}, err
	}
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return Status{}, err
	}
	s, err := e.status(ctx, rules, i)
	if err != nil {
		return s, err
	}
	subs, err := e.store.Subscriptions(ctx)
	if err != nil {
		return s, err
	}
	s.Subscription = subs[i.Group]
	if w := subs[wide(i.Group.Connection)]; w.Healthy(time.Now()) {
		s.Subscription = w
	}
	return s, nil
}

// People tells where those people of an integration stand whom pick takes of
// the ids of all, which it is given sorted. It reads no more than about them.
func (e *Engine) People(ctx context.Context, id string, pick func(all []string) []string) ([]Account, error) {
	c, err := e.store.Crowd(ctx, id, pick)
	if err != nil {
		return nil, err
	}
	in := access.Input{People: c.People, Held: c.Grants, Verdicts: c.Verdicts, Now: time.Now()}
	for _, i := range c.Rules.OfTarget(c.Integration.Target) {
		in.Callers = append(in.Callers, callerOf(c, i))
	}
	locked := setOf(c.Drift.Locked)
	var all []Account
	for _, at := range access.Explain(in, id) {
		a := Account{Position: at, Since: at.Grant.Since, Trigger: at.Grant.Cause.String(), Locked: locked[at.Person.ID]}
		if trouble, ok := c.Troubles[at.Person.ID]; ok {
			a.Trouble = &trouble
		}
		all = append(all, a)
	}
	return all, nil
}

// callerOf tells whom of a crowd an integration calls for.
func callerOf(c store.Crowd, i access.Integration) access.Caller {
	caller := access.Caller{Integration: i, Members: map[string]bool{}, Orphans: map[string]bool{}}
	for _, g := range c.Rules.Reads(i) {
		m := c.Groups[g]
		caller.Unread = caller.Unread || m.Rev == 0
		switch {
		case g == i.Group:
			_, walked := c.Rules.Nested(g)
			caller.Unread = caller.Unread || i.Membership == access.Transitive && !walked
			caller.Deleted = deletedHow(m.Deleted)
			maps.Copy(caller.Members, c.Members[g])
		case m.Deleted != "" || c.Rules.Lost(i.Group, g):
			maps.Copy(caller.Orphans, c.Members[g])
		default:
			maps.Copy(caller.Members, c.Members[g])
		}
	}
	return caller
}

// UpdateIf is Update, unless seen refuses the integration as it is now.
func (e *Engine) UpdateIf(ctx context.Context, id string, seen func(access.Integration) error, change func(*access.Integration)) (access.Integration, error) {
	var refused error
	i, err := e.Update(ctx, id, func(i *access.Integration) {
		if refused = seen(*i); refused != nil {
			i.Group = access.Group{} // which Update refuses, and so saves nothing
			return
		}
		change(i)
	})
	if refused != nil {
		return i, refused
	}
	return i, err
}

// DeleteIf is Delete, unless seen refuses the integration as it is now.
func (e *Engine) DeleteIf(ctx context.Context, id string, seen func(access.Integration) error) error {
	var refused error
	_, err := e.store.ChangeIntegration(ctx, id, func(i *access.Integration) bool {
		if refused = seen(*i); refused != nil || i.State == access.Deleting {
			return false
		}
		i.State, i.Why, i.Since = access.Deleting, "", time.Now()
		return true
	})
	if err = errors.Join(refused, err); err != nil {
		return err
	}
	return e.Delete(ctx, id)
}
