package bridge

import (
	"context"
	"slices"
	"time"

	"kisibridge/internal/access"
)

// witnessFrom is the number of removals in one pass that are made without
// asking Graph from the other side.
const witnessFrom = 5

// doubted asks a second witness about people whom a pass would remove, and
// returns those of whom it says that they belong. What cannot be asked is an
// error, and nobody is removed.
func (e *Engine) doubted(ctx context.Context, in access.Input, leaving []string) ([]string, error) {
	suspects := slices.ContainsFunc(leaving, func(id string) bool { return in.Verdicts[id].State == access.Doubted })
	if len(leaving) <= witnessFrom && !suspects {
		return nil, nil
	}
	var doubted []string
	for _, c := range in.Callers {
		i := c.Integration
		if i.State == access.Deleting || i.State == access.Paused || c.Deleted != "" {
			continue
		}
		var left, off []string // the group, or the company
		for _, id := range leaving {
			switch {
			case !slices.Contains(in.Held[id].For, i.ID):
			case c.Members[id]:
				off = append(off, id)
			default:
				left = append(left, id)
			}
		}
		for _, ask := range []func() ([]string, error){
			func() ([]string, error) { return e.stillIn(ctx, i, left) },
			func() ([]string, error) { return e.stillOn(ctx, in, c, off) },
		} {
			more, err := ask()
			if err != nil {
				return nil, err
			}
			doubted = append(doubted, more...)
		}
	}
	slices.Sort(doubted)
	doubted = slices.Compact(doubted)
	if len(doubted) > 0 {
		e.metrics.doubts.Add(float64(len(doubted)))
		e.log.Warn("Graph contradicts itself, the removals wait", "people", len(doubted), "of", len(leaving))
	}
	return doubted, nil
}

// stillIn asks each person's side whether they are in the group of i. That
// counts groups within groups, so that where the integration does not, the
// member list has the word.
func (e *Engine) stillIn(ctx context.Context, i access.Integration, people []string) ([]string, error) {
	if len(people) == 0 {
		return nil, nil
	}
	dir, err := e.directory(ctx, i.Group.Connection)
	if err != nil {
		return nil, err
	}
	of, err := dir.Belongs(ctx, people, []string{i.Group.ID})
	if err != nil {
		return nil, err
	}
	var still []string
	for _, id := range people {
		if len(of[id]) > 0 {
			still = append(still, id)
		}
	}
	if len(still) == 0 || i.Membership == access.Transitive {
		return still, nil
	}
	inner, err := e.store.Inner(ctx, i.Group)
	if err != nil || len(inner) == 0 {
		return still, err
	}
	listed, _, err := dir.Members(ctx, i.Group.ID)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(still, func(id string) bool {
		return !slices.ContainsFunc(listed, func(m access.Member) bool { return m.ID == id })
	}), nil
}

// stillOn reads anew the details because of which people would be removed.
func (e *Engine) stillOn(ctx context.Context, in access.Input, c access.Caller, people []string) ([]string, error) {
	if len(people) == 0 {
		return nil, nil
	}
	dir, err := e.directory(ctx, c.Integration.Group.Connection)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	read, err := dir.People(ctx, people)
	if err != nil {
		return nil, err
	}
	if _, err := e.savePeople(ctx, dir, c.Integration.Group.Connection, read, began); err != nil {
		return nil, err
	}
	var still []string
	for _, p := range read {
		if c.Calls(p, in.Held[p.ID]) {
			still = append(still, p.ID)
		}
	}
	return still, nil
}

// lookTwice has the groups read from the list, which settles the doubt.
func (e *Engine) lookTwice(ctx context.Context, callers []access.Caller, w access.Wake) error {
	for _, c := range callers {
		if err := e.waker.Later(ctx, access.PullOf(c.Integration.Group, access.Revoke, access.ByDoubt, w.Since), 30*time.Second); err != nil {
			return err
		}
	}
	return nil
}
