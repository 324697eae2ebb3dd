package access

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Group is an Entra group in a tenant that the bridge is connected to.
type Group struct {
	Connection string `json:"connection"` // the Entra connection: the tenant's id
	ID         string `json:"id"`
}

// String is the group as keys and logs spell it.
func (g Group) String() string { return g.Connection + "/" + g.ID }

// ParseGroup reads what [Group.String] wrote.
func ParseGroup(s string) (Group, error) {
	conn, id, ok := strings.Cut(s, "/")
	if !ok || conn == "" || id == "" {
		return Group{}, fmt.Errorf("group %q: want CONNECTION/ID", s)
	}
	return Group{Connection: conn, ID: id}, nil
}

// The kinds of target.
const (
	TargetGroup = "group"      // a Kisi group: role assignments
	TargetTeam  = "team"       // a Kisi team: team memberships
	TargetUsers = "users_only" // people are imported and get no access
)

// A Target is what an integration fills in Kisi.
type Target struct {
	Connection string `json:"connection"` // the Kisi connection
	Type       string `json:"type"`
	ID         int    `json:"id,omitempty"` // 0 for users only
}

// String is the target as keys and logs spell it.
func (t Target) String() string { return t.Connection + "/" + t.Type + "/" + strconv.Itoa(t.ID) }

// ParseTarget reads what [Target.String] wrote.
func ParseTarget(s string) (Target, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 {
		return Target{}, fmt.Errorf("target %q: want CONNECTION/TYPE/ID", s)
	}
	id, err := strconv.Atoi(parts[2])
	if err != nil {
		return Target{}, fmt.Errorf("target %q: the id is not a number", s)
	}
	return Target{Connection: parts[0], Type: parts[1], ID: id}, nil
}

// A State is what an integration is doing.
type State string

// The states of an integration.
const (
	Active   State = "active"
	Paused   State = "paused"   // reads on, writes nothing
	Held     State = "held"     // removals wait for a person; joining goes on
	Failing  State = "failing"  // an error needs a person; tried again at each sweep
	Deleting State = "deleting" // gives back its grants, then goes
)

// The choices of an integration; the first of each is the default.
const (
	EmailUPN  = "userPrincipalName"
	EmailMail = "mail"

	Adopt    = "adopt"    // access that was there is taken over
	Preserve = "preserve" // access that was there is left alone for ever

	DisabledRevoke = "revoke"
	DisabledKeep   = "keep"

	Direct     = "direct"     // the people of the group itself
	Transitive = "transitive" // and of the groups in it

	RemoveAtOnce = "at_once"
	RemoveAfter  = "after" // RemovalHours
	RemoveNever  = "never"
)

// A Limit says how many removals in one pass need no person's nod.
// A pass is held when it removes more than Count and more than Percent.
type Limit struct {
	Count   int `json:"count"`
	Percent int `json:"percent"`
}

// An Integration is one rule: this Entra group fills that Kisi target.
// Where the product's default is true, the field says the contrary.
type Integration struct {
	ID               string    `json:"id"`
	Name             string    `json:"name"`
	Group            Group     `json:"group"`
	Target           Target    `json:"target"`
	EmailProperty    string    `json:"email_property"`
	Membership       string    `json:"membership"`
	ExistingAccess   string    `json:"existing_access"`
	DisabledAccounts string    `json:"disabled_accounts"`
	RemovalLimit     *Limit    `json:"removal_limit,omitempty"` // nil: the default
	RemovalMode      string    `json:"removal_mode"`
	RemovalHours     int       `json:"removal_hours,omitempty"`
	NoGuests         bool      `json:"no_guests,omitempty"`
	Exclude          []string  `json:"exclude,omitempty"` // Entra ids or addresses
	FirstBatch       int       `json:"first_batch,omitempty"`
	Nodded           bool      `json:"nodded,omitempty"`    // a person has seen the first batch
	Quiet            bool      `json:"quiet,omitempty"`     // notify:false, Kisi sends no mail when access is given
	Silent           bool      `json:"silent,omitempty"`    // send_emails:false, a person made by us never gets mail
	Insist           bool      `json:"insist,omitempty"`    // although an import of Kisi's own fills the target
	Unsettled        bool      `json:"unsettled,omitempty"` // changed, and not everybody was decided about since
	State            State     `json:"state"`
	Why              string    `json:"why,omitempty"` // why it is held or failing
	Since            time.Time `json:"since"`         // when State began
	Created          time.Time `json:"created"`
}

// Limit is the removal limit, or the default one.
func (i Integration) Limit() Limit {
	if i.RemovalLimit == nil {
		return Limit{Count: 25, Percent: 20}
	}
	return *i.RemovalLimit
}

// Batched tells whether only a first batch may be granted so far.
func (i Integration) Batched() bool { return i.FirstBatch > 0 && !i.Nodded }

// WithDefaults fills what was left open.
func (i Integration) WithDefaults() Integration {
	for _, d := range []struct {
		field *string
		value string
	}{
		{&i.EmailProperty, EmailUPN},
		{&i.Membership, Direct},
		{&i.ExistingAccess, Adopt},
		{&i.DisabledAccounts, DisabledRevoke},
		{&i.RemovalMode, RemoveAtOnce},
		{(*string)(&i.State), string(Active)},
	} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	return i
}

const (
	maxHours    = 24 * 365
	maxExcluded = 1000
)

// Check returns every mistake at once, each with the field and the remedy.
func (i Integration) Check() error {
	var errs []error
	want := func(ok bool, field, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
		}
	}
	want(strings.TrimSpace(i.Name) != "", "name", "is empty; give the integration a name, as \"HQ doors\"")
	want(isName(i.Group.Connection), "entra_connection_id", "is %q; give the id of an Entra connection", i.Group.Connection)
	want(isName(i.Group.ID), "entra_group_id", "is %q; give the object id of an Entra group", i.Group.ID)
	want(isName(i.Target.Connection), "kisi_connection_id", "is %q; give the id of a Kisi connection", i.Target.Connection)
	want(oneOf(i.Target.Type, TargetGroup, TargetTeam, TargetUsers), "target.type", "is %q; use group, team or users_only", i.Target.Type)
	want(i.Target.Type == TargetUsers == (i.Target.ID == 0) && i.Target.ID >= 0, "target.id", "is %d; give the number of the Kisi group or team, and none for users_only", i.Target.ID)
	want(oneOf(i.EmailProperty, EmailUPN, EmailMail), "email_property", "is %q; use userPrincipalName or mail", i.EmailProperty)
	want(oneOf(i.ExistingAccess, Adopt, Preserve), "existing_access", "is %q; use adopt or preserve", i.ExistingAccess)
	want(oneOf(i.DisabledAccounts, DisabledRevoke, DisabledKeep), "disabled_accounts", "is %q; use revoke or keep", i.DisabledAccounts)
	want(oneOf(i.Membership, Direct, Transitive), "membership", "is %q; use direct or transitive", i.Membership)
	l := i.Limit()
	want(l.Count >= 0, "removal_limit.count", "is %d; use 0 or more", l.Count)
	want(l.Percent >= 0 && l.Percent <= 100, "removal_limit.percent", "is %d; use 0 to 100", l.Percent)
	want(oneOf(i.RemovalMode, RemoveAtOnce, RemoveAfter, RemoveNever), "removal_mode", "is %q; use at_once, after or never", i.RemovalMode)
	want((i.RemovalMode == RemoveAfter) == (i.RemovalHours > 0) && i.RemovalHours >= 0 && i.RemovalHours <= maxHours, "removal_hours",
		"is %d; give 1 to %d with removal_mode after, and none otherwise", i.RemovalHours, maxHours)
	want(i.FirstBatch >= 0, "first_batch", "is %d; use 0 for all at once, or a number of people", i.FirstBatch)
	want(len(i.Exclude) <= maxExcluded, "exclude", "names %d people; name at most %d", len(i.Exclude), maxExcluded)
	for _, e := range i.Exclude {
		want(strings.TrimSpace(e) == e && e != "" && len(e) <= maxEmail, "exclude", "has %q; name people by Entra object id or email", e)
	}
	return errors.Join(errs...)
}

// isName keeps out what would split a key.
func isName(s string) bool { return s != "" && len(s) <= 100 && !strings.ContainsAny(s, "/{}*|# \t\n") }

func oneOf(s string, options ...string) bool { return slices.Contains(options, s) }
