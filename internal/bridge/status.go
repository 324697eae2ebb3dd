package bridge

import (
	"context"
	"fmt"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// A Status is an integration at a glance.
type Status struct {
	Integration  access.Integration
	Group        store.Membership
	Members      int // people in the group, or in it and the groups within
	Holders      int // people who hold a grant on the target
	Left         int // grants that a deletion still has to give back
	Hold         access.Hold
	Subscription access.Subscription
	Drift        store.Drift
	Runs         []store.Run // the newest few
}

// Status shows all integrations.
func (e *Engine) Status(ctx context.Context) ([]Status, error) {
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return nil, err
	}
	subs, err := e.store.Subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Status, 0, len(rules.All))
	for _, i := range rules.All {
		s, err := e.status(ctx, rules, subs, i)
		if err != nil {
			return nil, fmt.Errorf("integration %s: %w", i.ID, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func (e *Engine) status(ctx context.Context, rules *store.Rules, subs map[access.Group]access.Subscription, i access.Integration) (s Status, err error) {
	s.Integration, s.Subscription = i, subs[i.Group]
	if w := subs[wide(i.Group.Connection)]; w.Healthy(time.Now()) {
		s.Subscription = w
	}
	if s.Group, err = e.store.Membership(ctx, i.Group); err != nil {
		return s, err
	}
	c, err := e.caller(ctx, rules, i, map[access.Group]*roll{}, nil)
	if err != nil {
		return s, err
	}
	s.Members = len(c.Members)
	if s.Holders, err = e.store.Holders(ctx, i.Target); err != nil {
		return s, err
	}
	if i.State == access.Deleting {
		left, err := e.leftOf(ctx, i)
		if err != nil {
			return s, err
		}
		s.Left = len(left)
	}
	v, err := e.store.Verdicts(ctx, i.Target)
	if err != nil {
		return s, err
	}
	s.Hold = v.Hold()
	if s.Drift, err = e.store.Drift(ctx, i.Target); err != nil {
		return s, err
	}
	s.Runs, err = e.store.Runs(ctx, i.ID, 5)
	return s, err
}

// An Account is where a person stands in an integration, with all that is
// known of why.
type Account struct {
	access.Position
	Since   time.Time
	Trigger string // what brought it about
	Trouble *store.Trouble
	Locked  bool // Kisi opens no door to them, whatever they hold
}

// Explain tells where people stand in an integration: those named, or all.
func (e *Engine) Explain(ctx context.Context, id string, people ...string) ([]Account, error) {
	i, err := e.store.Integration(ctx, id)
	if err != nil {
		return nil, err
	}
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return nil, err
	}
	in, err := e.input(ctx, rules, i.Target, people...)
	if err != nil {
		return nil, err
	}
	if err := e.details(ctx, in, i.Group.Connection, setOf(people)); err != nil {
		return nil, err
	}
	v, err := e.store.Verdicts(ctx, i.Target)
	if err != nil {
		return nil, err
	}
	in.Verdicts = v.Of
	troubles, err := e.store.Troubles(ctx, i.Target, people...)
	if err != nil {
		return nil, err
	}
	drift, err := e.store.Drift(ctx, i.Target)
	if err != nil {
		return nil, err
	}
	all := accounts(in, id, troubles, drift)
	if len(people) == 1 && len(all) == 0 {
		return nil, fault.New(fault.Missing, "person "+people[0], "is not known in integration %s", id)
	}
	return all, nil
}

// accounts adds to everybody's position what is known beside it.
func accounts(in access.Input, id string, troubles map[string]store.Trouble, drift store.Drift) []Account {
	locked := setOf(drift.Locked)
	var all []Account
	for _, at := range access.Explain(in, id) {
		a := Account{Position: at, Since: at.Grant.Since, Trigger: at.Grant.Cause.String(), Locked: locked[at.Person.ID]}
		if trouble, ok := troubles[at.Person.ID]; ok {
			a.Trouble = &trouble
		}
		all = append(all, a)
	}
	return all
}

func setOf(ids []string) map[string]bool {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}
