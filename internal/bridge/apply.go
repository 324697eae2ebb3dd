package bridge

import (
	"context"
	"fmt"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// An entry is a person in a target, while an apply works on it.
type entry struct {
	kisi    Kisi
	target  access.Target
	urgency access.Urgency
	grant   access.Grant // as stored
	known   bool         // the Kisi user was there before; access may stand too
}

// Apply brings one person in one target into line: what should be now, what
// is, and the one call that makes the difference.
func (e *Engine) Apply(ctx context.Context, w access.Wake) error {
	t, person, err := access.ParseApply(w.Name)
	if err != nil {
		return &fault.Error{Class: fault.Invalid, Op: "apply", Err: err}
	}
	k, err := e.organization(t.Connection)
	if err != nil {
		return err
	}
	in, hold, err := e.input(ctx, t, person)
	if err != nil {
		return err
	}
	g := in.Held[person]
	g.Person = person
	en := &entry{kisi: k, target: t, urgency: w.Urgency, grant: g}
	if err := e.settle(ctx, en); err != nil {
		return fmt.Errorf("apply %s: %w", w.Name, err)
	}
	in.Held[person] = en.grant
	if err := e.carryOut(ctx, en, access.Decide(in), hold, w); err != nil {
		return fmt.Errorf("apply %s: %w", w.Name, err)
	}
	return nil
}

// carryOut does what a plan about one person says.
func (e *Engine) carryOut(ctx context.Context, en *entry, plan access.Plan, hold access.Hold, w access.Wake) error {
	var err error
	action := ""
	switch {
	case len(plan.Make) > 0:
		action, err = "grant", e.grant(ctx, en, plan.Make[0])
	case len(plan.Revoke)+len(plan.Hold.People) > 0:
		if hold.Holds(en.grant.Person) {
			return nil
		}
		action, err = "revoke", e.revoke(ctx, en)
	case len(plan.Amend) > 0:
		en.grant.For = plan.Amend[0].For
		return e.save(ctx, en)
	default:
		return nil
	}
	e.metrics.applied(action, err)
	if err != nil {
		return err
	}
	if !w.Since.IsZero() {
		e.metrics.lateness.WithLabelValues(action).Observe(time.Since(w.Since).Seconds())
	}
	e.log.Debug("applied", "target", en.target.String(), "person", en.grant.Person, "action", action)
	return e.kisiWorks(ctx, en.target)
}

// kisiWorks clears what an earlier failure of Kisi left on integrations.
func (e *Engine) kisiWorks(ctx context.Context, t access.Target) error {
	of, err := e.using(ctx, func(i access.Integration) bool { return i.Target == t && i.State == access.Failing })
	if err != nil || len(of) == 0 {
		return err
	}
	if err := e.recovered(ctx, of, kisiSide); err != nil {
		return err
	}
	return e.pullAll(ctx, groups(of), access.ByPerson)
}

func (e *Engine) save(ctx context.Context, en *entry) error {
	g, err := e.store.SaveGrant(ctx, en.target, en.grant)
	if err == nil {
		en.grant = g
	}
	return err
}

// intend writes down what is about to be done. Nothing outside is changed
// before this is stored.
func (e *Engine) intend(ctx context.Context, en *entry, op string) error {
	en.grant.Intent = &access.Intent{Op: op, Process: e.process, At: time.Now()}
	return e.save(ctx, en)
}

// conclude writes down how a call ended, unless nobody knows: then the intent
// stays, and the next apply looks first.
func (e *Engine) conclude(ctx context.Context, en *entry, callErr error) error {
	if fault.Is(callErr, fault.Unknown) || callErr != nil && ctx.Err() != nil {
		return callErr
	}
	en.grant.Intent = nil
	if err := e.save(ctx, en); err != nil {
		if callErr != nil {
			return callErr
		}
		return err
	}
	return callErr
}

// settle looks what became of an intent that was left open.
func (e *Engine) settle(ctx context.Context, en *entry) error {
	intent := en.grant.Intent
	if intent == nil {
		return nil
	}
	if intent.Process != e.process {
		alive, err := e.store.Alive(ctx, intent.Process)
		if err != nil {
			return err
		}
		if alive {
			return fault.New(fault.Clash, "settle the intent of "+en.grant.Person, "another process is at it")
		}
	}
	e.metrics.settled.WithLabelValues(intent.Op).Inc()
	row, err := e.look(ctx, en)
	if err != nil {
		return err
	}
	g := &en.grant
	g.Intent, g.Since = nil, time.Now()
	switch {
	case row.ID != 0 || en.target.Type == access.TargetUsers && g.User != 0 && intent.Op == access.ToGrant:
		g.Standing, g.Row = access.Holds, row.ID
	default:
		g.Standing, g.Row = access.None, 0
	}
	return e.save(ctx, en)
}

// look finds the person's access in Kisi, and the Kisi user on the way.
func (e *Engine) look(ctx context.Context, en *entry) (access.Row, error) {
	g := &en.grant
	if g.User == 0 {
		user, found, err := en.kisi.FindUser(ctx, en.urgency, g.Email)
		if err != nil || !found {
			return access.Row{}, err
		}
		g.User = user.ID
	}
	if en.target.Type == access.TargetUsers {
		return access.Row{}, nil
	}
	rows, err := en.kisi.Rows(ctx, en.urgency, en.target, g.User)
	if err != nil || len(rows) == 0 {
		return access.Row{}, err
	}
	for _, r := range rows {
		if r.ID == g.Row {
			return r, nil
		}
	}
	return rows[0], nil
}

// revoke deletes a grant of ours. The Kisi user always stays.
func (e *Engine) revoke(ctx context.Context, en *entry) error {
	if err := e.intend(ctx, en, access.ToRevoke); err != nil {
		return err
	}
	err := e.delete(ctx, en)
	if err == nil {
		g := &en.grant
		g.Standing, g.Row, g.For, g.Adopted, g.Why, g.Since = access.None, 0, nil, false, "", time.Now()
	}
	return e.conclude(ctx, en, err)
}

// delete makes the call. A 404 can also mean that something else is gone, so
// that what is said to be gone is looked for.
func (e *Engine) delete(ctx context.Context, en *entry) error {
	if en.target.Type == access.TargetUsers {
		return nil
	}
	err := en.kisi.Revoke(ctx, en.urgency, en.target, en.grant.Row)
	if !fault.Is(err, fault.Missing) {
		return err
	}
	rows, err := en.kisi.Rows(ctx, en.urgency, en.target, en.grant.User)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.ID == en.grant.Row {
			return fault.New(fault.Bug, fmt.Sprintf("delete row %d", r.ID), "Kisi says it is gone, and lists it")
		}
	}
	return nil
}
