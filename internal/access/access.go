// Package access decides who may pass which doors, and why.
//
// It is pure. Memberships, the ledger and the time go in as values; a [Plan]
// comes out. It opens no connection, reads no clock and logs nothing, so that
// every rule of the product can be read, and tested, in one place.
package access

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// A Caller is an integration of the target and whom it calls for.
type Caller struct {
	Integration Integration
	Members     map[string]bool // the people in question that its group holds
	Deleted     string          // why the group is not there any more; "" when it is
	Unread      bool            // nothing is known of the group yet
	Orphans     map[string]bool // people of groups within that are not there any more
}

// Input is what a decision about one target rests on. It may be about
// everybody or about a few; Held and People tell of the same people.
type Input struct {
	Callers  []Caller           // every integration of the target, whatever its state
	People   map[string]Person  // as last read from Graph
	Held     map[string]Grant   // the ledger
	Verdicts map[string]Verdict // all that stand, whomever the decision is about
	Grants   int                // how many people hold a grant of ours altogether
	Pass     bool               // removals may be judged; else only what was judged is carried out
	Now      time.Time
}

// A Want is a person who is called for, and how the grant shall be made.
type Want struct {
	Person   Person
	Email    string
	For      []string // the integrations that call, sorted
	Notify   bool     // Kisi mails the person that access was given
	Silent   bool     // a Kisi user made for the person never gets mail
	Preserve bool     // access found in Kisi is not ours and stays so
}

// A Skip is a person for whom nothing is done.
type Skip struct {
	Person string
	Why    string
}

// A Plan lists what brings a target into line, most urgent first.
// Its slices are sorted by person, so that equal inputs give equal plans.
type Plan struct {
	Revoke  []string           // people whose removal was decided
	Release []string           // people nobody calls for any more, few enough to be removed
	Judge   []string           // people nobody calls for any more, of whom a pass must say more
	Make    []Want             // people called for who hold no grant, or one of an older address
	Amend   []Want             // people whose grant stands, called for by others than the ledger says
	Skip    []Skip             // people for whom nothing is done, each with its reason
	Wait    []string           // people whose removal waits for a person
	Why     string             // why removals began to wait in this pass
	Say     map[string]Verdict // verdicts that change; one without a state is dropped
}

// Empty tells whether the target is in line.
func (p Plan) Empty() bool {
	return len(p.Revoke)+len(p.Release)+len(p.Judge)+len(p.Make)+len(p.Amend) == 0 && p.Why == ""
}

// retryRefused is how long a person whom Kisi refused waits for the next try.
const retryRefused = 24 * time.Hour

// Decide compares who should have access with who has it.
func Decide(in Input) Plan {
	d := &decision{in: in, callers: sorted(in.Callers), batch: map[string]int{}, plan: Plan{Say: map[string]Verdict{}}}
	d.countBatches()
	for _, id := range inQuestion(in) {
		d.person(id)
	}
	d.judge()
	return d.plan
}

// A decision is a plan that is being made.
type decision struct {
	in      Input
	callers []Caller
	batch   map[string]int // integration → grants of its first batch so far
	leaving []string       // people who leave, of whom nothing was said yet
	plan    Plan
}

func (d *decision) person(id string) {
	held, verdict := d.in.Held[id], d.in.Verdicts[id]
	c := d.call(id, held)
	switch {
	case c.excluded:
		d.forget(id, verdict)
		d.skip(id, Excluded)
		d.disown(id, held)
	case c.called:
		if verdict.State != Early || !d.batched() {
			d.forget(id, verdict)
		}
		d.stays(id, held, c)
	case held.Opens():
		d.leaves(id, held, verdict)
	default:
		d.gone(id, verdict)
	}
}

// stays decides about a person who is called for.
func (d *decision) stays(id string, held Grant, c called) {
	want := c.want
	moves := held.Old != nil || !c.kept && want.Email != "" && held.Email != "" && !SameEmail(held.Email, want.Email)
	switch {
	case held.Standing == Preserved, held.Standing == Holds && !moves:
		if !slices.Equal(want.For, held.For) || held.Name != "" && want.Email != "" && held.Name != want.Person.Name {
			d.plan.Amend = append(d.plan.Amend, want)
		}
	case c.skip != "":
		d.skip(id, c.skip)
	case want.Email == "": // nobody but paused integrations
	case held.Standing == Refused && SameEmail(held.Email, want.Email) && d.in.Now.Sub(held.Since) < retryRefused:
		d.skip(id, held.Why)
	case !held.Opens() && !d.inBatch(id, want.For):
		d.skip(id, BatchWaits)
	default:
		d.plan.Make = append(d.plan.Make, want)
	}
}

// disown takes integrations that go off the grant of a person who is never
// touched.
func (d *decision) disown(id string, held Grant) {
	stay := slices.DeleteFunc(slices.Clone(held.For), func(i string) bool { return !d.alive([]string{i}) })
	if held.Opens() && len(stay) < len(held.For) {
		p := d.in.People[id]
		p.ID = id
		d.plan.Amend = append(d.plan.Amend, Want{Person: p, For: stay})
	}
}

func (d *decision) skip(id, why string) { d.plan.Skip = append(d.plan.Skip, Skip{id, why}) }

func (d *decision) say(id string, v Verdict) { d.plan.Say[id] = v }

// forget drops what was said of somebody, if anything was.
func (d *decision) forget(id string, v Verdict) {
	if v.State != "" {
		d.say(id, Verdict{})
	}
}

// gone drops what was said of a person who holds nothing any more. Removals of
// the last minutes are remembered, for they count when more follow.
func (d *decision) gone(id string, v Verdict) {
	if v.State != Released || d.in.Now.Sub(v.At) >= window {
		d.forget(id, v)
	}
}

// sorted gives the callers an order of their own.
func sorted(callers []Caller) []Caller {
	return slices.SortedFunc(slices.Values(callers), func(a, b Caller) int {
		return cmp.Compare(a.Integration.ID, b.Integration.ID)
	})
}

// inQuestion lists everybody the input tells of.
func inQuestion(in Input) []string {
	seen := map[string]bool{}
	for id := range in.Held {
		seen[id] = true
	}
	for _, c := range in.Callers {
		for id := range c.Members {
			seen[id] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
