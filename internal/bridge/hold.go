package bridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"kisibridge/internal/access"
)

// The beginnings of what stands as the reason of an integration that fails,
// so that only the same side's recovery clears it.
const (
	entraSide = "Entra: "
	kisiSide  = "Kisi: "
)

// hold stores the removals that wait for a person, or lets an old hold go
// when a look at everybody finds that nobody would be removed any more.
func (e *Engine) hold(ctx context.Context, t access.Target, callers []access.Caller, old access.Hold, plan access.Plan, everybody bool) error {
	next := plan.Hold
	switch {
	case len(next.People) > 0:
		if !old.Approved && len(old.People) > 0 {
			next.Since = old.Since
		}
	case len(old.People) == 0 || !everybody:
		return nil
	case old.Approved && slices.ContainsFunc(plan.Revoke, old.Names):
		return nil // approved, and still being carried out
	}
	if err := e.store.SaveHold(ctx, t, next); err != nil {
		return err
	}
	for _, c := range callers {
		if err := e.holdState(ctx, c.Integration, next.Why); err != nil {
			return err
		}
	}
	return nil
}

// holdState shows on an integration whether removals wait.
func (e *Engine) holdState(ctx context.Context, i access.Integration, why string) error {
	from, to := access.Held, access.Active
	if why != "" {
		from, to = access.Active, access.Held
	}
	if i.State != from {
		return nil
	}
	e.log.Warn("removals wait for a person", "integration", i.ID, "held", why != "", "why", why)
	return e.setState(ctx, i.ID, from, to, why)
}

// groupDeleted holds the integrations of a group that is gone in Entra: that
// may be a slip of the hand, and must never empty a building.
func (e *Engine) groupDeleted(ctx context.Context, of []access.Integration, reason string) error {
	why := "the group is deleted in Entra and can be restored there within 30 days"
	if reason != "changed" {
		why = "the group is no longer there in Entra"
	}
	for _, i := range of {
		if err := e.holdState(ctx, i, why); err != nil {
			return err
		}
	}
	return nil
}

// setState moves an integration from one state to another, if it still is in
// the first.
func (e *Engine) setState(ctx context.Context, id string, from, to access.State, why string) error {
	_, err := e.store.ChangeIntegration(ctx, id, func(i *access.Integration) bool {
		if i.State != from {
			return false
		}
		i.State, i.Why, i.Since = to, why, time.Now()
		return true
	})
	return err
}

// Dead is told of work that is given up: it shows on the integrations that
// wait for it, and the next sweep tries again.
func (e *Engine) Dead(ctx context.Context, w access.Wake, cause error) {
	of, side, err := e.concerned(ctx, w)
	if err != nil {
		e.log.Error("given up, and no integration is told", "work", string(w.Kind), "err", cause, "why", err)
		return
	}
	for _, i := range of {
		err := e.setState(ctx, i.ID, access.Active, access.Failing, side+cause.Error())
		e.log.Error("given up until the next sweep", "integration", i.ID, "work", string(w.Kind), "err", cause, "told", err == nil)
	}
}

// concerned lists the integrations that a piece of work serves.
func (e *Engine) concerned(ctx context.Context, w access.Wake) ([]access.Integration, string, error) {
	switch w.Kind {
	case access.Pull, access.Keep:
		g, err := access.ParseGroup(w.Name)
		if err != nil {
			return nil, "", err
		}
		of, err := e.using(ctx, ofGroup(g))
		return of, entraSide, err
	}
	name, _, _ := strings.Cut(w.Name, "#")
	t, err := access.ParseTarget(name)
	if err != nil {
		return nil, "", err
	}
	of, err := e.using(ctx, ofTarget(t))
	return of, kisiSide, err
}

// restored lets go the integrations of a group that was held because it was
// deleted; those whose removals wait stay held.
func (e *Engine) restored(ctx context.Context, of []access.Integration) error {
	for _, i := range of {
		if i.State != access.Held {
			continue
		}
		hold, err := e.store.Hold(ctx, i.Target)
		if err != nil {
			return err
		}
		if len(hold.People) == 0 || hold.Approved {
			if err := e.holdState(ctx, i, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// recovered clears the failure of a side that works again.
func (e *Engine) recovered(ctx context.Context, of []access.Integration, side string) error {
	for _, i := range of {
		if i.State == access.Failing && strings.HasPrefix(i.Why, side) {
			e.log.Info("works again", "integration", i.ID)
			if err := e.setState(ctx, i.ID, access.Failing, access.Active, ""); err != nil {
				return fmt.Errorf("integration %s: %w", i.ID, err)
			}
		}
	}
	return nil
}
