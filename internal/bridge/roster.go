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
	k, err := e.organization(t.Connection)
	if err != nil {
		return err
	}
	in, _, err := e.input(ctx, t)
	if err != nil {
		return err
	}
	plan := access.Decide(in)
	makes, err := e.takeRoster(ctx, k, t, in, plan.Make)
	if err != nil {
		return fmt.Errorf("roster %s: %w", t, err)
	}
	u := access.Import
	if len(makes) <= importFrom {
		u = access.Allow
	}
	wakes := make([]access.Wake, len(makes))
	for n, want := range makes {
		wakes[n] = access.ApplyOf(t, want.Person.ID, u, access.ByPull, w.Since)
	}
	e.log.Info("import", "target", t.String(), "people", len(makes), "taken_over", len(plan.Make)-len(makes))
	return e.wake(ctx, wakes)
}

// takeRoster lists users and access, takes over what stands, and returns who
// is left. A list that is too long to be worth it, or that Kisi cuts off, is
// not kept: then everybody is looked up.
func (e *Engine) takeRoster(ctx context.Context, k Kisi, t access.Target, in access.Input, makes []access.Want) ([]access.Want, error) {
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
	rows, err := listRows(ctx, k, t)
	if fault.Is(err, fault.Invalid) {
		e.log.Info("people are looked up one by one", "target", t.String(), "why", err)
		return makes, nil
	}
	if err != nil {
		return nil, err
	}
	left, err := e.takeOverAll(ctx, t, in, makes, users, rows)
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
func listRows(ctx context.Context, k Kisi, t access.Target) (map[int]access.Row, error) {
	rows := map[int]access.Row{}
	if t.Type == access.TargetUsers {
		return rows, nil
	}
	err := twice(func() error {
		clear(rows)
		return k.EachRow(ctx, access.Import, t, func(page []access.Row, _ int) bool {
			for _, r := range page {
				rows[r.User] = r
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

// takeOverAll writes down everybody whose access stands already.
func (e *Engine) takeOverAll(ctx context.Context, t access.Target, in access.Input, makes []access.Want, users map[string]int, rows map[int]access.Row) ([]access.Want, error) {
	var left []access.Want
	for _, want := range makes {
		g := in.Held[want.Person.ID]
		row, stands := rows[users[access.FoldEmail(want.Email)]]
		if t.Type == access.TargetUsers {
			row.User, stands = users[access.FoldEmail(want.Email)], users[access.FoldEmail(want.Email)] != 0
		}
		if !stands || g.Intent != nil {
			left = append(left, want)
			continue
		}
		g.Person = want.Person.ID
		adopt(&g, want, row)
		if _, err := e.store.SaveGrant(ctx, t, g); err != nil && !fault.Is(err, fault.Clash) {
			return nil, err
		}
	}
	return left, nil
}
