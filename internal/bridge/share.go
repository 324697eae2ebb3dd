package bridge

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// Two people of Entra may have one address: then they are one user in Kisi and
// share one grant, for two reasons. Each writes an intent before looking for
// the other's, so that at least one of two who meet sees the other, and gives
// way.

// meet remembers whom the Kisi user of an entry stands for, and tells who else
// it is. Somebody of them at work is waited for.
func (e *Engine) meet(ctx context.Context, en *entry) ([]string, error) {
	if err := e.store.Meet(ctx, en.target.Connection, en.grant.User, en.grant.Person); err != nil {
		return nil, err
	}
	others, err := e.others(ctx, en, en.grant.User)
	if err != nil || len(others) == 0 {
		return nil, err
	}
	held, err := e.store.Grants(ctx, en.target, others...)
	if err != nil {
		return nil, err
	}
	for _, g := range held {
		if g.Intent != nil {
			return nil, giveWay(en.grant.Person)
		}
	}
	return others, nil
}

func giveWay(person string) error {
	return &fault.Error{
		Class: fault.Busy, Op: "work on " + person, After: 200*time.Millisecond + rand.N(3*time.Second),
		Err: errors.New("somebody of the same address is being worked on"),
	}
}

// others lists who else a Kisi user stands for.
func (e *Engine) others(ctx context.Context, en *entry, user int) ([]string, error) {
	people, err := e.store.Met(ctx, en.target.Connection, user)
	return slices.DeleteFunc(people, func(id string) bool { return id == en.grant.Person }), err
}

// shared tells whether somebody else holds the same row and keeps it.
func (e *Engine) shared(ctx context.Context, en *entry, user, row int) (bool, error) {
	others, err := e.others(ctx, en, user)
	if err != nil || len(others) == 0 {
		return false, err
	}
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return false, err
	}
	in, err := e.input(ctx, rules, en.target, others...)
	if err != nil {
		return false, err
	}
	v, err := e.store.Verdicts(ctx, en.target)
	if err != nil {
		return false, err
	}
	in.Verdicts = v.Of // whose removal waits, or was dismissed, keeps the row
	plan := access.Decide(in)
	for id, g := range in.Held {
		// Of two who both leave, either may delete the row, so that one of them
		// need not wait for the other.
		if g.Intent != nil && (g.Intent.Op != access.ToRevoke || id < en.grant.Person) {
			return false, giveWay(en.grant.Person)
		}
		stands := g.Opens() || g.Standing == access.Preserved
		if stands && g.Row == row && !slices.Contains(plan.Revoke, id) {
			return true, nil
		}
	}
	return false, nil
}
