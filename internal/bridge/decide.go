package bridge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/store"
)

// importFrom is the number of new grants from which on a pass is an import:
// it gives way to single people, and what Kisi holds is listed beforehand.
const importFrom = 20

// believed is how long a target that was in line is believed to be so while
// nothing changes; then everybody is compared once more.
const believed = 6 * time.Hour

// decide plans a target, for the people who changed or for everybody, says
// what is to be said of them, and wakes what the plan calls for.
func (e *Engine) decide(ctx context.Context, p pass) error {
	if !p.whole && len(p.changed) == 0 {
		return nil
	}
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return err
	}
	v, err := e.store.Verdicts(ctx, p.target)
	if err != nil {
		return err
	}
	print := "" // of a pass about a few, which settles nothing for all
	if p.whole {
		if print, err = e.fingerprint(ctx, rules, p.target, v); err != nil {
			return err
		}
	}
	if p.whole && !p.again {
		if done, err := e.store.Decided(ctx, p.target, print); err != nil || done {
			return err
		}
	}
	in, plan, err := e.plan(ctx, rules, &p, v)
	if err != nil {
		return err
	}
	if v, err = e.pronounce(ctx, p, in, &plan, v); err != nil {
		return err
	}
	if err := e.holdStates(ctx, in.Callers, v.Hold()); err != nil {
		return err
	}
	if err := e.carry(ctx, p, in.Callers, plan); err != nil {
		return err
	}
	return e.decided(ctx, p, in, plan, print)
}

// plan decides about everybody, or about those who changed and those of whom
// something stands to be said: who waits, and who was removed just now.
func (e *Engine) plan(ctx context.Context, rules *store.Rules, p *pass, v store.Verdicts) (access.Input, access.Plan, error) {
	for _, i := range rules.OfTarget(p.target) {
		p.whole = p.whole || i.Batched() // who belongs to the batch depends on all
	}
	var about []string
	if !p.whole {
		about = slices.Clone(p.changed)
		for id, verdict := range v.Of {
			if verdict.State != access.Kept && verdict.State != access.KeptOff && verdict.State != access.Early {
				about = append(about, id)
			}
		}
	}
	in, err := e.input(ctx, rules, p.target, about...)
	if err != nil {
		return in, access.Plan{}, err
	}
	in.Pass, in.Verdicts = true, v.Of
	if in.Grants, err = e.store.Holders(ctx, p.target); err != nil {
		return in, access.Plan{}, err
	}
	plan := access.Decide(in)
	return in, plan, nil
}

// pronounce says what a plan calls for, after those whose removal would be one
// of several were asked about from the other side.
func (e *Engine) pronounce(ctx context.Context, p pass, in access.Input, plan *access.Plan, v store.Verdicts) (store.Verdicts, error) {
	doubted, err := e.doubted(ctx, in, plan.Release)
	if err != nil {
		return v, err
	}
	for _, id := range plan.Release {
		verdict := access.Verdict{State: access.Released, At: in.Now}
		if slices.Contains(doubted, id) {
			verdict.State = access.Doubted
			if v.Of[id].State == access.Doubted {
				continue
			}
		} else {
			plan.Revoke = append(plan.Revoke, id)
		}
		plan.Say[id] = verdict
	}
	slices.Sort(plan.Revoke)
	plan.Release = nil
	if len(plan.Say) == 0 {
		return v, nil
	}
	next, err := e.store.SaveVerdicts(ctx, p.target, v, plan.Say, plan.Why)
	if err == nil && plan.Why != "" {
		e.metrics.holds.Inc()
		err = e.tell(ctx, store.Event{What: "removals held", Integrations: idsOf(in.Callers), Target: p.target.String(), Why: plan.Why, Count: len(next.Hold().People), Cause: p.wake.Cause.String()})
	}
	if err == nil && len(doubted) > 0 {
		err = e.lookTwice(ctx, in.Callers, p.wake)
	}
	return next, err
}

// carry wakes the people of a plan, those who must lose access first.
func (e *Engine) carry(ctx context.Context, p pass, callers []access.Caller, plan access.Plan) error {
	if kisiFails(callers) && len(plan.Make) > 0 {
		plan.Make = plan.Make[:1] // one tries whether Kisi works again, and wakes the rest
	}
	t, why, since := p.target, p.wake.Cause|access.ByPull, p.wake.Since
	var wakes []access.Wake
	for _, id := range plan.Revoke {
		wakes = append(wakes, access.ApplyOf(t, id, access.Revoke, why, since))
	}
	makes := plan.Make
	u := access.Allow
	if len(makes) > importFrom {
		u = access.Import
		listed, err := e.store.Listed(ctx, t)
		if err != nil {
			return err
		}
		if !listed {
			wakes = append(wakes, access.RosterOf(t, why, since))
			makes = nil // the roster wakes them
		}
	}
	for _, want := range makes {
		wakes = append(wakes, access.ApplyOf(t, want.Person.ID, u, why, since))
	}
	for _, want := range plan.Amend {
		wakes = append(wakes, access.ApplyOf(t, want.Person.ID, access.Look, why, since))
	}
	if err := e.wake(ctx, wakes); err != nil {
		return err
	}
	return e.note(ctx, callers, plan, p.wake)
}

// kisiFails tells whether the target could not be written when last tried.
func kisiFails(callers []access.Caller) bool {
	return slices.ContainsFunc(callers, func(c access.Caller) bool {
		return c.Integration.State == access.Failing && strings.HasPrefix(c.Integration.Why, kisiSide)
	})
}

// note writes down a run that found something to do.
func (e *Engine) note(ctx context.Context, callers []access.Caller, plan access.Plan, w access.Wake) error {
	if plan.Empty() {
		return nil
	}
	run := store.Run{
		At: time.Now(), Cause: w.Cause.String(), Make: len(plan.Make), Revoke: len(plan.Revoke),
		Skipped: len(plan.Skip), Held: len(plan.Wait),
	}
	for _, c := range callers {
		if err := e.store.AddRun(ctx, c.Integration.ID, run); err != nil {
			return err
		}
		e.log.Info("plan", "integration", c.Integration.ID, "cause", run.Cause, "make", run.Make,
			"revoke", run.Revoke, "skipped", run.Skipped, "held", run.Held)
	}
	return nil
}

// fingerprint names all that a decision about a whole target rests on, but for
// the ledger, which only work of ours changes.
func (e *Engine) fingerprint(ctx context.Context, rules *store.Rules, t access.Target, v store.Verdicts) (string, error) {
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, i := range rules.OfTarget(t) {
		if err := enc.Encode(i); err != nil {
			return "", err
		}
		for _, g := range rules.Reads(i) {
			m, err := e.store.Membership(ctx, g)
			if err != nil {
				return "", err
			}
			if err := enc.Encode([]any{g.ID, m.Edition, m.Deleted, rules.Lost(i.Group, g)}); err != nil {
				return "", err
			}
		}
	}
	if err := enc.Encode(v.Rev); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// decided remembers that a target was in line, until something is due by
// itself, or forgets that where there is something to do.
func (e *Engine) decided(ctx context.Context, p pass, in access.Input, plan access.Plan, print string) error {
	switch {
	case !plan.Empty() || len(plan.Say) > 0:
		return e.store.SaveDecided(ctx, p.target, "", time.Time{})
	case !p.whole:
		return nil
	}
	until := in.Now.Add(believed)
	for _, at := range access.Due(in) {
		if at.Before(until) {
			until = at
		}
	}
	return e.store.SaveDecided(ctx, p.target, print, until)
}

func idsOf(callers []access.Caller) []string {
	var ids []string
	for _, c := range callers {
		ids = append(ids, c.Integration.ID)
	}
	return ids
}
