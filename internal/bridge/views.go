package bridge

import (
	"context"
	"time"

	"kisibridge/internal/access"
)

// View shows one integration.
func (e *Engine) View(ctx context.Context, id string) (Status, error) {
	i, err := e.store.Integration(ctx, id)
	if err != nil {
		return Status{}, err
	}
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return Status{}, err
	}
	subs, err := e.store.Subscriptions(ctx)
	if err != nil {
		return Status{}, err
	}
	return e.status(ctx, rules, subs, i)
}

// People tells where those people of an integration stand whom pick takes of
// the ids of all, which it is given sorted. It reads no more than about them.
func (e *Engine) People(ctx context.Context, id string, pick func(all []string) []string) ([]Account, error) {
	c, err := e.store.Crowd(ctx, id, pick)
	if err != nil {
		return nil, err
	}
	in := access.Input{People: c.People, Held: c.Grants, Verdicts: c.Verdicts, Now: time.Now()}
	for _, i := range c.Rules.OfTarget(c.Integration.Target) {
		in.Callers = append(in.Callers, callerOf(c.Rules, i, func(g access.Group) roll { return roll{c.Groups[g], c.Members[g]} }))
	}
	return accounts(in, id, c.Troubles, c.Drift), nil
}
