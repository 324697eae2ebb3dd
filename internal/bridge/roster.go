package bridge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// errLong says that listing costs more than it saves.
var errLong = errors.New("the organization is larger than the import")

// Roster lists what Kisi holds before many people are imported, so that each
// of them costs one call, or two when Kisi does not know the person. Access
// that stands is taken over from the list, without any call.
func (e *Engine) Roster(ctx context.Context, w access.Wake) error {
	t, err := access.ParseTarget(w.Name)
	if err != nil {
		return &fault.Error{Class: fault.Invalid, Op: "roster", Err: err}
	}
	k, err := e.organization(ctx, t.Connection)
	if err != nil {
		return err
	}
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return err
	}
	in, err := e.input(ctx, rules, t)
	if err != nil {
		return err
	}
	v, err := e.store.Verdicts(ctx, t)
	if err != nil {
		return err
	}
	in.Verdicts = v.Of
	plan := access.Decide(in)
	makes, err := e.takeRoster(ctx, k, t, in, plan.Make, w)
	if err != nil {
		return fmt.Errorf("roster %s: %w", t, err)
	}
	u := access.Import
	if len(makes) <= importFrom {
		u = access.Allow
	}
	wakes := make([]access.Wake, len(makes))
	for n, want := range makes {
		wakes[n] = access.ApplyOf(t, want.Person.ID, u, w.Cause|access.ByPull, w.Since)
	}
	e.log.Info("import", "target", t.String(), "people", len(makes), "taken_over", len(plan.Make)-len(makes))
	return errors.Join(e.wake(ctx, wakes), e.again(ctx, t, w, takenOver(plan.Make, makes)...))
}

// takenOver lists those of all who are not left to be granted.
func takenOver(all, left []access.Want) []string {
	waits := make(map[string]bool, len(left))
	for _, want := range left {
		waits[want.Person.ID] = true
	}
	var people []string
	for _, want := range all {
		if !waits[want.Person.ID] {
			people = append(people, want.Person.ID)
		}
	}
	return people
}

// takeRoster lists users and access, takes over what stands, and returns who
// is left. A list that is too long to be worth it, or that Kisi cuts off, is
// not kept: then everybody is looked up.
func (e *Engine) takeRoster(ctx context.Context, k Kisi, t access.Target, in access.Input, makes []access.Want, w access.Wake) ([]access.Want, error) {
	if listed, err := e.store.Listed(ctx, t); err != nil || listed || len(makes) <= importFrom {
		return makes, err
	}
	users, err := listUsers(ctx, k, len(makes))
	if errors.Is(err, errLong) || fault.Is(err, fault.Invalid) {
		e.log.Info("people are looked up one by one", "target", t.String(), "why", err)
		return makes, nil
	}
	if err != nil {
		return nil, err
	}
	rows, err := listRows(ctx, k, t, access.Import)
	if fault.Is(err, fault.Invalid) {
		e.log.Info("people are looked up one by one", "target", t.String(), "why", err)
		return makes, nil
	}
	if err != nil {
		return nil, err
	}
	left, err := e.takeOverAll(ctx, t, in, makes, users, rows, w)
	if err != nil {
		return nil, err
	}
	return left, e.store.SaveRoster(ctx, t, users, slices.Collect(maps.Keys(rows)))
}

// listUsers maps folded emails to users.
func listUsers(ctx context.Context, k Kisi, wanted int) (map[string]int, error) {
	users := map[string]int{}
	long := false
	err := twice(func() error {
		clear(users)
		return k.EachUser(ctx, access.Import, func(page []access.User, total int) bool {
			if long = total/100 > wanted; long {
				return false
			}
			for _, u := range page {
				users[access.FoldEmail(u.Email)] = u.ID
			}
			return true
		})
	})
	if err == nil && long {
		err = errLong
	}
	return users, err
}

// listRows maps users to the access that they have on the target.
func listRows(ctx context.Context, k Kisi, t access.Target, u access.Urgency) (map[int]access.Row, error) {
	rows := map[int]access.Row{}
	if t.Type == access.TargetUsers {
		return rows, nil
	}
	err := twice(func() error {
		clear(rows)
		return k.EachRow(ctx, u, t, func(page []access.Row, _ int) bool {
			for _, r := range page {
				all := []access.Row{r}
				if before, twice := rows[r.User]; twice {
					all = append(all, before)
					for _, id := range before.More {
						all = append(all, access.Row{ID: id, User: r.User})
					}
				}
				rows[r.User] = access.RowsOf(all, 0)
			}
			return true
		})
	})
	return rows, err
}

// twice lists once more when others wrote meanwhile and moved the pages; who
// asked to be left alone for a while is left alone.
func twice(list func() error) error {
	err := list()
	if fault.Is(err, fault.Busy) && fault.After(err) == 0 {
		err = list()
	}
	return err
}

// takeOverAll writes down everybody whose access stands already. Whoever
// shares an address with somebody, or moves to a new one, is left for a closer
// look.
func (e *Engine) takeOverAll(ctx context.Context, t access.Target, in access.Input, makes []access.Want, users map[string]int, rows map[int]access.Row, w access.Wake) ([]access.Want, error) {
	addresses := map[string]int{}
	for _, want := range makes {
		addresses[access.FoldEmail(want.Email)]++
	}
	var left []access.Want
	for _, want := range makes {
		g, email := in.Held[want.Person.ID], access.FoldEmail(want.Email)
		row, stands := rows[users[email]]
		if t.Type == access.TargetUsers {
			row.User, stands = users[email], users[email] != 0
		}
		if !stands || g.Intent != nil || g.Opens() || addresses[email] > 1 {
			left = append(left, want)
			continue
		}
		g.Person = want.Person.ID
		if err := e.takeOverOne(ctx, t, g, want, row, w); err != nil {
			return nil, err
		}
	}
	return left, nil
}

func (e *Engine) takeOverOne(ctx context.Context, t access.Target, g access.Grant, want access.Want, row access.Row, w access.Wake) error {
	en := &entry{target: t, grant: g, wake: w}
	others, err := e.meet(ctx, &entry{target: t, grant: access.Grant{Person: g.Person, User: row.User}})
	if fault.Is(err, fault.Busy) || len(others) > 0 {
		return e.waker.Wake(ctx, access.ApplyOf(t, g.Person, access.Allow, w.Cause|access.ByPull, w.Since))
	}
	if err != nil {
		return err
	}
	adopt(&en.grant, want, row)
	err = e.conclude(ctx, en, outcomeOf(en.grant), nil)
	if fault.Is(err, fault.Clash) {
		return nil // somebody is at work on this very person
	}
	return err
}
