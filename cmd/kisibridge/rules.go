package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"kisibridge/api"
	"kisibridge/internal/access"
)

// Rules are the flags that say how an integration behaves. Only those that were
// given are sent: the bridge knows the defaults, and keeps what is not named.
type rules struct {
	cmd *cobra.Command
	of  map[string]func(p *api.IntegrationPatch, was api.RemovalLimit) // flag → what it changes
}

func rulesOf(c *cobra.Command) rules {
	r := rules{cmd: c, of: map[string]func(*api.IntegrationPatch, api.RemovalLimit){}}
	r.aboutPeople()
	r.aboutRemovals()
	r.aboutMails()
	return r
}

// patch is what the flags ask for; was are the limits that a flag for one of
// the two leaves as they were.
func (r rules) patch(was api.RemovalLimit) (patch api.IntegrationPatch, given bool) {
	for flag, apply := range r.of {
		if r.cmd.Flags().Changed(flag) {
			apply(&patch, was)
			given = true
		}
	}
	r.limit(&patch, was)
	return patch, given
}

// create adds the rules to a new integration.
func (r rules) create(i *api.IntegrationCreate) error {
	l := access.Integration{}.Limit()
	patch, _ := r.patch(api.RemovalLimit{Count: l.Count, Percent: l.Percent})
	text, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, i) // its fields are among those of a creation
}

// set takes a flag down that fills one field of the same type.
func set[T any](r rules, flag string, value *T, field func(*api.IntegrationPatch) **T) {
	r.of[flag] = func(p *api.IntegrationPatch, _ api.RemovalLimit) { *field(p) = value }
}

// word is set for a flag with a few words to choose from, which the shell knows.
func word[T ~string](r rules, flag, usage string, field func(*api.IntegrationPatch) **T, words ...T) {
	value := r.cmd.Flags().String(flag, string(words[0]), usage)
	r.of[flag] = func(p *api.IntegrationPatch, _ api.RemovalLimit) {
		chosen := T(*value)
		*field(p) = &chosen
	}
	names := make([]cobra.Completion, len(words))
	for k, w := range words {
		names[k] = string(w)
	}
	_ = r.cmd.RegisterFlagCompletionFunc(flag, oneOf(names...)) // the flag is there
}

// aboutPeople are the flags that say who counts, and how Kisi knows them.
func (r rules) aboutPeople() {
	f := r.cmd.Flags()
	set(r, "name", f.String("name", "", "what you call it"), func(p *api.IntegrationPatch) **string { return &p.Name })
	word(r, "email-property", "userPrincipalName or mail", func(p *api.IntegrationPatch) **api.EmailProperty { return &p.EmailProperty },
		api.EmailPropertyUPN, api.EmailPropertyMail)
	word(r, "membership", "direct, or transitive: people of the groups within the group count too",
		func(p *api.IntegrationPatch) **api.Membership { return &p.Membership }, api.MembershipDirect, api.MembershipTransitive)
	word(r, "existing-access", "access that is there already: adopt, or preserve it for ever",
		func(p *api.IntegrationPatch) **api.ExistingAccess { return &p.ExistingAccess }, api.ExistingAccessAdopt, api.ExistingAccessPreserve)
	word(r, "disabled-accounts", "accounts that are disabled in Entra: revoke or keep",
		func(p *api.IntegrationPatch) **api.DisabledAccounts { return &p.DisabledAccounts }, api.DisabledAccountsRevoke, api.DisabledAccountsKeep)
	set(r, "guests", f.Bool("guests", true, "guests of the tenant count as well"), func(p *api.IntegrationPatch) **bool { return &p.Guests })
	set(r, "first-batch", f.Int("first-batch", 0, "grant to so many people at first, and wait for a nod; 0: to all at once"),
		func(p *api.IntegrationPatch) **int { return &p.FirstBatch })
	set(r, "insist", f.Bool("insist", false, "fill the target although an import of Kisi's own does"),
		func(p *api.IntegrationPatch) **bool { return &p.Insist })
	exclude := f.StringArray("exclude", nil, "somebody who is never touched, by Entra object id or email; repeat it for more, \"\" names nobody")
	r.of["exclude"] = func(p *api.IntegrationPatch, _ api.RemovalLimit) {
		list := append(api.Exclude{}, named(*exclude)...)
		p.Exclude = &list
	}
}

// aboutRemovals are the flags that say when access ends, and when a person must
// look first.
func (r rules) aboutRemovals() {
	f := r.cmd.Flags()
	limit := access.Integration{}.Limit()
	f.Int("removal-count", limit.Count, "hold more removals at once than this…")
	f.Int("removal-percent", limit.Percent, "…and than this share of the grants")
	none := func(*api.IntegrationPatch, api.RemovalLimit) {} // see limit
	r.of["removal-count"], r.of["removal-percent"] = none, none
	hours := f.Int("removal-hours", 0, "with --removal-mode after: how long people keep access after they left")
	set(r, "removal-hours", hours, func(p *api.IntegrationPatch) **int { return &p.RemovalHours })
	word(r, "removal-mode", "at_once, after (see --removal-hours) or never",
		func(p *api.IntegrationPatch) **api.RemovalMode { return &p.RemovalMode },
		api.RemovalModeAtOnce, api.RemovalModeAfter, api.RemovalModeNever)
}

// limit joins what two flags say into one field, and forgets the hours of a
// mode that is left.
func (r rules) limit(p *api.IntegrationPatch, was api.RemovalLimit) {
	f := r.cmd.Flags()
	if f.Changed("removal-count") {
		was.Count, _ = f.GetInt("removal-count") // it is one
	}
	if f.Changed("removal-percent") {
		was.Percent, _ = f.GetInt("removal-percent") // it is one
	}
	if f.Changed("removal-count") || f.Changed("removal-percent") {
		p.RemovalLimit = &was
	}
	if p.RemovalMode != nil && *p.RemovalMode != api.RemovalModeAfter && p.RemovalHours == nil {
		none := 0
		p.RemovalHours = &none
	}
}

// aboutMails are the flags that say what Kisi writes to people.
func (r rules) aboutMails() {
	f := r.cmd.Flags()
	set(r, "notify", f.Bool("notify", true, "Kisi mails people to whom access is given"), func(p *api.IntegrationPatch) **bool { return &p.Notify })
	set(r, "send-emails", f.Bool("send-emails", true, "people made in Kisi get its mails; decided for good when they are made"),
		func(p *api.IntegrationPatch) **bool { return &p.SendEmails })
}
