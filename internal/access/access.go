// Package access decides who may pass which doors, and why.
//
// It is pure. Memberships, the ledger and the time go in as values; a [Plan]
// comes out. It opens no connection, reads no clock and logs nothing, so that
// every rule of the product can be read, and tested, in one place.
package access

import (
	"slices"
	"time"
)

// A Caller is an integration of the target and whom it calls for.
type Caller struct {
	Integration Integration
	Members     map[string]bool // the people in question that its group holds
}

// Input is what a decision about one target rests on. It may be about
// everybody or about a few; Held and People tell of the same people.
type Input struct {
	Callers []Caller          // every integration of the target, whatever its state
	People  map[string]Person // as last read from Graph
	Held    map[string]Grant  // the ledger
	Grants  int               // how many people hold a grant of ours altogether
	Excused map[string]bool   // removals that a person has approved
	Now     time.Time
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

// A Skip is a person who cannot be granted.
type Skip struct {
	Person string
	Why    string
}

// A Plan lists what brings a target into line, most urgent first.
// Its slices are sorted by person, so that equal inputs give equal plans.
type Plan struct {
	Revoke []string // people nobody calls for any more
	Make   []Want   // people called for who hold no grant
	Amend  []Want   // people whose grant stands, called for by others than the ledger says
	Skip   []Skip   // people who cannot be granted, each with its reason
	Hold   Hold     // removals that wait for a person
}

// Empty tells whether the target is in line.
func (p Plan) Empty() bool {
	return len(p.Revoke) == 0 && len(p.Make) == 0 && len(p.Amend) == 0 && len(p.Hold.People) == 0
}

// retryRefused is how long a person whom Kisi refused waits for the next try.
const retryRefused = 24 * time.Hour

// Decide compares who should have access with who has it.
func Decide(in Input) Plan {
	var plan Plan
	callers := sorted(in.Callers)
	var removals []string
	for _, id := range inQuestion(in) {
		held := in.Held[id]
		want, skip, called := wanted(callers, in.People, held, id)
		switch {
		case !called && held.Standing == Holds:
			removals = append(removals, id)
		case !called:
		case held.Standing == Holds || held.Standing == Preserved:
			if !slices.Equal(want.For, held.For) {
				plan.Amend = append(plan.Amend, want)
			}
		case skip != "":
			plan.Skip = append(plan.Skip, Skip{id, skip})
		case held.Standing == Refused && SameEmail(held.Email, want.Email) && in.Now.Sub(held.Since) < retryRefused:
			plan.Skip = append(plan.Skip, Skip{id, held.Why})
		case want.Email != "":
			plan.Make = append(plan.Make, want)
		}
	}
	plan.Revoke, plan.Hold = limit(callers, in, removals)
	return plan
}

// sorted gives the callers an order of their own.
func sorted(callers []Caller) []Caller {
	out := slices.Clone(callers)
	slices.SortFunc(out, func(a, b Caller) int {
		if a.Integration.ID < b.Integration.ID {
			return -1
		}
		return 1
	})
	return out
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
	ids := make([]string, 0, len(seen))
	for id := range seen {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// wanted tells whether any integration calls for the person and, when one can
// say how, what to make; skip says why nobody can.
func wanted(callers []Caller, people map[string]Person, held Grant, id string) (want Want, skip string, called bool) {
	p, known := people[id]
	want.Person = p
	for _, c := range callers {
		i := c.Integration
		makes, keeps := calls(c, p, held, id)
		if !makes && !keeps {
			continue
		}
		called = true
		want.For = append(want.For, i.ID)
		if !makes {
			continue
		}
		email, why := p.Email(i.EmailProperty)
		if !known {
			email, why = "", "not read from Entra yet"
		}
		if email == "" {
			skip = first(skip, why)
			continue
		}
		want.Email = first(want.Email, email)
		want.Notify = want.Notify || !i.Quiet && i.Target.Type != TargetUsers
		want.Silent = i.Silent || i.Target.Type == TargetUsers
		want.Preserve = want.Preserve || i.ExistingAccess == Preserve
	}
	if want.Email != "" {
		skip = ""
	}
	return want, skip, called
}

// calls tells whether an integration asks for a grant to be made, or only for
// one that stands to be kept: what is paused writes nothing, in no direction.
func calls(c Caller, p Person, held Grant, id string) (makes, keeps bool) {
	i := c.Integration
	switch i.State {
	case Deleting:
		return false, false
	case Paused:
		return false, slices.Contains(held.For, i.ID)
	}
	if !c.Members[id] || p.Gone {
		return false, false
	}
	return !p.Disabled || i.DisabledAccounts == DisabledKeep, false
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
