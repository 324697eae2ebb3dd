package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
	"kisibridge/internal/store"
)

func checkEntra(ctx context.Context, c app.Config) []finding {
	if c.TenantID == "" {
		return []finding{{warn, "entra: no tenant is connected", "set AZURE_TENANT_ID, AZURE_CLIENT_ID and a credential"}}
	}
	client, err := newDirectory(c, c.TenantID, nil)
	if err != nil {
		return []finding{{fail, err.Error(), ""}}
	}
	got, err := client.Check(ctx)
	if err != nil {
		return []finding{{fail, err.Error(), ""}}
	}
	found := []finding{{fine, "entra: tenant " + c.TenantID + " gives a token", ""}}
	for _, need := range []struct {
		name string
		has  bool
	}{{"GroupMember.Read.All", got.GroupMemberReadAll || got.GroupReadAll}, {"User.Read.All", got.UserReadAll}} {
		if need.has {
			found = append(found, finding{fine, "entra: permission " + need.name, ""})
			continue
		}
		found = append(found, finding{fail, "entra: no permission " + need.name, "add it to the app registration as an application permission and grant admin consent; it can take minutes to show"})
	}
	if got.UserReadAll {
		found = append(found, finding{fine, "entra: subscribing to users is allowed", ""})
	} else {
		found = append(found, finding{warn, "entra: subscribing to users may be refused; then disabled and deleted accounts are seen within a minute", "add User.Read.All and grant admin consent"})
	}
	if got.GroupReadAll {
		found = append(found, finding{fine, "entra: subscribing to groups is allowed", ""})
	} else {
		found = append(found, finding{warn, "entra: subscribing to groups may be refused; then they are swept every minute", "add Group.Read.All and grant admin consent"})
	}
	return append(found, skew("graph", got.Skew))
}

// checkTold looks at the subscriptions that serve made: what a token allows,
// Graph may refuse all the same.
func (p *program) checkTold(ctx context.Context, c app.Config) []finding {
	if c.TenantID == "" || c.PublicURL == "" {
		return nil
	}
	var subs map[access.Group]access.Subscription
	err := p.stored(ctx, func(s *store.Store) (err error) {
		subs, err = s.Subscriptions(ctx)
		return err
	})
	if err != nil {
		return nil // said of Redis
	}
	const remedy = "grant admin consent to Group.Read.All and User.Read.All; for a quota, see which other apps subscribe"
	var found []finding
	if why := subs[access.Group{Connection: c.TenantID, ID: access.AllUsers}].Refused; why != "" {
		found = append(found, finding{warn, "entra: Graph refuses to tell of accounts, so that they are read every minute: " + why, remedy})
	}
	if n, why := refused(subs); n > 0 {
		found = append(found, finding{warn, fmt.Sprintf("entra: Graph refuses to tell of %d groups, so that they are read every minute: %s", n, why), remedy})
	}
	return found
}

// refused counts the groups that Graph refuses to tell of, unless it tells of
// all groups at once, and gives the first reason.
func refused(subs map[access.Group]access.Subscription) (n int, why string) {
	groups := slices.SortedFunc(maps.Keys(subs), func(a, b access.Group) int { return strings.Compare(a.String(), b.String()) })
	for _, g := range groups {
		wide := subs[access.Group{Connection: g.Connection, ID: access.AllGroups}]
		if g.ID == access.AllUsers || g.ID == access.AllGroups || subs[g].Refused == "" || wide.Healthy(time.Now()) {
			continue
		}
		if n++; why == "" {
			why = subs[g].Refused
		}
	}
	return n, why
}
