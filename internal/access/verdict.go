package access

import (
	"fmt"
	"slices"
	"time"
)

// A Verdict is what was said of one person in a target, beside what the rules
// say. Most people have none.
type Verdict struct {
	State string
	At    time.Time
	By    string // who said so; "" is the bridge itself
}

// The states of a verdict.
const (
	Waits    = "waits"    // the removal waits for a person
	Doubted  = "doubted"  // the removal waits until Graph says the same in two ways
	Released = "released" // the removal is made, or was just made
	Kept     = "kept"     // a person said that the grant shall stay
	KeptOff  = "keptoff"  // the same, of somebody whose account was off already
	Later    = "later"    // left the group At; the integration removes after a while
	Early    = "early"    // belongs to the first batch of a staged import
)

// window is the time over which removals are counted.
const window = 10 * time.Minute

// A Hold keeps removals from being made until a person has looked at them.
// The zero value holds nobody.
type Hold struct {
	Why    string
	Since  time.Time
	People []string // sorted
	Rev    int64    // another one whenever anything was said of anybody
}

// leaves decides about a person whom nobody calls for and who has access. The
// removals that a deleted integration brings were decided, and go.
func (d *decision) leaves(id string, held Grant, v Verdict) {
	mode, delay := d.removalMode(held.For)
	since := v.At
	if v.State != Later {
		since = d.in.Now
	}
	switch {
	case v.State == Released:
		d.plan.Revoke = append(d.plan.Revoke, id)
	case d.unread(func(i Integration) bool {
		return i.State == Active && (slices.Contains(held.For, i.ID) || !d.alive(held.For))
	}):
		d.skip(id, "keeps the access until a group is read that may call for it")
	case !d.alive(held.For) && d.unread(func(i Integration) bool { return i.State != Paused }):
		d.orphan(id, v)
	case !d.alive(held.For):
		d.plan.Revoke = append(d.plan.Revoke, id)
	case v.State == KeptOff || v.State == Kept && !d.off(id):
		d.skip(id, "keeps the access: a removal was dismissed by "+v.By)
	case mode == RemoveNever:
		d.skip(id, "keeps the access: the integration removes nobody")
	case mode == RemoveAfter && d.in.Now.Sub(since) < delay && v.State != Waits && v.State != Doubted:
		if v.State != Later {
			d.say(id, Verdict{State: Later, At: d.in.Now})
		}
		d.skip(id, "keeps the access until "+since.Add(delay).UTC().Format(time.RFC3339))
	case v.State == Waits:
		d.plan.Wait = append(d.plan.Wait, id)
	case !d.in.Pass:
		d.plan.Judge = append(d.plan.Judge, id)
	default:
		d.leaving = append(d.leaving, id)
	}
}

// alive tells whether one of the integrations that a grant was made for is
// there and stays.
func (d *decision) alive(reasons []string) bool {
	return slices.ContainsFunc(d.callers, func(c Caller) bool {
		return c.Integration.State != Deleting && slices.Contains(reasons, c.Integration.ID)
	})
}

// unread tells whether an integration may call for people of whom nobody knows
// yet: one that replaces a deleted one takes its people over.
func (d *decision) unread(counts func(Integration) bool) bool {
	return slices.ContainsFunc(d.callers, func(c Caller) bool {
		return c.Unread && c.Integration.State != Deleting && counts(c.Integration)
	})
}

// orphan holds a removal that a deleted integration brings while another, that
// may call for the person, cannot be read.
func (d *decision) orphan(id string, v Verdict) {
	switch {
	case v.State == Waits:
		d.plan.Wait = append(d.plan.Wait, id)
	case !d.in.Pass:
		d.plan.Judge = append(d.plan.Judge, id)
	default:
		d.say(id, Verdict{State: Waits, At: d.in.Now})
		d.plan.Wait = append(d.plan.Wait, id)
		d.plan.Why = first(d.plan.Why, "an integration was deleted, and another of the target cannot be read")
	}
}

// off tells whether an account is disabled or deleted.
func (d *decision) off(id string) bool { return d.in.People[id].Gone || d.in.People[id].Disabled }

// removalMode is the slowest of those that a grant was made for.
func (d *decision) removalMode(reasons []string) (mode string, delay time.Duration) {
	for _, c := range d.callers {
		i := c.Integration
		if i.State == Deleting || !slices.Contains(reasons, i.ID) {
			continue
		}
		switch i.RemovalMode {
		case RemoveNever:
			return RemoveNever, 0
		case RemoveAfter:
			mode, delay = RemoveAfter, max(delay, time.Duration(i.RemovalHours)*time.Hour)
		}
	}
	return mode, delay
}

// judge lets those who leave go, or holds them: because their group is gone,
// or because they are too many. A broken read or a slip of the hand looks just
// like that.
func (d *decision) judge() {
	d.plan.Release = d.leaving
	if len(d.leaving) == 0 {
		return
	}
	if why := d.tooMany(); why != "" {
		d.wait(why, func(string) bool { return true })
		return
	}
	for _, c := range d.callers {
		name, heldFor := c.Integration.Name, func(id string) bool { return slices.Contains(d.in.Held[id].For, c.Integration.ID) }
		switch {
		case c.Integration.State == Paused:
		case c.Deleted != "":
			d.wait(fmt.Sprintf("the group of %q is %s", name, c.Deleted), heldFor)
		case len(c.Orphans) > 0:
			d.wait(fmt.Sprintf("a group within that of %q is deleted in Entra", name), func(id string) bool { return c.Orphans[id] && heldFor(id) })
		}
	}
}

// wait holds those of the leaving for whom is is true.
func (d *decision) wait(why string, is func(id string) bool) {
	var release []string
	for _, id := range d.plan.Release {
		if !is(id) {
			release = append(release, id)
			continue
		}
		d.say(id, Verdict{State: Waits, At: d.in.Now})
		d.plan.Wait = append(d.plan.Wait, id)
		d.plan.Why = first(d.plan.Why, why)
	}
	d.plan.Release = release
	slices.Sort(d.plan.Wait)
}

// tooMany compares the removals of this pass and of the last ten minutes with
// the limit, and says what is wrong.
func (d *decision) tooMany() string {
	l, ok := strictest(d.callers)
	recent, gone := d.recent()
	removals, grants := len(d.leaving)+recent, d.in.Grants+gone
	if !ok || removals <= l.Count || removals*100 <= l.Percent*grants {
		return ""
	}
	return fmt.Sprintf("%d of %d grants would be removed within ten minutes; the limit is %d and %d %%",
		removals, grants, l.Count, l.Percent)
}

// recent counts the removals of the last ten minutes that nobody asked for,
// made or held, and how many of them are done.
func (d *decision) recent() (all, gone int) {
	for id, v := range d.in.Verdicts {
		if v.By != "" || d.in.Now.Sub(v.At) >= window || slices.Contains(d.leaving, id) {
			continue
		}
		switch v.State {
		case Released:
			all++
			if !d.in.Held[id].Opens() {
				gone++
			}
		case Waits:
			all++
		}
	}
	return all, gone
}

// strictest is the limit that holds first; integrations that go have no say.
func strictest(callers []Caller) (l Limit, ok bool) {
	for _, c := range callers {
		if c.Integration.State == Deleting {
			continue
		}
		r := c.Integration.Limit()
		if !ok {
			l, ok = r, true
			continue
		}
		l = Limit{Count: min(l.Count, r.Count), Percent: min(l.Percent, r.Percent)}
	}
	return l, ok
}

// Due lists when something about a target comes due by itself: a later
// removal, another try with whom Kisi refused, a doubt that is to be cleared.
func Due(in Input) (times []time.Time) {
	d := &decision{in: in, callers: sorted(in.Callers)}
	for id, v := range in.Verdicts {
		_, delay := d.removalMode(in.Held[id].For)
		switch v.State {
		case Later:
			times = append(times, v.At.Add(delay))
		case Doubted:
			times = append(times, in.Now)
		}
	}
	for _, g := range in.Held {
		if g.Standing == Refused {
			times = append(times, g.Since.Add(retryRefused))
		}
	}
	return times
}
