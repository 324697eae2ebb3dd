package kisisim

import (
	"cmp"
	"time"
)

// What follows is done by hand, as by an administrator in Kisi's own pages: it
// is no call, is never refused, breaches nothing, and webhooks tell of it.

// AddGroup makes a group with doors, and returns its number.
func (s *Server) AddGroup(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.place(name, s.groups)
}

// AddTeam makes a team.
func (s *Server) AddTeam(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.place(name, s.teams)
}

// RemoveGroup deletes a group and all access to it.
func (s *Server) RemoveGroup(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups.remove(id)
	for _, a := range s.assignments.of(appliesTo("Group", id)) {
		s.removeAssignment(handID, a)
	}
}

// AddUser makes a person, who gets mails.
func (s *Server) AddUser(email, name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := regular(email, name)
	s.addUser(handID, u)
	return u.ID
}

// regular is a person who was there yesterday, so that searches find them.
func regular(email, name string) *User {
	return &User{
		Email: email, Name: name, SendEmails: true, AccessEnabled: true, ScimAccessEnabled: true,
		CreatedAt: time.Now().Add(-24 * time.Hour),
	}
}

// SetUserFlags locks a person out of all doors, unless both are true.
func (s *Server) SetUserFlags(id int, accessEnabled, scimEnabled bool) {
	s.edit(id, func(u *User) { u.AccessEnabled, u.ScimAccessEnabled = accessEnabled, scimEnabled })
}

// RenameUser changes what a person is called.
func (s *Server) RenameUser(id int, name string) {
	s.edit(id, func(u *User) { u.Name = name })
}

func (s *Server) edit(id int, change func(*User)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users.rows[id]; u != nil {
		change(u)
		s.fold(u)
		s.tell(handID, "update", u.object())
	}
}

// RemoveUser deletes a person and all their access.
func (s *Server) RemoveUser(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users.rows[id]; u != nil {
		s.forget(handID, u)
	}
}

// AddAssignment gives access; what is left open is basic access of a user to
// a group.
func (s *Server) AddAssignment(a Assignment) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.RoleID = cmp.Or(a.RoleID, basic)
	a.AppliesToType = cmp.Or(a.AppliesToType, "Group")
	a.AssigneeType = cmp.Or(a.AssigneeType, "User")
	a.CreatedByType = cmp.Or(a.CreatedByType, "User")
	a.CreatedByID = cmp.Or(a.CreatedByID, int(handID))
	s.addAssignment(handID, &a)
	return a.ID
}

// RemoveAssignment takes access away.
func (s *Server) RemoveAssignment(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.assignments.rows[id]; a != nil {
		s.removeAssignment(handID, a)
	}
}

// Protect makes it a violation that a call changes or deletes an assignment.
func (s *Server) Protect(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.protected[id] = true
}

// AddMembership puts a user into a team.
func (s *Server) AddMembership(team, user int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.join(handID, team, user).ID
}

// RemoveMembership takes somebody out of a team.
func (s *Server) RemoveMembership(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.memberships.rows[id]; m != nil {
		s.leave(handID, m)
	}
}

// AddClutter puts rows into the lists of a group that are never the bridge's:
// another role, a team, a guest, an organization's role, and expired access.
func (s *Server) AddClutter(group int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const email = "manager@contoso.example"
	if s.byEmail[email] == 0 {
		s.addUser(handID, regular(email, "Kim Manager"))
	}
	manager := s.byEmail[email]
	past := time.Now().Add(-time.Hour)
	for _, a := range []Assignment{
		{RoleID: "group_manager", AppliesToType: "Group", AppliesToID: group, AssigneeType: "User", AssigneeID: manager},
		{RoleID: basic, AppliesToType: "Group", AppliesToID: group, AssigneeType: "Team", AssigneeID: manager},
		{RoleID: basic, AppliesToType: "Group", AppliesToID: group, AssigneeType: "Guest", AssigneeID: 7},
		{RoleID: "organization_administrator", AppliesToType: "Organization", AppliesToID: 12, AssigneeType: "User", AssigneeID: manager},
		{RoleID: basic, AppliesToType: "Group", AppliesToID: group, AssigneeType: "User", AssigneeID: manager, ValidUntil: &past},
	} {
		s.addAssignment(handID, &a)
	}
}

// AddImport makes one of Kisi's own directory imports.
func (s *Server) AddImport(group int, name string, enabled bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := &integration{id: s.id(), name: name, kind: userImport, group: group, enabled: enabled}
	s.integrations.add(i.id, i)
	return i.id
}

// RemoveIntegration deletes an import or a webhook.
func (s *Server) RemoveIntegration(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.integrations.remove(id)
}
