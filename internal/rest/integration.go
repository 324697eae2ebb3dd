package rest

import (
	"time"

	"kisibridge/api"
	"kisibridge/internal/access"
	"kisibridge/internal/store"
)

// made turns what was asked for into an integration.
func made(b *api.IntegrationCreate) access.Integration {
	i := access.Integration{
		Name:   b.Name,
		Group:  access.Group{Connection: b.EntraConnectionID, ID: b.EntraGroupID},
		Target: access.Target{Connection: b.KisiConnectionID, Type: string(b.Target.Type), ID: b.Target.ID},
	}
	changed(&i, api.IntegrationPatch{
		EmailProperty: b.EmailProperty, Membership: b.Membership, ExistingAccess: b.ExistingAccess, DisabledAccounts: b.DisabledAccounts,
		RemovalLimit: b.RemovalLimit, RemovalMode: b.RemovalMode, RemovalHours: b.RemovalHours, Guests: b.Guests, Exclude: b.Exclude,
		FirstBatch: b.FirstBatch, Notify: b.Notify, SendEmails: b.SendEmails, Insist: b.Insist,
	})
	return i
}

// changed alters what a patch names.
func changed(i *access.Integration, p api.IntegrationPatch) {
	take(&i.Name, p.Name)
	takeWord(&i.EmailProperty, p.EmailProperty)
	takeWord(&i.Membership, p.Membership)
	takeWord(&i.ExistingAccess, p.ExistingAccess)
	takeWord(&i.DisabledAccounts, p.DisabledAccounts)
	if p.RemovalLimit != nil {
		i.RemovalLimit = &access.Limit{Count: p.RemovalLimit.Count, Percent: p.RemovalLimit.Percent}
	}
	takeWord(&i.RemovalMode, p.RemovalMode)
	if p.RemovalMode != nil && i.RemovalMode != access.RemoveAfter {
		i.RemovalHours = 0 // they belong to the mode that was
	}
	take(&i.RemovalHours, p.RemovalHours)
	takeNot(&i.NoGuests, p.Guests)
	take(&i.Exclude, p.Exclude)
	take(&i.FirstBatch, p.FirstBatch)
	takeNot(&i.Quiet, p.Notify)
	takeNot(&i.Silent, p.SendEmails)
	take(&i.Insist, p.Insist)
}

func take[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

func takeWord[T ~string](field *string, value *T) {
	if value != nil {
		*field = string(*value)
	}
}

// takeNot is for what an integration stores as its contrary.
func takeNot(field, value *bool) {
	if value != nil {
		*field = !*value
	}
}

// shown is an integration as callers see it.
func shown(i access.Integration) api.Integration {
	limit := i.Limit()
	exclude := i.Exclude
	if exclude == nil {
		exclude = []string{}
	}
	return api.Integration{
		ID: i.ID, Name: i.Name,
		EntraConnectionID: i.Group.Connection, EntraGroupID: i.Group.ID, KisiConnectionID: i.Target.Connection,
		Target:        api.Target{Type: api.TargetType(i.Target.Type), ID: i.Target.ID},
		EmailProperty: api.EmailProperty(i.EmailProperty), Membership: api.Membership(i.Membership),
		ExistingAccess: api.ExistingAccess(i.ExistingAccess), DisabledAccounts: api.DisabledAccounts(i.DisabledAccounts),
		RemovalLimit: api.RemovalLimit{Count: limit.Count, Percent: limit.Percent},
		RemovalMode:  api.RemovalMode(i.RemovalMode), RemovalHours: i.RemovalHours,
		Guests: !i.NoGuests, Exclude: exclude, FirstBatch: i.FirstBatch, Notify: !i.Quiet,
		SendEmails: !i.Silent && i.Target.Type != access.TargetUsers, Insist: i.Insist,
		State: api.IntegrationState(i.State), StateReason: i.Why, StateSince: i.Since.UTC(), CreatedAt: i.Created.UTC(),
	}
}

// at leaves out a time that there is not.
func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// ref names a person.
func ref(p access.Person) api.PersonRef {
	return api.PersonRef{EntraUserID: p.ID, Email: addressOf(p), Name: p.Name}
}

// addressOf is the address by which people know a person.
func addressOf(p access.Person) string {
	for _, property := range []string{access.EmailUPN, access.EmailMail} {
		if email, _ := p.Email(property); email != "" {
			return email
		}
	}
	return ""
}

// refs names people of whom only ids are given.
func refs(ids []string, known map[string]access.Person) []api.PersonRef {
	return each(ids, func(id string) api.PersonRef {
		p := known[id]
		p.ID = id
		return ref(p)
	})
}

// subscription shows one, or nothing where there never was one.
func subscription(s access.Subscription) *api.Subscription {
	if s.Group.ID == "" {
		return nil
	}
	shown := api.Subscription{
		ID: s.ID, EntraConnectionID: s.Group.Connection, Scope: api.SubscriptionScopeGroup, EntraGroupID: s.Group.ID,
		Healthy: s.Healthy(time.Now()), Refused: s.Refused, CreatedAt: at(s.Created), ExpiresAt: at(s.Expires),
	}
	switch s.Group.ID {
	case access.AllGroups:
		shown.Scope, shown.EntraGroupID = api.SubscriptionScopeGroups, ""
	case access.AllUsers:
		shown.Scope, shown.EntraGroupID = api.SubscriptionScopeUsers, ""
	}
	return &shown
}

// trouble shows the last error about a person.
func trouble(t *store.Trouble) *api.Trouble {
	if t == nil {
		return nil
	}
	return &api.Trouble{Class: t.Class, Detail: t.Err, At: t.At.UTC(), NextTry: at(t.Next)}
}
