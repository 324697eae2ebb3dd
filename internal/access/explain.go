package access

import (
	"slices"
	"strings"
	"time"
)

// A Position is where a person stands in an integration, and why.
type Position struct {
	Person Person
	State  string // one of the positions below
	Why    string // in a sentence's words; "" where the state says all
	Grant  Grant  // the ledger's entry; its zero value says that there is none
}

// The positions of a person in an integration.
const (
	Granted   = "granted"   // holds the access
	Pending   = "pending"   // is about to be granted
	Moving    = "moving"    // holds the access under an older address
	Skipped   = "skipped"   // cannot be granted
	RefusedBy = "refused"   // Kisi refuses
	LeftAlone = "preserved" // had access before; it is never ours
	OffLimits = "excluded"  // never touched
	Leaving   = "leaving"   // about to be revoked
	Waiting   = "held"      // the removal waits
	Remaining = "kept"      // holds the access although this integration does not call for it
	Nothing   = "none"      // neither called for nor holding anything
)

// Explain tells where each person of the input stands in one integration,
// sorted by person.
func Explain(in Input, integration string) []Position {
	in.Pass = false
	d := &decision{in: in, callers: sorted(in.Callers), batch: map[string]int{}, plan: Plan{Say: map[string]Verdict{}}}
	d.countBatches()
	var all []Position
	for _, id := range inQuestion(in) {
		all = append(all, d.explain(id, integration))
	}
	return all
}

func (d *decision) explain(id, integration string) Position {
	p, held := d.in.People[id], d.in.Held[id]
	p.ID = id
	at := Position{Person: p, Grant: held}
	c := d.call(id, held)
	makes, keeps, why := d.by(integration).calls(id, p, held)
	switch {
	case c.excluded:
		at.State, at.Why = OffLimits, Excluded
	case makes || keeps:
		at.State, at.Why = d.inside(id, held, c)
	case !slices.Contains(held.For, integration) || !held.Opens():
		at.State, at.Why = Nothing, why
	case c.called:
		at.State, at.Why = Remaining, why+"; "+strings.Join(c.want.For, ", ")+" calls for the access"
	default:
		at.State, at.Why = d.outside(id, held, why)
	}
	return at
}

// by finds the integration among the callers.
func (d *decision) by(integration string) Caller {
	for _, c := range d.callers {
		if c.Integration.ID == integration {
			return c
		}
	}
	return Caller{}
}

// inside explains a person for whom the integration calls.
func (d *decision) inside(id string, held Grant, c called) (state, why string) {
	switch {
	case held.Standing == Preserved:
		return LeftAlone, "had access of somebody else's making"
	case held.Standing == Holds && (c.want.Email == "" || held.Email == "" || SameEmail(held.Email, c.want.Email)):
		if held.Adopted {
			return Granted, "the access was there and was taken over"
		}
		return Granted, ""
	case held.Standing == Refused && SameEmail(held.Email, c.want.Email):
		return RefusedBy, held.Why + "; tried again after " + held.Since.Add(retryRefused).UTC().Format(time.RFC3339)
	case held.Opens():
		return Moving, "the address changed to " + c.want.Email
	case c.skip != "":
		return Skipped, c.skip
	case !d.inBatch(id, c.want.For):
		return Pending, BatchWaits
	}
	return Pending, ""
}

// outside explains a person who has access and for whom nobody calls.
func (d *decision) outside(id string, held Grant, why string) (state, reason string) {
	switch v := d.in.Verdicts[id]; v.State {
	case Waits:
		return Waiting, why + "; the removal waits for a person"
	case Doubted:
		return Waiting, why + "; Graph contradicts itself about it"
	default:
		before := len(d.plan.Skip)
		d.leaves(id, held, v)
		if len(d.plan.Skip) > before {
			return Remaining, why + "; " + d.plan.Skip[before].Why
		}
	}
	return Leaving, why
}
