package bridge

import (
	"context"
	"errors"
	"maps"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
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
		switch {
		case g == i.Group:
			_, walked := c.Rules.Nested(g)
			caller.Unread = m.Rev == 0 || i.Membership == access.Transitive && !walked
			caller.Deleted = deletedHow(m.Deleted)
			maps.Copy(caller.Members, c.Members[g])
		case m.Deleted != "":
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

// AnswerHold approves or dismisses the removals that wait on the target of an
// integration, unless seen refuses them as they are now.
func (e *Engine) AnswerHold(ctx context.Context, id string, approve bool, seen func(access.Hold) error) error {
	i, err := e.store.Integration(ctx, id)
	if err != nil {
		return err
	}
	v, err := e.store.Verdicts(ctx, i.Target)
	if err != nil {
		return err
	}
	hold := v.Hold()
	if err := seen(hold); err != nil {
		return err
	}
	if len(hold.People) == 0 {
		return fault.New(fault.Invalid, "integration "+id, "no removal waits")
	}
	now, by, say := time.Now(), Actor(ctx), map[string]access.Verdict{}
	what, state := "removals dismissed", access.Kept
	if approve {
		what, state = "removals approved", access.Released
	}
	for _, person := range hold.People {
		say[person] = access.Verdict{State: state, At: now, By: by}
	}
	if err := e.tell(ctx, store.Event{What: what, Integrations: []string{id}, Target: i.Target.String(), Count: len(hold.People), By: by, Why: hold.Why}); err != nil {
		return err
	}
	if _, err := e.store.SaveVerdicts(ctx, i.Target, v, say, ""); err != nil {
		return err
	}
	wakes := []access.Wake{access.PullOf(i.Group, access.Allow, access.ByPerson, now)}
	if approve {
		for _, person := range hold.People {
			wakes = append(wakes, access.ApplyOf(i.Target, person, access.Revoke, access.ByPerson, now))
		}
	}
	return e.wake(ctx, wakes)
}
