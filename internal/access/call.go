package access

import "slices"

// Why nothing is done for a person.
const (
	Excluded   = "is on the list of people who are never touched"
	BatchWaits = "waits for a person's nod after the first batch"
	Unread     = "not read from Entra yet"
)

// called is what the integrations of a target say of one person.
type called struct {
	want     Want
	skip     string // why none of those that call can say how
	called   bool
	kept     bool // by one that is paused, so that nothing is written
	excluded bool
}

// call asks every integration about a person.
func (d *decision) call(id string, held Grant) called {
	p, known := d.in.People[id]
	c := called{want: Want{Person: p}}
	for _, caller := range d.callers {
		i := caller.Integration
		c.excluded = c.excluded || i.excludes(id, p)
		makes, keeps, _ := caller.calls(id, p, held)
		if !makes && !keeps {
			continue
		}
		c.called, c.kept = true, c.kept || keeps
		c.want.For = append(c.want.For, i.ID)
		if makes {
			c.add(i, p, known)
		}
	}
	if c.want.Email != "" {
		c.skip = ""
	}
	return c
}

// add lets an integration say how the grant shall be made. The first one that
// can names the address; mail is sent if any wants it sent.
func (c *called) add(i Integration, p Person, known bool) {
	email, why := p.Email(i.EmailProperty)
	if !known {
		email, why = "", Unread
	}
	if email == "" {
		c.skip = first(c.skip, why)
		return
	}
	w := &c.want
	w.Email = first(w.Email, email)
	w.Notify = w.Notify || !i.Quiet && i.Target.Type != TargetUsers
	w.Silent = i.Silent || i.Target.Type == TargetUsers
	w.Preserve = w.Preserve || i.ExistingAccess == Preserve
}

// calls tells whether an integration asks for a grant to be made, or only for
// one that stands to be kept: what is paused writes nothing, in no direction.
// why tells the reason where it asks for neither.
func (c Caller) calls(id string, p Person, held Grant) (makes, keeps bool, why string) {
	i := c.Integration
	switch {
	case i.State == Deleting:
		return false, false, "the integration is being deleted"
	case i.State == Paused:
		return false, slices.Contains(held.For, i.ID), "the integration is paused"
	case c.Deleted != "":
		return false, false, "the group is deleted in Entra"
	case !c.Members[id]:
		return false, false, "is not in the group"
	case p.Gone:
		return false, false, "the account is deleted in Entra"
	case p.Disabled && i.DisabledAccounts != DisabledKeep:
		return false, false, "the account is disabled in Entra"
	case i.NoGuests && p.IsGuest():
		return false, false, "is a guest, and the integration takes none"
	}
	return true, false, ""
}

// excludes tells whether a person is on the list, by id or by address.
func (i Integration) excludes(id string, p Person) bool {
	return i.State != Deleting && slices.ContainsFunc(i.Exclude, func(e string) bool {
		return e == id || SameEmail(e, p.UPN) || SameEmail(e, p.Mail)
	})
}

// countBatches counts who belongs to the first batch of each integration that
// waits for a nod.
func (d *decision) countBatches() {
	for id, g := range d.in.Held {
		if g.Opens() || d.in.Verdicts[id].State == Early {
			for _, i := range g.For {
				d.batch[i]++
			}
		}
	}
	for id, v := range d.in.Verdicts {
		if v.State != Early || d.in.Held[id].For != nil {
			continue
		}
		for _, c := range d.callers {
			if c.Members[id] {
				d.batch[c.Integration.ID]++
			}
		}
	}
}

// batched tells whether any integration waits for a nod.
func (d *decision) batched() bool {
	return slices.ContainsFunc(d.callers, func(c Caller) bool { return c.Integration.Batched() })
}

// inBatch tells whether one of the integrations that call for a person may do
// so: it needs no nod, has it, or the person belongs to its first batch.
func (d *decision) inBatch(id string, reasons []string) bool {
	if d.in.Verdicts[id].State == Early {
		return true
	}
	for _, c := range d.callers {
		i := c.Integration
		if slices.Contains(reasons, i.ID) && i.State != Paused && !i.Batched() {
			return true
		}
	}
	for _, c := range d.callers {
		i := c.Integration
		if d.in.Pass && slices.Contains(reasons, i.ID) && i.State != Paused && d.batch[i.ID] < i.FirstBatch {
			d.batch[i.ID]++
			d.say(id, Verdict{State: Early, At: d.in.Now})
			return true
		}
	}
	return false
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Calls tells whether the caller calls for a person of its group, as they are
// described.
func (c Caller) Calls(p Person, held Grant) bool {
	makes, keeps, _ := c.calls(p.ID, p, held)
	return makes || keeps
}
