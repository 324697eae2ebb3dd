package access

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Urgency is the order in which work is done and Kisi is called; the lowest
// goes first.
type Urgency int

// The urgencies.
const (
	Revoke Urgency = iota // somebody must not open doors any more
	Allow                 // a single person waits at a door
	Import                // many people at once
	Look                  // nobody waits: listing, sweeping
)

// String is the urgency as logs and metrics spell it.
func (u Urgency) String() string {
	return [...]string{"revoke", "allow", "import", "look"}[max(0, min(u, Look))]
}

// A Kind is a kind of work.
type Kind string

// The kinds of work.
const (
	Pull     Kind = "pull"     // read a group and see whose access differs
	Apply    Kind = "apply"    // bring one person in one target into line
	Roster   Kind = "roster"   // list what Kisi holds before many people are imported
	Keep     Kind = "keep"     // look after the subscription of a group
	Profiles Kind = "profiles" // read who changed in a tenant since last asked
	Profile  Kind = "profile"  // read one person anew
	Drift    Kind = "drift"    // compare what a target holds with the ledger
	Hint     Kind = "hint"     // Kisi told that the access of a user changed
)

// A Cause is why something was woken; causes add up while a wake waits.
type Cause int

// The causes, as bits.
const (
	ByNotice   Cause = 1 << iota // Graph told of a change
	ByRecheck                    // delta was silent after a notice, so ask again
	BySweep                      // the schedule: compare everything
	ByWatch                      // the group has no healthy subscription
	ByPerson                     // somebody asked for it
	ByPull                       // a pull found a difference
	ByRescue                     // an intent was left unsettled; wakes only what sleeps
	ByLapse                      // Graph removed the subscription or wants it renewed
	ByLoneRead                   // the subscription was made anew: changes may have been missed
	ByUsers                      // the details of a person changed
	ByKisi                       // Kisi told of a change by hand, or a look at Kisi found one
	ByDoubt                      // two ways to ask Graph contradict each other: read the member list
	ByReread                     // somebody wants everything read from scratch
)

var causeNames = []string{
	"notice", "recheck", "sweep", "watch", "person", "pull", "rescue", "lapse", "renewed",
	"users", "kisi", "doubt", "reread",
}

// Has tells whether c contains any of the bits.
func (c Cause) Has(bits Cause) bool { return c&bits != 0 }

// String lists the causes.
func (c Cause) String() string {
	var names []string
	for i, n := range causeNames {
		if c.Has(1 << i) {
			names = append(names, n)
		}
	}
	return strings.Join(names, "+")
}

// A Wake says that something may have changed, and for whom. It carries names
// and never state: whoever handles it decides from what is stored then.
type Wake struct {
	Kind    Kind
	Name    string  // a group, a target, or a target and a person, as [Wake.Key] spells them
	Urgency Urgency // of the work
	Cause   Cause
	Since   time.Time     // when the first cause came up; lateness counts from here
	Delay   time.Duration // how long it must still wait
	Seq     int64         // tells a wake from a later one of the same name
}

// Key names the work: one job of a key runs at a time.
func (w Wake) Key() string { return string(w.Kind) + ":" + w.Name }

// ParseKey reads what [Wake.Key] wrote.
func ParseKey(key string) (Kind, string, error) {
	kind, name, ok := strings.Cut(key, ":")
	if !ok || name == "" {
		return "", "", fmt.Errorf("wake %q: want KIND:NAME", key)
	}
	return Kind(kind), name, nil
}

// PullOf wakes a pull of group.
func PullOf(group Group, u Urgency, why Cause, since time.Time) Wake {
	return Wake{Kind: Pull, Name: group.String(), Urgency: u, Cause: why, Since: since}
}

// KeepOf wakes the keeper of group's subscription.
func KeepOf(group Group, why Cause, since time.Time) Wake {
	return Wake{Kind: Keep, Name: group.String(), Urgency: Allow, Cause: why, Since: since}
}

// ProfilesOf wakes a look at who changed in a tenant.
func ProfilesOf(tenant string, why Cause, since time.Time) Wake {
	return Wake{Kind: Profiles, Name: tenant, Urgency: Look, Cause: why, Since: since}
}

// ProfileOf wakes a look at one person of a tenant, who may be locked out now.
func ProfileOf(tenant, person string, why Cause, since time.Time) Wake {
	return Wake{Kind: Profile, Name: tenant + "/" + person, Urgency: Revoke, Cause: why, Since: since}
}

// ParseProfile reads the name that [ProfileOf] wrote.
func ParseProfile(name string) (tenant, person string, err error) {
	tenant, person, ok := strings.Cut(name, "/")
	if !ok || tenant == "" || person == "" {
		return "", "", fmt.Errorf("profile %q: want TENANT/PERSON", name)
	}
	return tenant, person, nil
}

// DriftOf wakes a comparison of what target holds in Kisi with the ledger.
func DriftOf(target Target, why Cause, since time.Time) Wake {
	return Wake{Kind: Drift, Name: target.String(), Urgency: Look, Cause: why, Since: since}
}

// HintOf wakes a look at one user of Kisi in a target. A target without a type
// stands for all of the organization; one with a type and no id says that user
// is the id of a row, and that what it is about must be read.
func HintOf(target Target, user int, since time.Time) Wake {
	return Wake{Kind: Hint, Name: target.String() + "#" + strconv.Itoa(user), Urgency: Allow, Cause: ByKisi, Since: since}
}

// ParseHint reads the name that [HintOf] wrote.
func ParseHint(name string) (Target, int, error) {
	target, user, err := ParseApply(name)
	if err != nil {
		return Target{}, 0, err
	}
	n, err := strconv.Atoi(user)
	if err != nil {
		return Target{}, 0, fmt.Errorf("hint %q: the user is not a number", name)
	}
	return target, n, nil
}

// RosterOf wakes a listing of what target holds.
func RosterOf(target Target, why Cause, since time.Time) Wake {
	return Wake{Kind: Roster, Name: target.String(), Urgency: Import, Cause: why, Since: since}
}

// ApplyOf wakes the work on one person in one target.
func ApplyOf(target Target, person string, u Urgency, why Cause, since time.Time) Wake {
	return Wake{Kind: Apply, Name: target.String() + "#" + person, Urgency: u, Cause: why, Since: since}
}

// ParseApply reads the name that [ApplyOf] wrote.
func ParseApply(name string) (Target, string, error) {
	t, person, ok := strings.Cut(name, "#")
	if !ok || person == "" {
		return Target{}, "", fmt.Errorf("apply %q: want TARGET#PERSON", name)
	}
	target, err := ParseTarget(t)
	return target, person, err
}
