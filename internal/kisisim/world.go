package kisisim

import (
	"sort"
	"strings"
	"time"
)

// AddGroup makes a group with doors, and returns its number.
func (s *Server) AddGroup(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.place(name, s.groups, &s.groupIDs)
}

// AddTeam makes a team.
func (s *Server) AddTeam(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.place(name, s.teams, &s.teamIDs)
}

// RemoveGroup deletes a group and all access to it.
func (s *Server) RemoveGroup(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.groups, id)
	for k, g := range s.groupIDs {
		if g == id {
			s.groupIDs = append(s.groupIDs[:k], s.groupIDs[k+1:]...)
			break
		}
	}
	for _, row := range append([]int(nil), s.assignments.ids...) {
		if a := s.assignments.rows[row]; a.AppliesToType == "Group" && a.AppliesToID == id {
			s.removeAssignment(a)
		}
	}
}

// AddUser makes a person by hand, who gets mails.
func (s *Server) AddUser(email, name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := &User{Email: email, Name: name, SendEmails: true, AccessEnabled: true, ScimAccessEnabled: true, CreatedAt: time.Now().Add(-24 * time.Hour)}
	s.addUser(u)
	return u.ID
}

// RemoveUser deletes a person and all their access, by hand.
func (s *Server) RemoveUser(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[id]
	if u == nil {
		return
	}
	delete(s.users, id)
	delete(s.byEmail, strings.ToLower(u.Email))
	for _, row := range append([]int(nil), s.assignments.ids...) {
		if a := s.assignments.rows[row]; a.AssigneeType == "User" && a.AssigneeID == id {
			s.removeAssignment(a)
		}
	}
}

// AddAssignment gives access by hand; what is left open is basic access of a
// user to a group.
func (s *Server) AddAssignment(a Assignment) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range []struct {
		field *string
		usual string
	}{{&a.RoleID, basic}, {&a.AppliesToType, "Group"}, {&a.AssigneeType, "User"}, {&a.CreatedByType, "User"}} {
		if *d.field == "" {
			*d.field = d.usual
		}
	}
	s.addAssignment(&a)
	return a.ID
}

// RemoveAssignment takes access away by hand.
func (s *Server) RemoveAssignment(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.assignments.rows[id]; a != nil {
		s.removeAssignment(a)
	}
}

// Protect makes the deletion of an assignment a violation.
func (s *Server) Protect(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.protected[id] = true
}

// AddMembership puts a user into a team by hand.
func (s *Server) AddMembership(team, user int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &Membership{ID: s.id(), TeamID: team, MemberType: "User", MemberID: user}
	s.memberships.add(m.ID, m)
	return m.ID
}

// RemoveMembership takes somebody out of a team by hand.
func (s *Server) RemoveMembership(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memberships.remove(id)
}

// AddClutter puts rows into the lists of a group that are never the bridge's:
// another role, a team, a guest, an organization's role, and expired access.
func (s *Server) AddClutter(group int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := &User{Email: "manager@contoso.example", Name: "Kim Manager", SendEmails: true, AccessEnabled: true, ScimAccessEnabled: true}
	if s.byEmail[u.Email] == 0 {
		s.addUser(u)
	}
	manager := s.byEmail[u.Email]
	past := time.Now().Add(-time.Hour)
	for _, a := range []Assignment{
		{RoleID: "group_manager", AppliesToType: "Group", AppliesToID: group, AssigneeType: "User", AssigneeID: manager},
		{RoleID: basic, AppliesToType: "Group", AppliesToID: group, AssigneeType: "Team", AssigneeID: manager},
		{RoleID: basic, AppliesToType: "Group", AppliesToID: group, AssigneeType: "Guest", AssigneeID: 7},
		{RoleID: "organization_administrator", AppliesToType: "Organization", AppliesToID: 12, AssigneeType: "User", AssigneeID: manager},
		{RoleID: basic, AppliesToType: "Group", AppliesToID: group, AssigneeType: "User", AssigneeID: manager, ValidUntil: &past},
	} {
		s.addAssignment(&a)
	}
}

// AddImport makes one of Kisi's own directory imports.
func (s *Server) AddImport(group int, name string, enabled bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := integration{id: s.id(), name: name, kind: "active_directory_user_import", group: group, enabled: enabled, fields: map[string]any{
		"active_directory_tenant_id": "contoso", "active_directory_group_id": "2e58", "active_directory_user_email_property": "userPrincipalName",
	}}
	s.imports = append(s.imports, i)
	return i.id
}

// Users lists everybody, by number.
func (s *Server) Users() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []User
	for _, id := range s.userIDs {
		if u := s.users[id]; u != nil {
			all = append(all, *u)
		}
	}
	return all
}

// Assignments lists all role assignments, by number.
func (s *Server) Assignments() []Assignment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Assignment
	for _, a := range s.assignments.each {
		all = append(all, *a)
	}
	return all
}

// Memberships lists all team memberships, by number.
func (s *Server) Memberships() []Membership {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Membership
	for _, m := range s.memberships.each {
		all = append(all, *m)
	}
	return all
}

// Mails lists the mails about access, oldest first.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Holders lists the emails of those who open a group's doors, sorted.
func (s *Server) Holders(group int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holders(group)
}

func (s *Server) holders(group int) []string {
	var emails []string
	now := time.Now()
	for _, a := range s.assignments.rows {
		if a.opens() && a.AppliesToID == group && a.live(now) && s.users[a.AssigneeID] != nil {
			emails = append(emails, s.users[a.AssigneeID].Email)
		}
	}
	sort.Strings(emails)
	return emails
}

// Opens tells whether the person of that email opens a group's doors.
func (s *Server) Opens(group int, email string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.rowsOf[pair{s.byEmail[strings.ToLower(email)], group}] {
		if s.assignments.rows[id].live(time.Now()) {
			return true
		}
	}
	return false
}

// TeamMembers lists the emails of a team's users, sorted.
func (s *Server) TeamMembers(team int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var emails []string
	for _, m := range s.memberships.rows {
		if m.TeamID == team && m.MemberType == "User" && s.users[m.MemberID] != nil {
			emails = append(emails, s.users[m.MemberID].Email)
		}
	}
	sort.Strings(emails)
	return emails
}

// Log lists the calls that were served, oldest first.
func (s *Server) Log() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.log...)
}

// Calls counts the calls whose "METHOD /path" begins with prefix.
func (s *Server) Calls(prefix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.log {
		if strings.HasPrefix(c.Method+" "+c.Path, prefix) {
			n++
		}
	}
	return n
}
