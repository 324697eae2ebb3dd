package kisisim

import (
	"sort"
	"strings"
	"time"
)

// Users lists everybody, by number.
func (s *Server) Users() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users.all()
}

// Assignments lists all role assignments, by number.
func (s *Server) Assignments() []Assignment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.assignments.all()
}

// Memberships lists all team memberships, by number.
func (s *Server) Memberships() []Membership {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.memberships.all()
}

// Mails lists the mails about access, oldest first.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Holders lists the emails of those who hold access to a group's doors, sorted,
// be they locked out or not.
func (s *Server) Holders(group int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holders(group)
}

func (s *Server) holders(group int) []string {
	var emails []string
	now := time.Now()
	for _, a := range s.assignments.of(appliesTo("Group", group)) {
		if u := s.users.rows[a.AssigneeID]; a.opens() && a.live(now) && u != nil {
			emails = append(emails, u.Email)
		}
	}
	sort.Strings(emails)
	return emails
}

// Opens tells whether the person of that email opens a group's doors.
func (s *Server) Opens(group int, email string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users.rows[s.byEmail[fold(email)]]
	if u == nil || !u.AccessEnabled || !u.ScimAccessEnabled {
		return false
	}
	for _, a := range s.basicRows(u.ID, group) {
		if a.live(time.Now()) {
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
	for _, m := range s.memberships.of(ofTeam(team)) {
		if u := s.users.rows[m.MemberID]; m.MemberType == "User" && u != nil {
			emails = append(emails, u.Email)
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
