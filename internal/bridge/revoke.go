package bridge

import (
	"context"
	"fmt"
	"slices"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// revoke deletes what a person holds of ours, under any address. The Kisi user
// always stays.
func (e *Engine) revoke(ctx context.Context, en *entry) error {
	if en.grant.Standing == access.Holds {
		if err := e.intend(ctx, en, access.ToRevoke); err != nil {
			return err
		}
		err := e.delete(ctx, en, en.grant.User, append(slices.Clone(en.grant.More), en.grant.Row))
		told := en.grant
		if err == nil {
			g := &en.grant
			g.Standing, g.Since, g.Why = access.None, time.Now(), ""
		}
		if err := e.concludeRevoke(ctx, en, told, err); err != nil {
			return err
		}
	}
	return e.clearOld(ctx, en)
}

// concludeRevoke lets the trail tell what was held, and the ledger that it is
// held no more.
func (e *Engine) concludeRevoke(ctx context.Context, en *entry, held access.Grant, callErr error) error {
	if callErr != nil {
		return e.conclude(ctx, en, "", callErr)
	}
	row := en.grant.Row
	en.grant.Cause = en.wake.Cause &^ access.ByPull
	if err := e.tellOf(ctx, en, "revoked"); err != nil {
		return err
	}
	g := &en.grant
	g.Intent, g.Adopted, g.Row, g.More = nil, false, 0, nil
	if g.Old == nil {
		g.For = nil
	}
	if err := e.save(ctx, en); err != nil {
		en.grant.Row, en.grant.For = row, held.For
		return err
	}
	return nil
}

// clearOld deletes what stands under an address that is not the person's any
// more.
func (e *Engine) clearOld(ctx context.Context, en *entry) error {
	old := en.grant.Old
	if old == nil {
		return nil
	}
	if err := e.intend(ctx, en, access.ToClear); err != nil {
		return err
	}
	var err error
	if old.Row != en.grant.Row { // or it is the grant itself
		err = e.delete(ctx, en, old.User, append(slices.Clone(old.More), old.Row))
	}
	if err == nil {
		en.grant.Old = nil
		if en.grant.Standing != access.Holds {
			en.grant.For = nil
		}
	}
	return e.conclude(ctx, en, "revoked under the address "+old.Email, err)
}

// delete makes the calls, unless somebody else who shares the Kisi user keeps
// the access. The last of the rows is the one that stands for the grant.
func (e *Engine) delete(ctx context.Context, en *entry, user int, rows []int) error {
	if en.target.Type == access.TargetUsers {
		return nil
	}
	if shared, err := e.shared(ctx, en, user, rows[len(rows)-1]); err != nil || shared {
		return err
	}
	for _, row := range rows {
		if err := e.deleteRow(ctx, en, user, row); err != nil {
			return err
		}
	}
	return nil
}

// deleteRow makes one call. A 404 can also mean that something else is gone,
// so that what is said to be gone is looked for.
func (e *Engine) deleteRow(ctx context.Context, en *entry, user, row int) error {
	err := en.kisi.Revoke(ctx, en.urgency, en.target, row)
	if err == nil {
		e.wrote(ctx, en.target, row)
	}
	if !fault.Is(err, fault.Missing) {
		return err
	}
	rows, err := en.kisi.Rows(ctx, en.urgency, en.target, user)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.ID == row {
			return fault.New(fault.Bug, fmt.Sprintf("delete row %d", r.ID), "Kisi says it is gone, and lists it")
		}
	}
	return nil
}
