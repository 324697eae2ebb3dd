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
	read := map[access.Group]map[string]bool{}
	for _, i := range rules.OfTarget(t) {
		c := access.Caller{Integration: i}
		if c.Members, err = e.members(ctx, rules.Reads(i), read, people); err != nil {
			return in, err
		}
		m, err := e.store.Membership(ctx, i.Group)
		if err != nil {
			return in, err
		}
		_, walked := rules.Nested(i.Group)
		c.Unread = m.Rev == 0 || i.Membership == access.Transitive && !walked
		c.Deleted = deletedHow(m.Deleted)
		in.Callers = append(in.Callers, c)
		if err := e.details(ctx, in, i.Group.Connection, c.Members); err != nil {
			return in, err
		}
	}
	return in, nil
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

// members joins the people of groups; read keeps what was read before.
func (e *Engine) members(ctx context.Context, groups []access.Group, read map[access.Group]map[string]bool, people []string) (map[string]bool, error) {
	var all map[string]bool
	for _, g := range groups {
		if read[g] == nil {
			m, err := e.store.Members(ctx, g, people...)
			if err != nil {
				return nil, err
			}
			read[g] = m
		}
		if len(groups) == 1 {
			return read[g], nil
		}
		if all == nil {
			all = map[string]bool{}
		}
		maps.Copy(all, read[g])
	}
	return all, nil
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
