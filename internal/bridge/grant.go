package bridge

import (
	"context"
	"fmt"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// searchLag is how long a user that Kisi has may be missing from its searches.
const searchLag = 5 * time.Second

// grant gives a person access: find or make the Kisi user, take over what
// stands, else make the grant. What stands under an older address goes last.
func (e *Engine) grant(ctx context.Context, en *entry, want access.Want) error {
	if err := e.readdress(ctx, en, want); err != nil {
		return err
	}
	if en.grant.Standing != access.Holds {
		if err := e.give(ctx, en, want); err != nil {
			return err
		}
	}
	if en.grant.Standing == access.Holds || en.grant.Standing == access.Preserved {
		return e.clearOld(ctx, en)
	}
	return nil
}

// readdress makes room for a new address: what is held under the one before is
// kept until the new one has its own.
func (e *Engine) readdress(ctx context.Context, en *entry, want access.Want) error {
	g := &en.grant
	if access.SameEmail(g.Email, want.Email) {
		return nil
	}
	if old := g.Old; old != nil && access.SameEmail(old.Email, want.Email) && g.Standing != access.Holds {
		g.Email, g.User, g.Row, g.More, g.Adopted, g.Old = old.Email, old.User, old.Row, old.More, old.Adopted, nil
		g.Standing, g.Why, g.For, g.Since = access.Holds, "", want.For, time.Now()
		return e.save(ctx, en)
	}
	if g.Standing != access.Holds {
		return nil
	}
	if err := e.clearOld(ctx, en); err != nil {
		return err
	}
	g = &en.grant
	g.Old = &access.Holding{Email: g.Email, User: g.User, Row: g.Row, More: g.More, Adopted: g.Adopted}
	g.Email, g.User, g.Row, g.More, g.Adopted, g.Standing = want.Email, 0, 0, nil, false, access.None
	return e.save(ctx, en)
}

func (e *Engine) give(ctx context.Context, en *entry, want access.Want) error {
	listed, err := e.identify(ctx, en, want)
	if fault.Is(err, fault.Invalid) {
		return e.refuse(ctx, en, want, err)
	}
	if err != nil {
		return err
	}
	en.grant.Email, en.grant.For = want.Email, want.For
	if old := en.grant.Old; old != nil && old.User != 0 && old.User == en.grant.User {
		return e.sameUser(ctx, en)
	}
	if en.grant.User != 0 {
		others, err := e.meet(ctx, en)
		if err != nil {
			return err
		}
		listed = listed && len(others) == 0
	}
	if en.grant.User != 0 && !listed {
		row, err := e.look(ctx, en)
		if err != nil {
			return err
		}
		if row.ID != 0 {
			return e.takeOver(ctx, en, want, row)
		}
	}
	if err := e.intend(ctx, en, access.ToGrant); err != nil {
		return err
	}
	err = e.make(ctx, en, want)
	return e.conclude(ctx, en, outcomeOf(en.grant), err)
}

// sameUser takes back what was held under the older address: in Kisi the new
// one is of the same user, so that the grant is the same.
func (e *Engine) sameUser(ctx context.Context, en *entry) error {
	g := &en.grant
	g.Row, g.More, g.Adopted, g.Old = g.Old.Row, g.Old.More, g.Old.Adopted, nil
	g.Standing, g.Why, g.Since = access.Holds, "", time.Now()
	return e.conclude(ctx, en, "readdressed", nil)
}

// outcomeOf puts where a person stands into the trail's words.
func outcomeOf(g access.Grant) string {
	switch {
	case g.Standing == access.Preserved:
		return "left alone"
	case g.Standing == access.Refused:
		return "refused"
	case g.Adopted:
		return "taken over"
	}
	return "granted"
}

// identify finds the Kisi user without a call where it can: in the ledger, or
// in the roster of an import, which also knows (listed) that the person has no
// access yet. A user of 0 is one that Kisi does not have.
func (e *Engine) identify(ctx context.Context, en *entry, want access.Want) (listed bool, err error) {
	g := &en.grant
	if g.User != 0 && access.SameEmail(g.Email, want.Email) {
		return false, nil
	}
	fresh := g.User == 0
	g.User = 0
	if fresh {
		if listed, err = e.store.Listed(ctx, en.target); err != nil {
			return false, err
		}
	}
	if listed {
		user, known, err := e.store.RosterUser(ctx, en.target.Connection, want.Email)
		if err != nil {
			return false, err
		}
		if known && user != 0 {
			g.User = user
			had, err := e.store.HadAccess(ctx, en.target, user)
			return !had, err
		}
		if known {
			return true, nil
		}
	}
	user, _, err := en.kisi.FindUser(ctx, en.urgency, want.Email)
	g.User = user.ID
	return false, err
}

// refuse is for an answer that is about one person alone: it is shown, tried
// again after a day, and nobody else waits.
func (e *Engine) refuse(ctx context.Context, en *entry, want access.Want, cause error) error {
	g := &en.grant
	g.Email, g.For, g.Standing, g.Why, g.Since = want.Email, want.For, access.Refused, cause.Error(), time.Now()
	return e.conclude(ctx, en, "refused", nil)
}

// takeOver makes access that was there ours, or leaves it alone for ever. The
// intent tells others of the same address that somebody counts on the access.
func (e *Engine) takeOver(ctx context.Context, en *entry, want access.Want, row access.Row) error {
	if err := e.intend(ctx, en, access.ToTake); err != nil {
		return err
	}
	_, err := e.meet(ctx, en)
	if err == nil {
		adopt(&en.grant, want, row)
	}
	return e.conclude(ctx, en, outcomeOf(en.grant), err)
}

// adopt writes down access that was there before.
func adopt(g *access.Grant, want access.Want, row access.Row) {
	g.Email, g.For, g.Row, g.More, g.User = want.Email, want.For, row.ID, row.More, row.User
	g.Standing, g.Adopted, g.Why, g.Since = access.Holds, true, "", time.Now()
	if want.Preserve {
		g.Standing, g.Adopted = access.Preserved, false
	}
}

// make does the two calls of a new grant; the intent is written.
func (e *Engine) make(ctx context.Context, en *entry, want access.Want) error {
	g := &en.grant
	if g.User == 0 {
		user, err := e.enroll(ctx, en, want)
		if err != nil || user == 0 {
			return err
		}
	}
	others, err := e.meet(ctx, en)
	if err != nil {
		return err
	}
	if en.known || len(others) > 0 {
		row, err := e.look(ctx, en)
		if err != nil {
			return err
		}
		if row.ID != 0 {
			adopt(g, want, row)
			return nil
		}
	}
	if en.target.Type == access.TargetUsers {
		g.Standing, g.Why, g.Since = access.Holds, "", time.Now()
		return nil
	}
	row, err := en.kisi.Grant(ctx, en.urgency, en.target, g.User, want.Notify && !en.quiet)
	switch fault.Of(err) {
	case fault.Clash:
		return e.exists(ctx, en, want)
	case fault.Missing:
		return e.vanished(ctx, en)
	}
	if err != nil {
		return err
	}
	e.wrote(ctx, en.target, row.ID)
	g.Standing, g.Row, g.More, g.Adopted, g.Why, g.Since = access.Holds, row.ID, nil, false, "", time.Now()
	return nil
}

// enroll makes the Kisi user. It returns 0 without an error when Kisi refuses
// the address: that is the person's standing then, and nobody else waits.
func (e *Engine) enroll(ctx context.Context, en *entry, want access.Want) (int, error) {
	g := &en.grant
	user, err := en.kisi.CreateUser(ctx, en.urgency, access.NewUser{
		Email: want.Email, Name: want.Person.Name, Person: want.Person.ID, Silent: want.Silent,
	})
	switch fault.Of(err) {
	case fault.Clash:
		if user, err = e.hidden(ctx, en, want); err != nil {
			return 0, err
		}
		en.known = true
	case fault.Invalid:
		g.Standing, g.Why, g.Since = access.Refused, err.Error(), time.Now()
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	g.User = user.ID
	if !en.known {
		e.wrote(ctx, usersOf(en.target.Connection), user.ID)
	}
	if en.target.Type == access.TargetUsers && !en.known {
		g.Name = want.Person.Name // we made the user, so we keep the name
	}
	if err := e.save(ctx, en); err != nil {
		return 0, err
	}
	return user.ID, e.store.AddToRoster(ctx, en.target.Connection, want.Email, user.ID)
}

// hidden finds a user that Kisi has and did not show.
func (e *Engine) hidden(ctx context.Context, en *entry, want access.Want) (access.User, error) {
	user, found, err := en.kisi.FindUser(ctx, en.urgency, want.Email)
	if err == nil && !found {
		err = &fault.Error{
			Class: fault.Busy, Op: "find the Kisi user of " + en.grant.Person, After: searchLag,
			Err: fmt.Errorf("Kisi says that the email exists, and does not find it yet"),
		}
	}
	return user, err
}

// exists takes over the access that Kisi says is there already.
func (e *Engine) exists(ctx context.Context, en *entry, want access.Want) error {
	row, err := e.look(ctx, en)
	if err != nil {
		return err
	}
	if row.ID != 0 {
		adopt(&en.grant, want, row)
		return nil
	}
	g := &en.grant
	g.Standing, g.Since = access.Refused, time.Now()
	g.Why = "Kisi says that the access exists, and shows none: see whether an expired assignment stands in its way"
	return nil
}

// vanished tells a user who is gone from a target that is gone.
func (e *Engine) vanished(ctx context.Context, en *entry) error {
	_, err := en.kisi.User(ctx, en.urgency, en.grant.User)
	switch {
	case fault.Is(err, fault.Missing):
		en.grant.User = 0
		return fault.New(fault.Clash, "grant to "+en.grant.Person, "the Kisi user is gone; a new one is made")
	case err != nil:
		return err
	}
	return &fault.Error{
		Class: fault.Invalid, Op: "grant in " + en.target.String(), Err: fmt.Errorf("Kisi has no such %s", en.target.Type),
		Hint: "delete the integration, or make it again with a target that exists",
	}
}
