package main

import (
	"strings"

	"github.com/spf13/cobra"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
)

// Choices are the flags that say how an integration behaves. Only those that
// were given count: everything else stays as it is, at its default in a new
// integration, as it was in one that is changed.
type choices struct {
	cmd *cobra.Command
	of  map[string]func(i *access.Integration) // flag → what it changes
}

func choose(c *cobra.Command) choices {
	all := choices{cmd: c, of: map[string]func(*access.Integration){}}
	all.aboutPeople()
	all.aboutRemovals()
	all.aboutMails()
	return all
}

// given tells whether any of the flags was.
func (all choices) given() bool {
	for flag := range all.of {
		if all.cmd.Flags().Changed(flag) {
			return true
		}
	}
	return false
}

func (all choices) apply(i *access.Integration) {
	for flag, apply := range all.of {
		if all.cmd.Flags().Changed(flag) {
			apply(i)
		}
	}
}

// aboutPeople are the flags that say who counts, and how Kisi knows them.
func (all choices) aboutPeople() {
	f := all.cmd.Flags()
	name := f.String("name", "", "what you call it")
	email := f.String("email-property", access.EmailUPN, "userPrincipalName or mail")
	membership := f.String("membership", access.Direct, "direct, or transitive: people of the groups within the group count too")
	existing := f.String("existing-access", access.Adopt, "access that is there already: adopt, or preserve it for ever")
	disabled := f.String("disabled-accounts", access.DisabledRevoke, "accounts that are disabled in Entra: revoke or keep")
	guests := f.Bool("guests", true, "guests of the tenant count as well")
	exclude := f.StringArray("exclude", nil, "somebody who is never touched, by Entra object id or email; repeat it for more, \"\" names nobody")
	batch := f.Int("first-batch", 0, "grant to so many people at first, and wait for a nod; 0: to all at once")
	insist := f.Bool("insist", false, "fill the target although an import of Kisi's own does")
	all.of["name"] = func(i *access.Integration) { i.Name = *name }
	all.of["email-property"] = func(i *access.Integration) { i.EmailProperty = *email }
	all.of["membership"] = func(i *access.Integration) { i.Membership = *membership }
	all.of["existing-access"] = func(i *access.Integration) { i.ExistingAccess = *existing }
	all.of["disabled-accounts"] = func(i *access.Integration) { i.DisabledAccounts = *disabled }
	all.of["guests"] = func(i *access.Integration) { i.NoGuests = !*guests }
	all.of["exclude"] = func(i *access.Integration) { i.Exclude = named(*exclude) }
	all.of["first-batch"] = func(i *access.Integration) { i.FirstBatch = *batch }
	all.of["insist"] = func(i *access.Integration) { i.Insist = *insist }
}

// named leaves out the empty name, with which a list is emptied.
func named(people []string) []string {
	var list []string
	for _, p := range people {
		if p = strings.TrimSpace(p); p != "" {
			list = append(list, p)
		}
	}
	return list
}

// aboutRemovals are the flags that say when access ends, and when a person
// must look first.
func (all choices) aboutRemovals() {
	f := all.cmd.Flags()
	limit := access.Integration{}.Limit()
	count := f.Int("removal-count", limit.Count, "hold more removals at once than this…")
	percent := f.Int("removal-percent", limit.Percent, "…and than this share of the grants")
	mode := f.String("removal-mode", access.RemoveAtOnce, "at_once, after (see --removal-hours) or never")
	hours := f.Int("removal-hours", 0, "with --removal-mode after: how long people keep access after they left")
	all.of["removal-count"] = func(i *access.Integration) {
		l := i.Limit()
		l.Count = *count
		i.RemovalLimit = &l
	}
	all.of["removal-percent"] = func(i *access.Integration) {
		l := i.Limit()
		l.Percent = *percent
		i.RemovalLimit = &l
	}
	all.of["removal-mode"] = func(i *access.Integration) {
		i.RemovalMode = *mode
		if *mode != access.RemoveAfter && !f.Changed("removal-hours") {
			i.RemovalHours = 0 // those of the mode before
		}
	}
	all.of["removal-hours"] = func(i *access.Integration) { i.RemovalHours = *hours }
}

// aboutMails are the flags that say what Kisi writes to people.
func (all choices) aboutMails() {
	f := all.cmd.Flags()
	notify := f.Bool("notify", true, "Kisi mails people to whom access is given")
	mails := f.Bool("send-emails", true, "people made in Kisi get its mails; decided for good when they are made")
	all.of["notify"] = func(i *access.Integration) { i.Quiet = !*notify }
	all.of["send-emails"] = func(i *access.Integration) { i.Silent = !*mails }
}

// ends adds the flags that say which group fills which target. What comes back
// reads them.
func ends(c *cobra.Command, or ...string) func(*access.Integration) {
	f := c.Flags()
	entra := f.String("entra-group", "", "object id of the Entra group")
	group := f.Int("kisi-group", 0, "number of the Kisi group to fill")
	team := f.Int("kisi-team", 0, "number of the Kisi team to fill")
	users := f.Bool("users-only", false, "import people, silently, and give no access")
	targets := append(or, "kisi-group", "kisi-team", "users-only")
	c.MarkFlagsMutuallyExclusive(targets...)
	c.MarkFlagsOneRequired(targets...)
	return func(i *access.Integration) {
		i.Group.ID = *entra
		i.Target = access.Target{Connection: app.KisiConnection, Type: access.TargetGroup, ID: *group}
		if f.Changed("kisi-team") {
			i.Target.Type, i.Target.ID = access.TargetTeam, *team
		}
		if *users {
			i.Target.Type = access.TargetUsers
		}
	}
}
