package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kisibridge/internal/access"
)

// Sweep catches what no notification told: every group is pulled and compared
// with the ledger, every subscription looked after.
func (e *Engine) Sweep(ctx context.Context) error {
	of, err := e.using(ctx, func(access.Integration) bool { return true })
	if err != nil {
		return err
	}
	if err := e.pullAll(ctx, groups(of), access.BySweep); err != nil {
		return err
	}
	if err := e.keepAll(ctx, groups(of)); err != nil {
		return err
	}
	var errs []error
	for connection, dir := range e.entra {
		if err := e.orphans(ctx, connection, dir); err != nil {
			errs = append(errs, fmt.Errorf("orphaned subscriptions of %s: %w", connection, err))
		}
	}
	return errors.Join(errs...)
}

// Watch pulls the groups whose changes nobody tells us of, and renews what is
// due before the next sweep.
func (e *Engine) Watch(ctx context.Context) error {
	of, err := e.using(ctx, func(i access.Integration) bool { return i.State != access.Deleting })
	if err != nil {
		return err
	}
	subs, err := e.store.Subscriptions(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	var deaf, due []access.Group
	for _, g := range groups(of) {
		s := subs[g]
		if !s.Healthy(now) {
			deaf = append(deaf, g)
		}
		if s.ID == "" && s.Refused == "" || s.ID != "" && s.Due(now) {
			due = append(due, g)
		}
	}
	e.metrics.unhealthy.Set(float64(len(deaf)))
	return errors.Join(e.pullAll(ctx, deaf, access.ByWatch), e.keepAll(ctx, due))
}

func (e *Engine) pullAll(ctx context.Context, of []access.Group, why access.Cause) error {
	wakes := make([]access.Wake, len(of))
	for k, g := range of {
		wakes[k] = access.PullOf(g, access.Look, why, time.Now())
	}
	return e.wake(ctx, wakes)
}

func (e *Engine) keepAll(ctx context.Context, of []access.Group) error {
	wakes := make([]access.Wake, len(of))
	for k, g := range of {
		wakes[k] = access.KeepOf(g, access.BySweep, time.Now())
	}
	return e.wake(ctx, wakes)
}

// openFor is how old an unsettled intent is before somebody else looks at it.
const openFor = 5 * time.Second

// Rescue wakes what a dead process left: unsettled intents, and integrations
// whose deletion stopped in the middle.
func (e *Engine) Rescue(ctx context.Context) error {
	of, err := e.using(ctx, func(access.Integration) bool { return true })
	if err != nil {
		return err
	}
	var wakes []access.Wake
	for _, t := range targets(of) {
		ids, err := e.store.Open(ctx, t, time.Now().Add(-openFor))
		if err != nil {
			return err
		}
		for _, id := range ids {
			wakes = append(wakes, access.ApplyOf(t, id, access.Revoke, access.ByRescue, time.Time{}))
		}
	}
	if err := e.wake(ctx, wakes); err != nil {
		return err
	}
	for _, i := range of {
		if i.State == access.Deleting {
			if err := e.takeDown(ctx, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeDown goes on deleting an integration: its grants are given back one by
// one, and with the last it goes.
func (e *Engine) takeDown(ctx context.Context, i access.Integration) error {
	held, err := e.store.Grants(ctx, i.Target)
	if err != nil {
		return err
	}
	var wakes []access.Wake
	for id, g := range held {
		if slices.Contains(g.For, i.ID) && g.Standing != access.Preserved {
			wakes = append(wakes, access.ApplyOf(i.Target, id, access.Revoke, access.ByRescue, time.Time{}))
		}
	}
	if len(wakes) > 0 {
		return e.wake(ctx, wakes)
	}
	if err := e.store.RemoveIntegration(ctx, i.ID); err != nil {
		return err
	}
	e.log.Info("integration deleted", "integration", i.ID)
	return e.waker.Wake(ctx, access.KeepOf(i.Group, access.ByPerson, time.Now()))
}
