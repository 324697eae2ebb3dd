package webhook

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"kisibridge/internal/access"
)

// maxID bounds an id that is asked about. Graph's have 36 bytes.
const maxID = 100

// A subscription to a whole tenant tells of many groups and people, of which
// the bridge cares for few. Which, is asked once for a whole body, so that a
// flood about the others costs one look-up a body and no work.

// asked are the groups, or the people, that a body names, each once.
type asked struct {
	of   []access.Group
	told []told // beside of
	used []bool // beside of: the answer; none while it is not known
	at   map[access.Group]int
}

// told is what a body says about one of them.
type told struct {
	since time.Time // the earliest
	items int
}

// forget drops all but the map's memory: of and used are in others' hands.
func (a *asked) forget() {
	a.of, a.used, a.told = nil, nil, a.told[:0]
	clear(a.at)
}

func (a *asked) add(g access.Group, since time.Time) {
	k, ok := a.at[g]
	if !ok {
		if a.at == nil {
			a.at = map[access.Group]int{}
		}
		k = len(a.of)
		a.at[g] = k
		a.of = append(a.of, g)
		a.told = append(a.told, told{since: since})
	}
	t := &a.told[k]
	t.items++
	if since.Before(t.since) {
		t.since = since
	}
}

// unused counts the items about what nobody cares for.
func (a *asked) unused() (items int) {
	for k, used := range a.used {
		if !used {
			items += a.told[k].items
		}
	}
	return items
}

// mention notes what a notice of a tenant-wide subscription is about.
func (b *batch) mention(n *notice, sub *ours) outcome {
	id, ok := idOf(sub.covers, n.resource)
	switch {
	case len(n.resource) == 0: // it could be about anything
		return malformed
	case !ok:
		return otherGroup
	case !sane(id):
		return malformed
	}
	of := &b.groups
	if sub.group.ID == access.AllUsers {
		of = &b.people
	}
	// Graph's own ids are in lower case.
	g := access.Group{Connection: sub.group.Connection, ID: strings.ToLower(string(id))}
	of.add(g, b.since(n))
	return accepted // until ask knows better
}

// sane tells whether an id can stand in a key and in a request's path.
func sane(id []byte) bool {
	if len(id) == 0 || len(id) > maxID {
		return false
	}
	return !slices.ContainsFunc(id, func(c byte) bool {
		return c <= ' ' || c > '~' || strings.IndexByte("/{}*", c) >= 0
	})
}

// ask finds out what of the body the bridge cares for.
func (b *batch) ask(ctx context.Context, known knownFunc) error {
	if len(b.groups.of)+len(b.people.of) == 0 {
		return nil
	}
	groups, people, err := known(ctx, b.groups.of, b.people.of)
	if err != nil {
		return err
	}
	if len(groups) != len(b.groups.of) || len(people) != len(b.people.of) {
		return fmt.Errorf("ask about %d groups and %d people: answers for %d and %d",
			len(b.groups.of), len(b.people.of), len(groups), len(people))
	}
	b.groups.used, b.people.used = groups, people
	ignored := b.groups.unused() + b.people.unused()
	b.outcomes[accepted] -= ignored
	b.outcomes[unused] += ignored
	return nil
}

type knownFunc func(ctx context.Context, groups, people []access.Group) (groupsUsed, peopleKnown []bool, err error)

// everything stands in for an Options.Known that is nil.
func everything(_ context.Context, groups, people []access.Group) (groupsUsed, peopleKnown []bool, err error) {
	yes := []bool{true}
	return slices.Repeat(yes, len(groups)), slices.Repeat(yes, len(people)), nil
}

// wakesOf adds those for what is used of groups and known of people.
func (b *batch) wakesOf(wakes []access.Wake) []access.Wake {
	for k, used := range b.groups.used {
		if used {
			wakes = append(wakes, access.PullOf(b.groups.of[k], access.Revoke, access.ByNotice, b.groups.told[k].since))
		}
	}
	for k, known := range b.people.used {
		if known {
			p := b.people.of[k]
			wakes = append(wakes, access.ProfileOf(p.Connection, p.ID, access.ByUsers, b.people.told[k].since))
		}
	}
	return wakes
}
