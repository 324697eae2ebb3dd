package bridge

import (
	"context"
	"slices"
	"time"

	"kisibridge/internal/access"
)

// Graph allows an app 100 subscriptions in a tenant. One is that of all people.
// From mostOwn groups on, one of all groups takes the place of the many; it
// goes again below fewOwn, so that nothing moves to and fro.
const (
	mostOwn = 95
	fewOwn  = 80

	// wideFor is how long a tenant-wide subscription stays that was made
	// because others had used up the quota.
	wideFor = 24 * time.Hour
)

// wide is the subscription of all groups of a tenant, everybody that of all
// people.
func wide(tenant string) access.Group {
	return access.Group{Connection: tenant, ID: access.AllGroups}
}

func everybody(tenant string) access.Group {
	return access.Group{Connection: tenant, ID: access.AllUsers}
}

func special(g access.Group) bool { return g.ID == access.AllGroups || g.ID == access.AllUsers }

// wanted tells whether a subscription is needed.
func (k *keeper) wanted(g access.Group) bool {
	own := k.groups(g.Connection)
	switch g.ID {
	case access.AllUsers:
		return len(own) > 0
	case access.AllGroups:
		return k.wantsWide(g, own)
	}
	if len(live(k.rules.OfGroup(g))) == 0 {
		return false
	}
	// Where one of all groups stands, none of this group is needed beside it.
	w := k.subs[wide(g.Connection)]
	return !w.Healthy(k.now) || !k.wantsWide(wide(g.Connection), own)
}

// groups lists the groups of a tenant that live integrations read.
func (k *keeper) groups(tenant string) []access.Group { return slices.Clip(k.rules.Live(tenant)) }

func (k *keeper) wantsWide(g access.Group, own []access.Group) bool {
	sub := k.subs[g]
	switch {
	case len(own) == 0:
		return false
	case len(own) > mostOwn:
		return true
	case sub.Healthy(k.now):
		return len(own) > fewOwn || k.now.Sub(sub.Created) < wideFor
	}
	return k.anyRefused(own)
}

// anyRefused tells whether Graph refused a group its own subscription, or that
// of all people while several groups stand in its way.
func (k *keeper) anyRefused(own []access.Group) bool {
	if len(own) > 1 && k.subs[everybody(own[0].Connection)].Refused != "" {
		return true
	}
	for _, g := range own {
		if k.subs[g].Refused != "" {
			return true
		}
	}
	return false
}

// subscribeWide subscribes to all groups. Where the quota is used up, one group
// gives up its own subscription for it; what changes meanwhile is found by the
// read that follows each new one.
func (k *keeper) subscribeWide(ctx context.Context, dir Entra, g access.Group) error {
	refused := func() (bool, error) {
		if err := k.subscribe(ctx, dir, g); err != nil {
			return false, err
		}
		made, err := k.store.Subscription(ctx, g)
		return made.Refused != "", err
	}
	if still, err := refused(); err != nil || !still {
		return err
	}
	for _, own := range k.groups(g.Connection) {
		if !k.subs[own].Healthy(k.now) {
			continue
		}
		// Forgotten first: a subscription that nobody knows is found and
		// replaced, one that nobody has would be counted on.
		if err := k.store.DropSubscription(ctx, own); err != nil {
			return err
		}
		if err := dir.Unsubscribe(ctx, k.subs[own].ID); err != nil {
			return err
		}
		if still, err := refused(); err != nil || !still {
			return err
		}
		return k.subscribe(ctx, dir, own)
	}
	return nil
}

// leaveWide goes back to a subscription for each group: all of these are made
// first, and only when every one stands does the tenant-wide one go.
func (k *keeper) leaveWide(ctx context.Context, g access.Group) error {
	sub := k.subs[g]
	if sub.ID == "" {
		return k.unsubscribe(ctx, g, sub)
	}
	dir, err := k.directory(ctx, g.Connection)
	if err != nil {
		return err
	}
	all := true
	for _, own := range k.groups(g.Connection) {
		if k.url == "" || k.subs[own].Healthy(k.now) {
			continue
		}
		if err := k.subscribe(ctx, dir, own); err != nil {
			return err
		}
		made, err := k.store.Subscription(ctx, own)
		if err != nil {
			return err
		}
		all = all && made.Healthy(k.now)
	}
	if !all {
		return nil
	}
	k.log.Info("every group has its own subscription again", "tenant", g.Connection)
	return k.unsubscribe(ctx, g, sub)
}

// heard tells whether changes of a group are told to us.
func heard(subs map[access.Group]access.Subscription, g access.Group, now time.Time) bool {
	return subs[g].Healthy(now) || subs[wide(g.Connection)].Healthy(now)
}
