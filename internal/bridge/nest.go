package bridge

import (
	"context"
	"fmt"
	"slices"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// nest gathers anew which groups lie within the roots of transitive
// integrations that g belongs to, and tells for which of these integrations
// that is another set than before. before is what g held directly until now.
func (e *Engine) nest(ctx context.Context, g access.Group, of []access.Integration, before []string) ([]string, error) {
	after, err := e.store.Inner(ctx, g)
	if err != nil {
		return nil, err
	}
	var moved []string
	done := map[access.Group]bool{}
	for _, i := range of {
		if i.Membership != access.Transitive {
			continue
		}
		if _, seen := done[i.Group]; !seen {
			done[i.Group], err = e.gather(ctx, i.Group, !slices.Equal(before, after))
			if err != nil {
				return nil, fmt.Errorf("groups within %s: %w", i.Group, err)
			}
		}
		if done[i.Group] {
			moved = append(moved, i.ID)
		}
	}
	return moved, nil
}

// gather walks from a root to every group within, reads those that were never
// read, and stores the set. The walk ends where it has been: cycles and
// diamonds do no harm.
func (e *Engine) gather(ctx context.Context, root access.Group, force bool) (changed bool, err error) {
	rev, err := e.store.NestedRev(ctx, root)
	if err != nil {
		return false, err
	}
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return false, err
	}
	inner, lost, err := e.walk(ctx, root)
	if err != nil {
		return false, err
	}
	known, ever := rules.Nested(root)
	old := make([]string, len(known))
	same := ever && len(known) == len(inner)
	for k, g := range known {
		old[k] = g.ID
		same = same && g.ID == inner[k] && rules.Lost(root, g) == lost[g.ID]
	}
	if same && !force {
		return false, nil
	}
	if !same {
		if err := e.unsettle(ctx, rules.OfGroup(root), root); err != nil {
			return false, err
		}
	}
	if err := e.store.SaveNested(ctx, root, rev, inner, lost); err != nil || same {
		return false, err
	}
	return true, e.keepMoved(ctx, root.Connection, append(old, inner...))
}

// unsettle says that everybody is to be decided about, for the groups within
// root are about to be others: a process that dies then leaves that to the
// next, which finds the new set and no difference.
func (e *Engine) unsettle(ctx context.Context, of []access.Integration, root access.Group) error {
	for _, i := range of {
		if i.Membership != access.Transitive || i.Group != root {
			continue
		}
		_, err := e.store.ChangeIntegration(ctx, i.ID, func(now *access.Integration) bool {
			was := now.Unsettled
			now.Unsettled = true
			return !was
		})
		if err != nil && !fault.Is(err, fault.Missing) {
			return err
		}
	}
	return nil
}

// walk lists the groups within a root, sorted, and which of them lie there
// only through a group that is deleted.
func (e *Engine) walk(ctx context.Context, root access.Group) (inner []string, lost map[string]bool, err error) {
	seen, lost := map[string]bool{}, map[string]bool{}
	inner = []string{}
	alive, behind := []string{root.ID}, []string(nil) // behind deleted groups
	for len(alive)+len(behind) > 0 {
		queue, hidden := &alive, false
		if len(alive) == 0 { // whatever is reached in another way was reached
			queue, hidden = &behind, true
		}
		g := access.Group{Connection: root.Connection, ID: (*queue)[0]}
		*queue = (*queue)[1:]
		if seen[g.ID] {
			continue
		}
		seen[g.ID] = true
		if g != root {
			inner, lost[g.ID] = append(inner, g.ID), hidden
			if err := e.meetGroup(ctx, g); err != nil {
				return nil, nil, err
			}
		}
		ids, gone, err := e.within(ctx, g)
		if err != nil {
			return nil, nil, err
		}
		if hidden || gone && g != root {
			behind = append(behind, ids...)
		} else {
			alive = append(alive, ids...)
		}
	}
	slices.Sort(inner)
	return inner, lost, nil
}

// within lists the groups that a group holds, and tells whether it is deleted.
func (e *Engine) within(ctx context.Context, g access.Group) (ids []string, gone bool, err error) {
	m, err := e.store.Membership(ctx, g)
	if err != nil {
		return nil, false, err
	}
	ids, err = e.store.Inner(ctx, g)
	return ids, m.Deleted != "", err
}

// meetGroup reads a group of which nothing is known yet. Nobody is taken for
// gone because a group was not read.
func (e *Engine) meetGroup(ctx context.Context, g access.Group) error {
	m, err := e.store.Membership(ctx, g)
	if err != nil || m.Rev > 0 {
		return err
	}
	if err := e.store.UseGroup(ctx, g); err != nil {
		return err
	}
	return e.read(ctx, g, access.PullOf(g, access.Allow, access.ByPull, time.Now()))
}

// keepMoved wakes the keeper of groups that came within a root, or left it.
func (e *Engine) keepMoved(ctx context.Context, tenant string, ids []string) error {
	slices.Sort(ids)
	var wakes []access.Wake
	for _, id := range slices.Compact(ids) {
		wakes = append(wakes, access.KeepOf(access.Group{Connection: tenant, ID: id}, access.ByPull, time.Now()))
	}
	return e.wake(ctx, wakes)
}
