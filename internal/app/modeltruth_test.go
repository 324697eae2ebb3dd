package app_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/access"
)

// A truth is what the company is really like, told in the simplest words.
type truth struct {
	people  map[string]*human
	members map[string]map[string]bool // group → person
	inner   map[string]map[string]bool // group → group
	gone    map[string]bool            // deleted groups
	rules   map[string]*access.Integration
	doors   []int
	clutter map[int][]string // whom the doors let in before us

	since   map[string]time.Time // "doors person email" → since when they are called for, without a break
	removed map[string]int       // email → grants of theirs that were deleted
	made    int
}

type human struct {
	email    string
	enabled  bool
	deleted  bool
	versions int
}

func newTruth() truth {
	return truth{
		people: map[string]*human{}, members: map[string]map[string]bool{}, inner: map[string]map[string]bool{}, gone: map[string]bool{},
		rules: map[string]*access.Integration{}, clutter: map[int][]string{}, since: map[string]time.Time{}, removed: map[string]int{},
	}
}

func personID(n int) string          { return fmt.Sprint("p", n%modelPeople) }
func (m *model) person(n int) string { return personID(n) }
func (m *model) group(n int) string  { return fmt.Sprint("g", n%modelGroups) }
func slotID(n int) string            { return fmt.Sprint("i", n%modelSlots) }
func (m *model) slot(n int) string   { return slotID(n) }
func set(of map[string]map[string]bool, a, b string, on bool) {
	if of[a] == nil {
		of[a] = map[string]bool{}
	}
	of[a][b] = on
}

// calls is the model: who should hold a target, and under which address.
func (tr *truth) calls(doors int) map[string]string {
	want := map[string]string{}
	for _, i := range tr.rules {
		if i.Target.ID != doors || i.State != access.Active || tr.gone[i.Group.ID] {
			continue
		}
		for id := range tr.reach(i.Group.ID, i.Membership == access.Transitive, map[string]bool{}) {
			if p := tr.people[id]; !p.deleted && (p.enabled || i.DisabledAccounts == access.DisabledKeep) {
				want[id] = p.email
			}
		}
	}
	return want
}

// reach lists the people of a group, and of those within.
func (tr *truth) reach(group string, deep bool, seen map[string]bool) map[string]bool {
	all := map[string]bool{}
	seen[group] = true
	for id, in := range tr.members[group] {
		all[id] = all[id] || in
	}
	for inner, in := range tr.inner[group] {
		if deep && in && !seen[inner] && !tr.gone[inner] {
			for id, in := range tr.reach(inner, deep, seen) {
				all[id] = all[id] || in
			}
		}
	}
	for id, in := range all {
		if !in {
			delete(all, id)
		}
	}
	return all
}

// note remembers since when everybody is called for.
func (m *model) note() {
	now := map[string]time.Time{}
	for _, d := range m.doors {
		for id, email := range m.calls(d) {
			key := fmt.Sprint(d, " ", id, " ", email)
			now[key] = time.Now()
			if was, ok := m.since[key]; ok {
				now[key] = was
			}
		}
	}
	m.since = now
}

// deleting sees a grant go. One that the ledger holds for somebody who was
// called for all the while since long before may not.
func (m *model) deleting(row string) {
	id, err := strconv.Atoi(row)
	if err != nil {
		m.fail("deleted %q", row)
		return
	}
	users := map[int]string{}
	for _, u := range m.kisi.Users() {
		users[u.ID] = u.Email
	}
	for _, a := range m.kisi.Assignments() {
		if a.ID != id {
			continue
		}
		email := users[a.AssigneeID]
		m.removed[email]++
		if slices.Contains(m.clutter[a.AppliesToID], email) {
			m.fail("%s lost access that is not ours", email)
		}
		for person, g := range m.ledger(a.AppliesToID) {
			since, called := m.since[fmt.Sprint(a.AppliesToID, " ", person, " ", email)]
			if g.Row == id && g.Standing == access.Holds && called && time.Since(since) > 10*time.Minute && m.read(a.AppliesToID, person) {
				m.fail("%s lost doors %d, for which %s is called since %s", email, a.AppliesToID, person, time.Since(since))
			}
		}
	}
}

// read tells whether the bridge has read that a person belongs to a group that
// calls for them: who came back while it was down may lose access for the
// moment until it reads again.
func (m *model) read(doors int, person string) bool {
	rules, err := m.onlooker.Rules(context.Background())
	if err != nil {
		m.fail("look at the rules: %v", err)
		return false
	}
	for _, i := range rules.OfTarget(access.Target{Connection: "kisi", Type: access.TargetGroup, ID: doors}) {
		if i.State != access.Active || !m.people[person].enabled && i.DisabledAccounts != access.DisabledKeep {
			continue
		}
		for _, g := range rules.Reads(i) {
			members, err := m.onlooker.Members(context.Background(), g, person)
			if err == nil && members[person] && m.members[g.ID][person] {
				return true
			}
		}
	}
	return false
}

// ledger reads what is held on some doors, past the breaker.
func (m *model) ledger(doors int) map[string]access.Grant {
	held, err := m.onlooker.Grants(context.Background(), access.Target{Connection: "kisi", Type: access.TargetGroup, ID: doors})
	if err != nil {
		m.fail("look at the ledger: %v", err)
	}
	return held
}

// explain shows what the bridge knows, for whoever looks into a failure.
func (m *model) explain(doors int) string {
	var b strings.Builder
	t := access.Target{Connection: "kisi", Type: access.TargetGroup, ID: doors}
	for id, g := range m.ledger(doors) {
		fmt.Fprintf(&b, "ledger %s: %+v %+v\n", id, g, g.Old)
	}
	v, err := m.onlooker.Verdicts(context.Background(), t)
	fmt.Fprintf(&b, "verdicts %+v %v\n", v, err)
	rules, err := m.onlooker.Rules(context.Background())
	if err != nil {
		return b.String() + err.Error()
	}
	for _, i := range rules.OfTarget(t) {
		fmt.Fprintf(&b, "integration %s: %s %q unsettled=%v %s\n", i.ID, i.State, i.Why, i.Unsettled, i.Membership)
		for _, g := range rules.Reads(i) {
			kinds, err := m.onlooker.Kinds(context.Background(), g)
			state, _ := m.onlooker.Membership(context.Background(), g)
			fmt.Fprintf(&b, "  reads %s: %v deleted=%q %v; really %v %v\n", g.ID, kinds, state.Deleted, err, m.members[g.ID], m.inner[g.ID])
		}
	}
	fmt.Fprintf(&b, "waiting work: %v\n", m.queue.order)
	return b.String()
}

// checkAlways is what holds after every step.
func (m *model) checkAlways() {
	m.note()
	for d, before := range m.clutter {
		now := m.kisi.Holders(d)
		for _, email := range before {
			if !slices.Contains(now, email) {
				m.fail("%s lost doors %d, which we did not give", email, d)
			}
		}
	}
}

// checkQuiet is what holds when faults are over: everybody has what they are
// called for, and was mailed no more often than they were granted.
func (m *model) checkQuiet() {
	for _, d := range m.doors {
		want := map[string]bool{}
		for _, email := range m.calls(d) {
			want[email] = true
		}
		for _, email := range m.clutter[d] {
			want[email] = true
		}
		got := map[string]bool{}
		for _, email := range m.kisi.Holders(d) {
			got[email] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			m.fail("doors %d (-want +got):\n%s\n%s", d, diff, m.explain(d))
		}
	}
	mails := map[string]int{}
	for _, mail := range m.kisi.Mails() {
		mails[mail.To]++
	}
	for email, n := range mails {
		if most := modelDoors + m.removed[email]; n > most {
			m.fail("%s had %d mails, want at most %d", email, n, most)
		}
	}
}
