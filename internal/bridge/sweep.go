package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/store"
)

// Sweep catches what no notification told: every group is pulled and compared
// with the ledger, every tenant asked who changed, every target looked at and
// every subscription looked after. It is spread over its interval, so that
// neither cloud sees it come.
func (e *Engine) Sweep(ctx context.Context) error {
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return err
	}
	of := rules.Groups()
	if len(of) > 0 {
		if err := e.store.UseGroup(ctx, of...); err != nil {
			return err
		}
	}
	if err := e.wake(ctx, e.spreadOut(pulls(of, access.BySweep))); err != nil {
		return err
	}
	if err := e.wake(ctx, e.spreadOut(drifts(rules.Targets()))); err != nil {
		return err
	}
	tenants := tenantsOf(of)
	var keeps []access.Group
	for _, t := range tenants {
		keeps = append(keeps, wide(t), everybody(t))
	}
	if err := errors.Join(e.keepAll(ctx, append(keeps, of...)), e.profileAll(ctx, tenants, access.BySweep)); err != nil {
		return err
	}
	var errs []error
	connected, err := e.clouds.Tenants(ctx)
	errs = append(errs, err)
	for _, tenant := range connected {
		if err := e.orphans(ctx, tenant); err != nil {
			errs = append(errs, fmt.Errorf("orphaned subscriptions of %s: %w", tenant, err))
		}
	}
	return errors.Join(errs...)
}

// spreadOut puts wakes off so that the last begins when nine tenths of the
// interval are over. In a list of the same order, each has its own moment.
func (e *Engine) spreadOut(wakes []access.Wake) []access.Wake {
	for n := range wakes {
		wakes[n].Delay = e.spreads * 9 / 10 * time.Duration(n) / time.Duration(len(wakes))
	}
	return wakes
}

// Watch pulls the groups whose changes nobody tells us of, and renews what is
// due before the next sweep.
func (e *Engine) Watch(ctx context.Context) error {
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return err
	}
	subs, err := e.store.Subscriptions(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	k := &keeper{Engine: e, rules: rules, subs: subs, now: now}
	var deaf, due []access.Group
	var blind []string
	for _, tenant := range tenantsOf(rules.Groups()) {
		all := everybody(tenant)
		if !subs[all].Healthy(now) {
			blind = append(blind, tenant)
		}
		for _, g := range append(k.groups(tenant), all, wide(tenant)) {
			if !special(g) && !heard(subs, g, now) {
				deaf = append(deaf, g)
			}
			if k.due(g) {
				due = append(due, g)
			}
		}
	}
	e.metrics.unhealthy.Set(float64(len(deaf)))
	return errors.Join(e.pullAll(ctx, deaf, access.ByWatch), e.profileAll(ctx, blind, access.ByWatch), e.keepAll(ctx, due))
}

// due tells whether a subscription needs the keeper before the next sweep.
func (k *keeper) due(g access.Group) bool {
	s := k.subs[g]
	if k.url == "" || !k.wanted(g) {
		return false
	}
	return s.ID == "" && s.Refused == "" || s.ID != "" && s.Due(k.now)
}

func tenantsOf(groups []access.Group) []string {
	var tenants []string
	for _, g := range groups {
		if !slices.Contains(tenants, g.Connection) {
			tenants = append(tenants, g.Connection)
		}
	}
	return tenants
}

func pulls(of []access.Group, why access.Cause) []access.Wake {
	wakes := make([]access.Wake, len(of))
	for k, g := range of {
		wakes[k] = access.PullOf(g, access.Look, why, time.Now())
	}
	return wakes
}

func drifts(of []access.Target) []access.Wake {
	var wakes []access.Wake
	for _, t := range of {
		if t.Type != access.TargetUsers {
			wakes = append(wakes, access.DriftOf(t, access.BySweep, time.Now()))
		}
	}
	return wakes
}

func (e *Engine) pullAll(ctx context.Context, of []access.Group, why access.Cause) error {
	return e.wake(ctx, pulls(of, why))
}

func (e *Engine) profileAll(ctx context.Context, tenants []string, why access.Cause) error {
	var wakes []access.Wake
	for _, t := range tenants {
		wakes = append(wakes, access.ProfilesOf(t, why, time.Now()))
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

// Rescue wakes what a dead process left: unsettled intents, integrations that
// were changed and not decided about, and those whose deletion stopped in the
// middle.
func (e *Engine) Rescue(ctx context.Context) error {
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return err
	}
	var wakes []access.Wake
	for _, t := range rules.Targets() {
		ids, err := e.store.Open(ctx, t, time.Now().Add(-openFor))
		if err != nil {
			return err
		}
		for _, id := range ids {
			wakes = append(wakes, access.ApplyOf(t, id, access.Revoke, access.ByRescue, time.Time{}))
		}
	}
	for _, i := range rules.All {
		if i.Unsettled && i.State != access.Deleting && i.State != access.Failing {
			wakes = append(wakes, access.PullOf(i.Group, access.Allow, access.ByRescue, time.Time{}))
		}
	}
	if err := e.wake(ctx, wakes); err != nil {
		return err
	}
	for _, i := range rules.All {
		if i.State == access.Deleting {
			if err := e.takeDown(ctx, i, access.ByRescue, time.Time{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeDown goes on deleting an integration: its grants are given back one by
// one, and with the last it goes.
func (e *Engine) takeDown(ctx context.Context, i access.Integration, why access.Cause, since time.Time) error {
	left, err := e.leftOf(ctx, i)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		var wakes []access.Wake
		for _, id := range left {
			wakes = append(wakes, access.ApplyOf(i.Target, id, access.Revoke, why, since))
		}
		return e.wake(ctx, wakes)
	}
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return err
	}
	inner := rules.Reads(i)
	if err := e.tell(ctx, store.Event{What: "integration deleted", Integrations: []string{i.ID}, Target: i.Target.String(), Group: i.Group.String()}); err != nil {
		return err
	}
	if err := e.store.RemoveIntegration(ctx, i.ID); err != nil {
		return err
	}
	e.log.Info("integration deleted", "integration", i.ID)
	return e.keepAll(ctx, append(inner, wide(i.Group.Connection), everybody(i.Group.Connection)))
}

// leftOf lists who holds a grant of an integration, or is about to.
func (e *Engine) leftOf(ctx context.Context, i access.Integration) ([]string, error) {
	held, err := e.store.Grants(ctx, i.Target)
	if err != nil {
		return nil, err
	}
	var left []string
	for id, g := range held {
		if slices.Contains(g.For, i.ID) && (g.Opens() || g.Intent != nil) {
			left = append(left, id)
		}
	}
	slices.Sort(left)
	return left, nil
}
