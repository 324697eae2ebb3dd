package bridge

import (
	"context"
	"reflect"
	"slices"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// spread decides for every target that group serves, and wakes the work.
// moved are the integrations whose inner groups are others than before.
func (e *Engine) spread(ctx context.Context, g access.Group, w access.Wake, moved []string) error {
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return err
	}
	m, err := e.store.Membership(ctx, g)
	if err != nil {
		return err
	}
	changed, rev, err := e.store.Changed(ctx, g)
	if err != nil {
		return err
	}
	of := live(rules.OfGroup(g))
	for _, t := range targets(of) {
		p := pass{target: t, changed: changed, wake: w}
		p.judgeAll(of, moved, m)
		if err := e.decide(ctx, p); err != nil {
			return err
		}
	}
	if err := e.settled(ctx, of); err != nil || len(changed) == 0 {
		return err
	}
	// Only now: had the process died before, the next pull would find them.
	return e.store.Woken(ctx, g, rev)
}

// A pass is one decision about a target.
type pass struct {
	target  access.Target
	changed []string // whom it is about, unless whole
	whole   bool     // about everybody
	again   bool     // even if nothing changed since the last one
	wake    access.Wake
}

// judgeAll tells whether a pass must look at everybody.
func (p *pass) judgeAll(of []access.Integration, moved []string, m store.Membership) {
	why := p.wake.Cause
	p.again = why.Has(access.ByPerson|access.ByLoneRead|access.ByReread|access.ByDoubt) || m.Deleted != ""
	for _, i := range of {
		if i.Target == p.target && (i.Unsettled || i.State == access.Held || slices.Contains(moved, i.ID)) {
			p.again = true
		}
	}
	p.whole = p.again || why.Has(access.BySweep)
}

// settled says that everybody was decided about since these integrations were
// changed; one that was changed again meanwhile is not.
func (e *Engine) settled(ctx context.Context, of []access.Integration) error {
	for _, i := range of {
		if !i.Unsettled {
			continue
		}
		_, err := e.store.ChangeIntegration(ctx, i.ID, func(now *access.Integration) bool {
			same := reflect.DeepEqual(*now, i)
			now.Unsettled = !same
			return same
		})
		if err != nil && !fault.Is(err, fault.Missing) {
			return err
		}
	}
	return nil
}
