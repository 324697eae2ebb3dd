package bridge

import (
	"context"
	"maps"
	"math"
	"time"

	"kisibridge/internal/access"
)

// input gathers what a decision about target rests on: about some people, or
// about everybody when none are named. It also gives the removals that wait.
// How many hold grants is not counted: whether a removal is one of too many is
// a question for a pull.
func (e *Engine) input(ctx context.Context, t access.Target, people ...string) (access.Input, access.Hold, error) {
	in := access.Input{People: map[string]access.Person{}, Excused: map[string]bool{}, Grants: math.MaxInt32, Now: time.Now()}
	of, err := e.using(ctx, ofTarget(t))
	if err != nil {
		return in, access.Hold{}, err
	}
	if in.Held, err = e.store.Grants(ctx, t, people...); err != nil {
		return in, access.Hold{}, err
	}
	members := map[access.Group]map[string]bool{}
	for _, g := range groups(of) {
		if members[g], err = e.store.Members(ctx, g, people...); err != nil {
			return in, access.Hold{}, err
		}
		if err := e.details(ctx, in, g.Connection, members[g]); err != nil {
			return in, access.Hold{}, err
		}
	}
	for _, i := range of {
		in.Callers = append(in.Callers, access.Caller{Integration: i, Members: members[i.Group]})
	}
	hold, err := e.store.Hold(ctx, t)
	if hold.Approved {
		for _, id := range hold.People {
			in.Excused[id] = true
		}
	}
	return in, hold, err
}

// details adds what is known of members to the input.
func (e *Engine) details(ctx context.Context, in access.Input, tenant string, members map[string]bool) error {
	var ids []string
	for id := range members {
		if _, known := in.People[id]; !known {
			ids = append(ids, id)
		}
	}
	people, err := e.store.People(ctx, tenant, ids)
	maps.Copy(in.People, people)
	return err
}
