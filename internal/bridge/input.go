package bridge

import (
	"context"
	"maps"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/store"
)

// input gathers what a decision about target rests on: about some people, or
// about everybody when none are named. Verdicts and the number of grants are
// for a pass to add.
func (e *Engine) input(ctx context.Context, rules *store.Rules, t access.Target, people ...string) (access.Input, error) {
	in := access.Input{People: map[string]access.Person{}, Now: time.Now()}
	var err error
	if in.Held, err = e.store.Grants(ctx, t, people...); err != nil {
		return in, err
	}
	read := map[access.Group]*roll{}
	for _, i := range rules.OfTarget(t) {
		c, err := e.caller(ctx, rules, i, read, people)
		if err != nil {
			return in, err
		}
		in.Callers = append(in.Callers, c)
		if err := e.details(ctx, in, i.Group.Connection, c.Members); err != nil {
			return in, err
		}
	}
	return in, nil
}

// A roll is who is in a group, of the people in question.
type roll struct {
	store.Membership
	people map[string]bool
}

// caller reads whom an integration calls for; read keeps what was read before.
func (e *Engine) caller(ctx context.Context, rules *store.Rules, i access.Integration, read map[access.Group]*roll, people []string) (access.Caller, error) {
	for _, g := range rules.Reads(i) {
		if _, err := e.roll(ctx, g, read, people); err != nil {
			return access.Caller{Integration: i}, err
		}
	}
	return callerOf(rules, i, func(g access.Group) roll { return *read[g] }), nil
}

// callerOf joins what is known of the groups that an integration reads.
func callerOf(rules *store.Rules, i access.Integration, of func(access.Group) roll) access.Caller {
	c := access.Caller{Integration: i, Members: map[string]bool{}, Orphans: map[string]bool{}}
	for _, g := range rules.Reads(i) {
		r := of(g)
		c.Unread = c.Unread || r.Rev == 0
		switch {
		case g == i.Group:
			_, walked := rules.Nested(g)
			c.Unread = c.Unread || i.Membership == access.Transitive && !walked
			c.Deleted = deletedHow(r.Deleted)
			maps.Copy(c.Members, r.people)
		case r.Deleted != "" || rules.Lost(i.Group, g):
			maps.Copy(c.Orphans, r.people)
		default:
			maps.Copy(c.Members, r.people)
		}
	}
	return c
}

func (e *Engine) roll(ctx context.Context, g access.Group, read map[access.Group]*roll, people []string) (*roll, error) {
	if read[g] != nil {
		return read[g], nil
	}
	m, err := e.store.Membership(ctx, g)
	if err != nil {
		return nil, err
	}
	members, err := e.store.Members(ctx, g, people...)
	read[g] = &roll{m, members}
	return read[g], err
}

// deletedHow puts Graph's word for a deleted group in ours.
func deletedHow(reason string) string {
	switch reason {
	case "":
		return ""
	case "changed":
		return "deleted in Entra and can be restored there within 30 days"
	}
	return "no longer there in Entra"
}

// details adds what is known of members and of those who hold something.
func (e *Engine) details(ctx context.Context, in access.Input, tenant string, members map[string]bool) error {
	var ids []string
	for id := range members {
		if _, known := in.People[id]; !known {
			ids = append(ids, id)
		}
	}
	for id := range in.Held {
		if _, known := in.People[id]; !known && !members[id] {
			ids = append(ids, id)
		}
	}
	people, err := e.store.People(ctx, tenant, ids)
	maps.Copy(in.People, people)
	return err
}
