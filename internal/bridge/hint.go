package bridge

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// Hint is a word of Kisi that the access of one user was changed. It is looked
// at and not believed; what we did ourselves a moment ago is no news.
func (e *Engine) Hint(ctx context.Context, w access.Wake) error {
	t, id, err := access.ParseHint(w.Name)
	if err != nil {
		return &fault.Error{Class: fault.Invalid, Op: "hint", Err: err}
	}
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return err
	}
	switch {
	case t.Type == "":
		return e.hintOfUser(ctx, rules, t.Connection, id, w)
	case t.ID == 0:
		return e.hintOfRow(ctx, rules, t, id, w)
	}
	return e.hintOf(ctx, rules, t, id, w)
}

// hintOf has the people of a Kisi user looked at, or the target where they are
// not known to hold anything.
func (e *Engine) hintOf(ctx context.Context, rules *store.Rules, t access.Target, user int, w access.Wake) error {
	if len(live(rules.OfTarget(t))) == 0 {
		return nil
	}
	people, err := e.store.Met(ctx, t.Connection, user)
	if err != nil {
		return err
	}
	held := map[string]access.Grant{}
	if len(people) > 0 {
		if held, err = e.store.Grants(ctx, t, people...); err != nil {
			return err
		}
	}
	var holders []string
	for id, g := range held {
		switch {
		case g.Intent != nil || time.Since(g.Since) < time.Minute:
			return e.lookLater(ctx, t, w)
		case g.Standing == access.Holds || g.Standing == access.Preserved:
			holders = append(holders, id)
		}
	}
	if len(holders) == 0 {
		return e.waker.Wake(ctx, access.DriftOf(t, access.ByKisi, w.Since))
	}
	slices.Sort(holders)
	return e.putBack(ctx, t, holders, w)
}

// lookLater has a target looked at when what is done now is over. All that is
// told of it in half a minute is one look.
func (e *Engine) lookLater(ctx context.Context, t access.Target, w access.Wake) error {
	at := time.Now().Truncate(30 * time.Second).Add(90 * time.Second)
	return e.waker.Later(ctx, access.DriftOf(t, access.ByKisi, w.Since), time.Until(at))
}

// wrote remembers that we wrote a row, or a user. Where that fails, Kisi is
// asked in vain, and no more.
func (e *Engine) wrote(ctx context.Context, t access.Target, id int) {
	if err := e.store.Wrote(ctx, t, id); err != nil {
		e.log.Debug("Kisi will tell of our own change as if it were news", "target", t.String(), "err", err)
	}
}

// usersOf stands for the users of an organization.
func usersOf(kisi string) access.Target {
	return access.Target{Connection: kisi, Type: access.TargetUsers}
}

// hintOfUser has a user looked at in every target of the organization.
func (e *Engine) hintOfUser(ctx context.Context, rules *store.Rules, kisi string, user int, w access.Wake) error {
	if _, ours, err := e.store.WroteTo(ctx, usersOf(kisi), user); err != nil || ours {
		return err
	}
	people, err := e.store.Met(ctx, kisi, user)
	if err != nil || len(people) == 0 {
		return err
	}
	for _, t := range rules.Targets() {
		if t.Connection != kisi {
			continue
		}
		held, err := e.store.Grants(ctx, t, people...)
		if err != nil {
			return err
		}
		for _, g := range held {
			if g.Opens() && time.Since(g.Since) >= time.Minute {
				if err := e.hintOf(ctx, rules, t, user, w); err != nil {
					return err
				}
				break
			}
		}
	}
	return e.lockedNow(ctx, rules, kisi, user, people)
}

// lockedNow notes on each target whether a user is locked out.
func (e *Engine) lockedNow(ctx context.Context, rules *store.Rules, kisi string, user int, people []string) error {
	k, err := e.organization(ctx, kisi)
	if err != nil {
		return err
	}
	u, err := k.User(ctx, access.Look, user)
	if fault.Is(err, fault.Missing) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range rules.Targets() {
		d, err := e.store.Drift(ctx, t)
		if err != nil || t.Connection != kisi || d.At.IsZero() {
			errs = append(errs, err)
			continue
		}
		d.Locked = slices.DeleteFunc(d.Locked, func(id string) bool { return slices.Contains(people, id) })
		held, err := e.store.Grants(ctx, t, people...)
		for _, id := range slices.Sorted(maps.Keys(held)) {
			if u.Locked && held[id].Standing == access.Holds {
				d.Locked = append(d.Locked, id)
			}
		}
		slices.Sort(d.Locked)
		errs = append(errs, err, e.store.SaveDrift(ctx, t, d))
	}
	return errors.Join(errs...)
}

// hintOfRow finds out what a row is about. One that is gone is looked for in
// the ledgers.
func (e *Engine) hintOfRow(ctx context.Context, rules *store.Rules, t access.Target, row int, w access.Wake) error {
	k, err := e.organization(ctx, t.Connection)
	if err != nil {
		return err
	}
	if to, ours, err := e.store.WroteTo(ctx, t, row); err != nil || ours {
		if ours {
			err = e.lookLater(ctx, to, w)
		}
		return err
	}
	of, found, err := k.RowOf(ctx, access.Look, t.Type, row)
	switch {
	case err == nil && found.User != 0:
		of.Connection = t.Connection
		return e.hintOf(ctx, rules, of, found.User, w)
	case err == nil:
		return nil // no access of a person
	case !fault.Is(err, fault.Missing):
		return err
	}
	for _, target := range rules.Targets() {
		if target.Connection != t.Connection || target.Type != t.Type {
			continue
		}
		held, err := e.store.Grants(ctx, target)
		if err != nil {
			return err
		}
		for id, g := range held {
			if (g.Row == row || slices.Contains(g.More, row)) && g.Standing != access.Refused {
				return e.putBack(ctx, target, []string{id}, w)
			}
		}
	}
	return nil
}
