package app_test

import (
	"fmt"
	"slices"
	"strings"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
)

func (m *model) move(person, group string, join bool) {
	if m.gone[group] || m.people[person].deleted || m.members[group][person] == join {
		return
	}
	set(m.members, group, person, join)
	if join {
		m.graph.Join(group, person)
	} else {
		m.graph.Leave(group, person)
	}
}

func (m *model) nest(outer, inner string, join bool) {
	if outer == inner || m.gone[outer] || m.gone[inner] || m.inner[outer][inner] == join {
		return
	}
	set(m.inner, outer, inner, join)
	if join {
		m.graph.Join(outer, inner)
	} else {
		m.graph.Leave(outer, inner)
	}
}

func (m *model) enable(person string, on bool) {
	if p := m.people[person]; !p.deleted {
		p.enabled = on
		m.graph.UpdateUser(person, func(u *graphsim.User) { u.AccountEnabled = on })
	}
}

func (m *model) deletePerson(person string) {
	if p := m.people[person]; !p.deleted {
		p.deleted = true
		m.graph.DeleteUser(person)
	}
}

func (m *model) restorePerson(person string) {
	if p := m.people[person]; p.deleted {
		p.deleted = false
		m.graph.RestoreUser(person)
	}
}

// readdress gives a person another address: a new one, the next person's, or
// the one they began with. (An address that vanishes ends no access, and is a
// story of its own.)
func (m *model) readdress(person string, b int) {
	p := m.people[person]
	if p.deleted {
		return
	}
	switch b % 3 {
	case 0:
		p.versions++
		p.email = fmt.Sprintf("%s-%d@contoso.example", person, p.versions)
	case 1:
		p.email = personID(b) + "@contoso.example"
	case 2:
		p.email = person + "@contoso.example"
	}
	mail := p.email
	m.graph.UpdateUser(person, func(u *graphsim.User) { u.Mail = &mail })
}

func (m *model) deleteGroup(group string) {
	if !m.gone[group] {
		m.gone[group] = true
		m.graph.DeleteGroup(group)
	}
}

func (m *model) restoreGroup(group string) {
	if m.gone[group] {
		m.gone[group] = false
		m.graph.RestoreGroup(group)
	}
}

func (m *model) integrate(a, b int) {
	id := m.slot(a)
	group := m.group(b)
	if m.rules[id] != nil || m.gone[group] {
		return
	}
	m.made++
	i := access.Integration{
		ID: fmt.Sprint(id, "-", m.made), Name: id, Group: access.Group{Connection: graphsim.DefaultTenant, ID: group}, EmailProperty: access.EmailMail,
		Target: access.Target{Connection: "kisi", Type: access.TargetGroup, ID: m.doors[(a/4)%modelDoors]},
	}
	if b%3 == 0 {
		i.Membership = access.Transitive
	}
	if a%5 == 0 {
		i.DisabledAccounts = access.DisabledKeep
	}
	if b%5 == 0 {
		i.RemovalLimit = &access.Limit{Count: 1}
	}
	added, err := m.engine.Add(m.t.Context(), i)
	if err == nil {
		m.rules[id] = &added
		return
	}
	m.judge("add", err)
	// It may have been stored all the same, and the answer lost.
	if stored, err := m.store.Integration(m.t.Context(), i.ID); err == nil {
		m.rules[id] = &stored
	}
}

func (m *model) disintegrate(a int) {
	if i := m.rules[m.slot(a)]; i != nil {
		m.change("delete", m.engine.Delete(m.t.Context(), i.ID))
		delete(m.rules, m.slot(a))
	}
}

func (m *model) pause(a int, on bool) {
	i := m.rules[m.slot(a)]
	if i == nil {
		return
	}
	if on && m.change("pause", m.engine.Pause(m.t.Context(), i.ID)) {
		i.State = access.Paused
	}
	if !on && m.change("resume", m.engine.Resume(m.t.Context(), i.ID)) {
		i.State = access.Active
	}
}

// change tells whether a click took effect; one that did not fit is refused.
func (m *model) change(what string, err error) bool {
	if err != nil && !fault.Is(err, fault.Invalid) {
		m.judge(what, err)
	}
	return err == nil
}

func (m *model) resumeAll() {
	for n := range modelSlots {
		i := m.rules[m.slot(n)]
		if i != nil && i.State == access.Paused && m.change("resume", m.engine.Resume(m.t.Context(), i.ID)) {
			i.State = access.Active
		}
	}
}

func (m *model) approve(a int) {
	if i := m.rules[m.slot(a)]; i != nil {
		m.change("approve", m.engine.Approve(m.t.Context(), i.ID))
	}
}

func (m *model) approveAll() {
	for n := range modelSlots {
		m.approve(n)
	}
}

// takeByHand takes a grant away in Kisi, as somebody there may.
func (m *model) takeByHand(a int) {
	var rows []int
	users := map[int]string{}
	for _, u := range m.kisi.Users() {
		users[u.ID] = u.Email
	}
	for _, row := range m.kisi.Assignments() {
		email := users[row.AssigneeID]
		if row.RoleID == "group_basic" && row.AssigneeType == "User" && strings.HasPrefix(email, "p") && !slices.Contains(m.clutter[row.AppliesToID], email) {
			rows = append(rows, row.ID)
		}
	}
	if len(rows) > 0 {
		m.kisi.RemoveAssignment(rows[a%len(rows)])
	}
}
