package bridge

import (
	"context"
	"strings"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/store"
)

// importFrom is the number of new grants from which on a pass is an import:
// it gives way to single people, and what Kisi holds is listed beforehand.
const importFrom = 20

// spread decides for every target that group fills, and wakes the work.
func (e *Engine) spread(ctx context.Context, g access.Group, of []access.Integration, w access.Wake) error {
	m, err := e.store.Membership(ctx, g)
	if err != nil {
		return err
	}
	if m.Deleted != "" {
		return e.groupDeleted(ctx, of, m.Deleted)
	}
	if err := e.restored(ctx, of); err != nil {
		return err
	}
	changed, rev, err := e.store.Changed(ctx, g)
	if err != nil {
		return err
	}
	everybody := w.Cause.Has(access.BySweep | access.ByPerson | access.ByLoneRead)
	for _, t := range targets(of) {
		if err := e.decide(ctx, t, changed, everybody, w); err != nil {
			return err
		}
	}
	if len(changed) == 0 {
		return nil
	}
	// Only now: had the process died before, the next pull would find them.
	return e.store.Woken(ctx, g, rev)
}

// decide plans a target, for the people who changed or for everybody, and
// wakes what the plan says. Removals that wait are always judged as a whole.
func (e *Engine) decide(ctx context.Context, t access.Target, changed []string, everybody bool, w access.Wake) error {
	if !everybody && len(changed) == 0 {
		return nil
	}
	about := changed
	if everybody {
		about = nil
	}
	in, hold, err := e.input(ctx, t, about...)
	if err == nil && !everybody && len(hold.People) > 0 {
		everybody = true
		in, hold, err = e.input(ctx, t)
	}
	if err != nil {
		return err
	}
	if in.Grants, err = e.store.Holders(ctx, t); err != nil {
		return err
	}
	plan := access.Decide(in)
	if err := e.hold(ctx, t, in.Callers, hold, plan, everybody); err != nil {
		return err
	}
	if kisiFails(in.Callers) && len(plan.Make) > 0 {
		plan.Make = plan.Make[:1] // one tries whether Kisi works again, and wakes the rest
	}
	if err := e.wakePlan(ctx, t, plan, w); err != nil {
		return err
	}
	return e.note(ctx, in.Callers, plan, w)
}

// kisiFails tells whether the target could not be written when last tried.
func kisiFails(callers []access.Caller) bool {
	for _, c := range callers {
		if c.Integration.State == access.Failing && strings.HasPrefix(c.Integration.Why, kisiSide) {
			return true
		}
	}
	return false
}

// wakePlan wakes the people of a plan, those who must lose access first.
func (e *Engine) wakePlan(ctx context.Context, t access.Target, plan access.Plan, w access.Wake) error {
	var wakes []access.Wake
	for _, id := range plan.Revoke {
		wakes = append(wakes, access.ApplyOf(t, id, access.Revoke, access.ByPull, w.Since))
	}
	if len(plan.Make) > importFrom {
		listed, err := e.store.Listed(ctx, t)
		if err != nil {
			return err
		}
		if !listed {
			wakes = append(wakes, access.RosterOf(t, access.ByPull, w.Since))
			plan.Make = nil // the roster wakes them
		}
	}
	u := access.Allow
	if len(plan.Make) > importFrom {
		u = access.Import
	}
	for _, want := range plan.Make {
		wakes = append(wakes, access.ApplyOf(t, want.Person.ID, u, access.ByPull, w.Since))
	}
	for _, want := range plan.Amend {
		wakes = append(wakes, access.ApplyOf(t, want.Person.ID, access.Look, access.ByPull, w.Since))
	}
	return e.wake(ctx, wakes)
}

// note writes down a run that found something to do.
func (e *Engine) note(ctx context.Context, callers []access.Caller, plan access.Plan, w access.Wake) error {
	if plan.Empty() {
		return nil
	}
	run := store.Run{
		At: time.Now(), Cause: w.Cause.String(), Make: len(plan.Make), Revoke: len(plan.Revoke),
		Skipped: len(plan.Skip), Held: len(plan.Hold.People),
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
