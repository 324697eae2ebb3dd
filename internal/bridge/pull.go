package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// Delta lags behind its notifications. When it is silent after one, it is
// asked again after these times.
var recheckAfter = [...]time.Duration{2 * time.Second, 10 * time.Second, 30 * time.Second}

// Pull reads a group and wakes the workers for everybody whose access differs.
// A pull is safe to repeat: it decides from what is stored now.
func (e *Engine) Pull(ctx context.Context, w access.Wake) error {
	g, err := access.ParseGroup(w.Name)
	if err != nil {
		return &fault.Error{Class: fault.Invalid, Op: "pull", Err: err}
	}
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return err
	}
	of := live(rules.OfGroup(g))
	if len(of) == 0 {
		return nil
	}
	if w.Urgency == access.Look {
		ctx = access.Unhurried(ctx)
	}
	if err := e.pull(ctx, g, of, w); err != nil {
		return fmt.Errorf("pull %s: %w", g, err)
	}
	return e.recovered(ctx, of, entraSide)
}

func (e *Engine) pull(ctx context.Context, g access.Group, of []access.Integration, w access.Wake) error {
	before, err := e.store.Inner(ctx, g)
	if err != nil {
		return err
	}
	if err := e.read(ctx, g, w); err != nil {
		return err
	}
	moved, err := e.nest(ctx, g, of, before)
	if err != nil {
		return err
	}
	return e.spread(ctx, g, w, moved)
}

// read brings the stored membership up to date with Graph.
func (e *Engine) read(ctx context.Context, g access.Group, w access.Wake) error {
	dir, err := e.directory(ctx, g.Connection)
	if err != nil {
		return err
	}
	m, err := e.store.Membership(ctx, g)
	if err != nil {
		return err
	}
	if w.Cause.Has(access.ByReread) {
		m.Link = ""
	}
	began := time.Now()
	changes, err := dir.Changes(ctx, g.ID, m.Link)
	if errors.Is(err, access.ErrResync) {
		e.log.Info("delta link expired, everything is read again", "group", g.String())
		changes, err = dir.Changes(ctx, g.ID, "")
	}
	switch {
	case fault.Is(err, fault.Missing):
		changes = access.Changes{Deleted: "missing", Link: m.Link}
	case err != nil:
		return err
	}
	silent, full := changes.Empty(), changes.Full
	people, changes, err := e.truth(ctx, dir, g, w, m, changes)
	if fault.Is(err, fault.Missing) {
		people, changes, err = nil, access.Changes{Link: changes.Link, Deleted: cmp.Or(m.Deleted, "missing")}, nil
	}
	if err != nil {
		return err
	}
	others, err := e.savePeople(ctx, dir, g.Connection, people, began)
	if err != nil {
		return err
	}
	if _, err := e.store.SaveMembership(ctx, g, m.Rev, changes, time.Now()); err != nil {
		return err
	}
	if len(others) > 0 { // members already, and others than they were
		if _, err := e.store.MarkChanged(ctx, []access.Group{g}, others); err != nil {
			return err
		}
	}
	e.metrics.pulls.WithLabelValues(result(changes, silent)).Inc()
	// After a full read too: whoever left while it was made may still be listed.
	if full || silent && w.Cause.Has(access.ByNotice) {
		return e.recheck(ctx, g, w)
	}
	return nil
}

const (
	// catchUp is how long delta may go on to lag behind a member list that knew
	// more. What the list told, and was undone before delta came as far, delta
	// never tells: until then the list is read along.
	catchUp = 2 * time.Hour

	// compareEvery is how often the list is read in any case.
	compareEvery = 24 * time.Hour
)

// mustCompare tells whether delta alone will do. Where it told everything, was
// unsure, was silent although something had happened, or may be behind what is
// stored, it will not. Of a group that is deleted it tells once, and is silent
// from then on.
func mustCompare(c access.Changes, why access.Cause, m store.Membership, now time.Time) bool {
	switch {
	case c.Full, c.Unsure, m.Deleted != "", why.Has(access.ByRecheck | access.ByDoubt):
		return true
	case c.Empty() && why.Has(access.ByNotice):
		return true
	}
	return now.Sub(m.Ahead) < catchUp || now.Sub(m.Listed) >= compareEvery
}

// savePeople stores what was read of people, and tells who is other than was
// known. Whoever changed while the reading went on is read again: an answer
// that is older than a notification must not undo it.
func (e *Engine) savePeople(ctx context.Context, dir Directory, tenant string, people []access.Person, began time.Time) (others []string, err error) {
	for range 3 {
		if len(people) == 0 {
			return others, nil
		}
		ids := make([]string, len(people))
		for k, p := range people {
			ids[k] = p.ID
		}
		was, err := e.store.People(ctx, tenant, ids)
		if err != nil {
			return nil, err
		}
		for _, p := range people {
			if known, ok := was[p.ID]; ok && known != p {
				others = append(others, p.ID)
			}
		}
		refused, err := e.store.SavePeople(ctx, tenant, people, began)
		if err != nil || len(refused) == 0 {
			return others, err
		}
		others = append(others, refused...)
		began = time.Now()
		if people, err = dir.People(ctx, refused); err != nil {
			return nil, err
		}
	}
	return nil, fault.New(fault.Busy, "save people", "their details change faster than they are read")
}

// truth completes what delta told with the details of the people who joined,
// and with the member list where delta alone will not do.
func (e *Engine) truth(ctx context.Context, dir Directory, g access.Group, w access.Wake, m store.Membership, c access.Changes) ([]access.Person, access.Changes, error) {
	if c.Deleted != "" {
		return nil, access.Changes{Link: c.Link, Name: c.Name, Deleted: c.Deleted}, nil
	}
	if mustCompare(c, w.Cause, m, time.Now()) {
		return e.compare(ctx, dir, g, c)
	}
	var ids []string
	for _, m := range c.Joined {
		if m.Kind == access.KindUser {
			ids = append(ids, m.ID)
		}
	}
	if len(ids) == 0 {
		return nil, c, nil
	}
	people, err := dir.People(ctx, ids)
	return people, c, err
}

// compare reads the member list and gives the difference to what is stored.
// Whoever delta has just named is a member too, although the list may be
// behind: nobody is taken for gone whom one of the two still shows.
func (e *Engine) compare(ctx context.Context, dir Directory, g access.Group, c access.Changes) ([]access.Person, access.Changes, error) {
	listed, people, err := dir.Members(ctx, g.ID)
	if err != nil {
		return nil, c, err
	}
	stored, err := e.store.Kinds(ctx, g)
	if err != nil {
		return nil, c, err
	}
	there := make(map[string]string, len(listed)+len(c.Joined))
	for _, m := range append(slices.Clip(listed), c.Joined...) {
		there[m.ID] = m.Kind
	}
	if !c.Full {
		for _, id := range c.Left {
			delete(there, id)
		}
	}
	diff := access.Changes{Link: c.Link, Name: c.Name, Compared: true, Ahead: ahead(listed, stored, c)}
	for id, kind := range there {
		if stored[id] != kind {
			diff.Joined = append(diff.Joined, access.Member{ID: id, Kind: kind})
		}
	}
	for id := range stored {
		if there[id] == "" {
			diff.Left = append(diff.Left, id)
		}
	}
	slices.SortFunc(diff.Joined, func(a, b access.Member) int { return cmp.Compare(a.ID, b.ID) })
	slices.Sort(diff.Left)
	if !c.Full {
		people = those(people, diff.Joined) // of the others the profiles tell
	}
	if people, err = alive(ctx, dir, people); err != nil {
		return nil, c, err
	}
	more, err := e.unlisted(ctx, dir, diff.Joined, people)
	return append(people, more...), diff, err
}

// ahead tells whether a list shows other members than are known through delta.
func ahead(listed []access.Member, stored map[string]string, c access.Changes) bool {
	known := map[string]bool{}
	if !c.Full {
		for id := range stored {
			known[id] = true
		}
	}
	for _, m := range c.Joined {
		known[m.ID] = true
	}
	for _, id := range c.Left {
		delete(known, id)
	}
	if len(known) != len(listed) {
		return true
	}
	return slices.ContainsFunc(listed, func(m access.Member) bool { return !known[m.ID] })
}

// those keeps the people who are among the members.
func those(people []access.Person, members []access.Member) []access.Person {
	wanted := make(map[string]bool, len(members))
	for _, m := range members {
		wanted[m.ID] = true
	}
	return slices.DeleteFunc(people, func(p access.Person) bool { return !wanted[p.ID] })
}

// alive reads once more, one by one, the people whom a member list shows and
// who are not found among the living: they may be deleted, or quite new.
func alive(ctx context.Context, dir Directory, people []access.Person) ([]access.Person, error) {
	if len(people) == 0 {
		return people, nil
	}
	ids := make([]string, len(people))
	for k, p := range people {
		ids[k] = p.ID
	}
	living, err := dir.Living(ctx, ids)
	if err != nil {
		return nil, err
	}
	lost := slices.DeleteFunc(ids, func(id string) bool { return living[id] })
	if len(lost) == 0 {
		return people, nil
	}
	again, err := dir.People(ctx, lost)
	if err != nil {
		return nil, err
	}
	people = slices.DeleteFunc(people, func(p access.Person) bool { return !living[p.ID] })
	return append(people, again...), nil
}

// unlisted reads the people whom delta named and the list did not.
func (e *Engine) unlisted(ctx context.Context, dir Directory, joined []access.Member, listed []access.Person) ([]access.Person, error) {
	known := make(map[string]bool, len(listed))
	for _, p := range listed {
		known[p.ID] = true
	}
	var ids []string
	for _, m := range joined {
		if m.Kind == access.KindUser && !known[m.ID] {
			ids = append(ids, m.ID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return dir.People(ctx, ids)
}

func (e *Engine) recheck(ctx context.Context, g access.Group, w access.Wake) error {
	for _, after := range recheckAfter {
		again := access.PullOf(g, access.Revoke, access.ByRecheck, w.Since)
		if err := e.waker.Later(ctx, again, after); err != nil {
			return err
		}
	}
	return nil
}

func result(c access.Changes, silent bool) string {
	switch {
	case c.Deleted != "":
		return "deleted"
	case len(c.Joined)+len(c.Left) == 0:
		return "nothing"
	case silent:
		return "behind" // delta was, and the member list knew better
	}
	return "changed"
}
