package bridge

import (
	"context"
	"fmt"
	"slices"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// An entry is a person in a target, while an apply works on it.
type entry struct {
	kisi    Kisi
	target  access.Target
	urgency access.Urgency
	wake    access.Wake
	grant   access.Grant // as stored
	known   bool         // the Kisi user was there before; access may stand too
	quiet   bool         // the grant is put back, so that nobody is told of it again
}

// Apply brings one person in one target into line: what should be now, what
// is, and the calls that make the difference.
func (e *Engine) Apply(ctx context.Context, w access.Wake) error {
	t, person, err := access.ParseApply(w.Name)
	if err != nil {
		return &fault.Error{Class: fault.Invalid, Op: "apply", Err: err}
	}
	if err := e.apply(ctx, t, person, w); err != nil {
		return fmt.Errorf("apply %s: %w", w.Name, err)
	}
	return e.store.SaveTrouble(ctx, t, person, nil)
}

func (e *Engine) apply(ctx context.Context, t access.Target, person string, w access.Wake) error {
	k, err := e.organization(ctx, t.Connection)
	if err != nil {
		return err
	}
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return err
	}
	in, err := e.input(ctx, rules, t, person)
	if err != nil {
		return err
	}
	g := in.Held[person]
	g.Person = person
	en := &entry{kisi: k, target: t, urgency: w.Urgency, wake: w, grant: g}
	if err := e.work(ctx, en, in); err != nil || en.grant.Rev == g.Rev {
		return err
	}
	return e.again(ctx, t, w, person)
}

// work settles what was left open, and then does what a plan says.
func (e *Engine) work(ctx context.Context, en *entry, in access.Input) error {
	if err := e.settle(ctx, en); err != nil {
		return err
	}
	if en.wake.Cause.Has(access.ByKisi) {
		if err := e.verify(ctx, en, in); err != nil {
			return err
		}
	}
	plan, err := e.judged(ctx, en, in)
	if err != nil {
		return err
	}
	return e.carryOut(ctx, en, plan)
}

// again decides once more about people whose entries were written. Who changed
// meanwhile was decided about by what the ledger said before, and nothing was
// found to do; a pull writes the membership and then reads the ledger, and this
// is the other way round, so that one of the two sees what the other wrote.
func (e *Engine) again(ctx context.Context, t access.Target, w access.Wake, people ...string) error {
	if len(people) == 0 {
		return nil
	}
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return err
	}
	in, err := e.input(ctx, rules, t, people...)
	if err != nil {
		return err
	}
	plan := access.Decide(in)
	var wakes []access.Wake
	for _, id := range slices.Concat(plan.Revoke, plan.Judge) {
		wakes = append(wakes, access.ApplyOf(t, id, access.Revoke, w.Cause|access.ByPull, w.Since))
	}
	for _, want := range plan.Make {
		wakes = append(wakes, access.ApplyOf(t, want.Person.ID, access.Allow, w.Cause|access.ByPull, w.Since))
	}
	return e.wake(ctx, wakes)
}

// judged plans for one person. A removal of which no pass has said anything is
// judged now, as any other: an apply that comes early is no way around it.
func (e *Engine) judged(ctx context.Context, en *entry, in access.Input) (access.Plan, error) {
	person := en.grant.Person
	in.Held[person] = en.grant
	var plan access.Plan
	for range 2 {
		v, err := e.store.Verdict(ctx, en.target, person)
		if err != nil {
			return plan, err
		}
		in.Verdicts = map[string]access.Verdict{person: v}
		if v.State == "" {
			in.Verdicts = nil
		}
		if plan = access.Decide(in); len(plan.Judge) == 0 {
			return plan, nil
		}
		if err := e.decide(ctx, pass{target: en.target, changed: []string{person}, wake: en.wake}); err != nil {
			return plan, err
		}
	}
	return plan, nil
}

// carryOut does what a plan about one person says.
func (e *Engine) carryOut(ctx context.Context, en *entry, plan access.Plan) error {
	var err error
	action := ""
	switch {
	case len(plan.Make) > 0:
		action, err = "grant", e.grant(ctx, en, plan.Make[0])
	case len(plan.Revoke) > 0:
		action, err = "revoke", e.revoke(ctx, en)
	case len(plan.Amend) > 0:
		return e.amend(ctx, en, plan.Amend[0])
	default:
		return nil
	}
	e.metrics.applied(action, err)
	if err != nil {
		return err
	}
	if since := en.wake.Since; !since.IsZero() {
		e.metrics.lateness.WithLabelValues(action).Observe(time.Since(since).Seconds())
	}
	e.log.Debug("applied", "target", en.target.String(), "person", en.grant.Person, "action", action)
	return e.kisiWorks(ctx, en.target)
}

// amend writes down who calls now, and tells Kisi a new name of somebody whom
// it knows from us alone.
func (e *Engine) amend(ctx context.Context, en *entry, want access.Want) error {
	g := &en.grant
	g.For = want.For
	if name := want.Person.Name; g.Name != "" && name != "" && g.Name != name && want.Email != "" {
		if err := en.kisi.Rename(ctx, en.urgency, g.User, name); err != nil && !fault.Is(err, fault.Missing) {
			return err
		}
		e.wrote(ctx, usersOf(en.target.Connection), g.User)
		g.Name = name
		if err := e.tellOf(ctx, en, "renamed"); err != nil {
			return err
		}
	}
	return e.save(ctx, en)
}

// kisiWorks clears what an earlier failure of Kisi left on integrations.
func (e *Engine) kisiWorks(ctx context.Context, t access.Target) error {
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return err
	}
	var failing []access.Integration
	for _, i := range rules.OfTarget(t) {
		if i.State == access.Failing {
			failing = append(failing, i)
		}
	}
	if len(failing) == 0 {
		return nil
	}
	if err := e.recovered(ctx, failing, kisiSide); err != nil {
		return err
	}
	return e.pullAll(ctx, groupsOf(failing), access.ByPerson)
}

func groupsOf(of []access.Integration) []access.Group {
	var list []access.Group
	seen := map[access.Group]bool{}
	for _, i := range of {
		if !seen[i.Group] {
			seen[i.Group] = true
			list = append(list, i.Group)
		}
	}
	return list
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

// conclude writes down how a call ended, first in the trail and then in the
// ledger, unless nobody knows: then the intent stays, and the next apply looks
// first.
func (e *Engine) conclude(ctx context.Context, en *entry, what string, callErr error) error {
	if fault.Is(callErr, fault.Unknown) || callErr != nil && ctx.Err() != nil {
		return callErr
	}
	if callErr == nil {
		en.grant.Cause = en.wake.Cause &^ access.ByPull
		if err := e.tellOf(ctx, en, what); err != nil {
			return err
		}
	}
	en.grant.Intent = nil
	if err := e.save(ctx, en); err != nil && callErr == nil {
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
	g := &en.grant
	if intent.Op == access.ToClear || intent.Op == access.ToTake {
		g.Intent = nil // done again, which does no harm
		return e.save(ctx, en)
	}
	row, err := e.look(ctx, en)
	if err != nil {
		return err
	}
	g.Intent, g.Since = nil, time.Now()
	switch {
	case row.ID != 0 || en.target.Type == access.TargetUsers && g.User != 0 && intent.Op == access.ToGrant:
		g.Standing, g.Row = access.Holds, row.ID
	default:
		g.Standing, g.Row = access.None, 0
	}
	if g.Standing == access.Holds {
		if err := e.tellOf(ctx, en, "found granted"); err != nil {
			return err
		}
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
	return access.RowsOf(rows, g.Row), err
}

// preserves tells whether an integration leaves alone what was there.
func preserves(callers []access.Caller) bool {
	return slices.ContainsFunc(callers, func(c access.Caller) bool {
		return c.Integration.State != access.Deleting && c.Integration.ExistingAccess == access.Preserve
	})
}

// verify looks whether what the ledger says still stands in Kisi. What was
// taken away by hand is written down as gone, and is put back if it is called
// for.
func (e *Engine) verify(ctx context.Context, en *entry, in access.Input) error {
	g := &en.grant
	if g.Standing != access.Holds && g.Standing != access.Preserved || en.target.Type == access.TargetUsers {
		return nil
	}
	row, err := e.look(ctx, en)
	if err != nil {
		return err
	}
	if row.ID != 0 {
		if row.ID == g.Row {
			return nil
		}
		// Ours is gone, and somebody gave access by hand: it is as if it had
		// been there before.
		g.Row, g.More, g.Adopted = row.ID, row.More, true
		if preserves(in.Callers) {
			g.Standing, g.More, g.Adopted = access.Preserved, nil, false
		}
		return e.save(ctx, en)
	}
	e.metrics.drift.Inc()
	e.log.Warn("access was taken away by hand in Kisi", "target", en.target.String(), "person", g.Person)
	if err := e.tell(ctx, store.Event{
		What: "vanished", Integrations: g.For, Target: en.target.String(), Person: g.Person, Email: g.Email, User: g.User, Row: g.Row, Cause: en.wake.Cause.String(),
	}); err != nil {
		return err
	}
	en.quiet = true
	g.Standing, g.Row, g.Since = access.None, 0, time.Now()
	return e.save(ctx, en)
}
