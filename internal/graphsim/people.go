package graphsim

import (
	"fmt"
	"slices"
)

// The verbs below change the tenant as its admins would. What cannot be done
// (a group that does not exist, say) is a mistake of the test and is told as a
// violation.

// AddUser makes a person, or replaces the one of that id.
func (s *Server) AddUser(u User) {
	u.UserType = orDefault(u.UserType, "Member")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dir.put(&record{id: u.ID, kind: userKind, user: u})
	s.tellUser(u.ID, "updated")
}

// UpdateUser changes a live person; the id stays.
func (s *Server) UpdateUser(id string, change func(*User)) {
	s.mu.Lock()
	old := s.dir.objects[id]
	if !old.alive(userKind) {
		s.mu.Unlock()
		s.violate("graphsim: update of user %s, who does not exist", id)
		return
	}
	defer s.mu.Unlock()
	now := *old
	change(&now.user)
	now.user.ID = id
	if now.user.equal(old.user) {
		return
	}
	s.dir.put(&now)
	s.tellUser(id, "updated")
}

// DeleteUser deletes a person softly: memberships stay, reads by id answer
// 404, and group delta says nothing.
func (s *Server) DeleteUser(id string) { s.turnUser(id, deleted) }

// RestoreUser brings a softly deleted person back.
func (s *Server) RestoreUser(id string) { s.turnUser(id, live) }

func (s *Server) turnUser(id string, to state) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir.turn(id, userKind, to) {
		s.tellUser(id, "updated")
	}
}

// PurgeUser deletes a person for good; only now do the memberships end.
func (s *Server) PurgeUser(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dir.objects[id].is(userKind) {
		return
	}
	s.leaveAll(id)
	if s.dir.turn(id, userKind, purged) {
		s.tellUser(id, "deleted")
	}
}

// leaveAll ends every membership of an object that goes for good.
func (s *Server) leaveAll(id string) {
	for _, g := range s.dir.groupsOf(id) {
		s.tellMembers(g, s.dir.leave(g, []string{id}), false)
	}
}

// AddGroup makes a group, or renames the one of that id.
func (s *Server) AddGroup(id, displayName string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dir.put(&record{id: id, kind: groupKind, name: displayName})
	s.tellGroup(id, "updated")
}

// DeleteGroup deletes a group softly; it can be restored with its members.
func (s *Server) DeleteGroup(id string) { s.turnGroup(id, deleted) }

// RestoreGroup brings a softly deleted group back.
func (s *Server) RestoreGroup(id string) { s.turnGroup(id, live) }

// PurgeGroup deletes a group for good.
func (s *Server) PurgeGroup(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dir.objects[id].is(groupKind) {
		return
	}
	s.leaveAll(id)
	if s.dir.turn(id, groupKind, purged) {
		s.tellGroup(id, "deleted")
	}
}

func (s *Server) turnGroup(id string, to state) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir.turn(id, groupKind, to) {
		s.tellGroup(id, "updated")
	}
}

// AddDevice makes a device, which can be a member of groups.
func (s *Server) AddDevice(id string) { s.addThing(id, deviceKind) }

// AddServicePrincipal makes a service principal, which can be a member too.
func (s *Server) AddServicePrincipal(id string) { s.addThing(id, principalKind) }

func (s *Server) addThing(id string, k kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dir.put(&record{id: id, kind: k, name: id})
}

// Join adds members to a group; all of them go into one notification.
func (s *Server) Join(group string, members ...string) {
	if err := s.move(group, members, true); err != nil {
		s.violate("graphsim: join: %v", err)
	}
}

// Leave removes members from a group; all of them go into one notification.
func (s *Server) Leave(group string, members ...string) {
	if err := s.move(group, members, false); err != nil {
		s.violate("graphsim: leave: %v", err)
	}
}

func (s *Server) move(group string, members []string, join bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.dir.objects[group]; !g.is(groupKind) || g.state == purged {
		return fmt.Errorf("there is no group %s", group)
	}
	if !join {
		s.tellMembers(group, s.dir.leave(group, members), false)
		return nil
	}
	for _, m := range members {
		if r := s.dir.objects[m]; r == nil || r.state == purged {
			return fmt.Errorf("there is nobody %s to put into group %s", m, group)
		}
	}
	s.tellMembers(group, s.dir.join(group, members), true)
	return nil
}

// A Group is a group's name and id.
type Group struct{ ID, DisplayName string }

// Groups returns the groups that are not deleted, oldest first.
func (s *Server) Groups() []Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	var groups []Group
	for _, id := range s.dir.groups {
		if r := s.dir.objects[id]; r.alive(groupKind) {
			groups = append(groups, Group{ID: id, DisplayName: r.name})
		}
	}
	return groups
}

// Members returns the ids of a group's direct members as they truly are, sorted.
func (s *Server) Members(group string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dir.membersOf(group))
}

// User returns a person who is not deleted.
func (s *Server) User(id string) (User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.dir.objects[id]
	if !r.alive(userKind) {
		return User{}, false
	}
	return r.user, true
}
