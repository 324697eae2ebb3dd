package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// The beginnings of what stands as the reason of an integration that fails,
// so that only the same side's recovery clears it.
const (
	entraSide = "Entra: "
	kisiSide  = "Kisi: "
)

// holdStates shows on the integrations of a target whether removals wait, or
// whether their group is gone: that may be a slip of the hand, and must never
// empty a building.
func (e *Engine) holdStates(ctx context.Context, callers []access.Caller, hold access.Hold) error {
	for _, c := range callers {
		why := hold.Why
		if c.Deleted != "" {
			why = "the group is " + c.Deleted
		}
		if err := e.holdState(ctx, c.Integration, why); err != nil {
			return err
		}
	}
	return nil
}

// holdState moves an integration into the state held, or out of it.
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
	if fault.Is(err, fault.Missing) {
		return nil // deleted meanwhile
	}
	return err
}

// Dead is told of work that is given up: it shows on the integrations that
// wait for it, and the next sweep tries again.
func (e *Engine) Dead(ctx context.Context, w access.Wake, cause error) {
	of, side, err := e.concerned(ctx, w)
	for _, t := range targets(of) {
		err = errors.Join(err, e.store.SaveDecided(ctx, t, "", time.Time{})) // the next sweep looks at all
	}
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
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return nil, "", err
	}
	switch w.Kind {
	case access.Pull, access.Keep:
		g, err := access.ParseGroup(w.Name)
		return live(rules.OfGroup(g)), entraSide, err
	case access.Profile, access.Profiles:
		tenant, _, _ := strings.Cut(w.Name, "/")
		return slices.DeleteFunc(slices.Clone(rules.All), func(i access.Integration) bool { return i.Group.Connection != tenant }), entraSide, nil
	}
	name, _, _ := strings.Cut(w.Name, "#")
	t, err := access.ParseTarget(name)
	return rules.OfTarget(t), kisiSide, err
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
