package kisisim

import "net/http"

// A Membership puts somebody into a team.
type Membership struct {
	ID, TeamID int
	MemberType string
	MemberID   int
}

func ofTeam(id int) key              { return key{"team", "Team", id} }
func member(kind string, id int) key { return key{"member", kind, id} }
func membershipKeys(m *Membership) []key {
	return []key{ofTeam(m.TeamID), member(m.MemberType, m.MemberID)}
}

func (s *Server) listMemberships(r *http.Request) (*answer, error) {
	q, err := s.options(r, "team_id", "member_type", "member_id", "ids", "sort", "limit", "offset")
	if err != nil {
		return nil, err
	}
	if q.Has("member_id") && !q.Has("member_type") {
		return nil, invalid("member_id", "needs member_type")
	}
	team, err := number(q, "team_id", 0)
	if err != nil {
		return nil, err
	}
	user, err := number(q, "member_id", 0)
	if err != nil {
		return nil, err
	}
	l := list[Membership]{size: otherPage, rows: s.memberships, show: showMembership}
	switch {
	case user != 0:
		l.ids = known(s.memberships.index[member(q.Get("member_type"), user)])
	case team != 0:
		l.ids = known(s.memberships.index[ofTeam(team)])
	}
	l.keep = func(m *Membership) bool {
		return is(q, "team_id", itoa(m.TeamID)) && is(q, "member_type", m.MemberType) && is(q, "member_id", itoa(m.MemberID))
	}
	return l.page(s, r, q)
}

func showMembership(m *Membership) any {
	return map[string]any{
		"id": m.ID, "resource_type": "TeamMembership", "team_id": m.TeamID,
		"member_type": m.MemberType, "member_id": m.MemberID,
	}
}

func (s *Server) getMembership(r *http.Request) (*answer, error) {
	m := s.memberships.rows[pathID(r)]
	if m == nil {
		return nil, notFound("TeamMembership", pathID(r))
	}
	return ok(showMembership(m))
}

func (s *Server) postMembership(r *http.Request) (*answer, error) {
	in := struct {
		TeamID     *int    `json:"team_id"`
		MemberType *string `json:"member_type"`
		MemberID   *int    `json:"member_id"`
	}{}
	if err := s.body(r, "team_membership", &in); err != nil {
		return nil, err
	}
	if in.TeamID == nil || in.MemberType == nil || in.MemberID == nil {
		return nil, invalid("team_id", "team_id, member_type and member_id can't be blank")
	}
	if s.teams.rows[*in.TeamID] == nil || *in.MemberType != "User" || s.users.rows[*in.MemberID] == nil {
		return nil, notFound("Team or User", *in.MemberID)
	}
	for _, m := range s.memberships.of(member("User", *in.MemberID)) {
		if m.TeamID != *in.TeamID {
			continue
		}
		if !s.opts.DoubleAssignments {
			return nil, exists()
		}
		s.violate("user %d is twice in team %d", m.MemberID, m.TeamID)
	}
	return ok(showMembership(s.join(callerID, *in.TeamID, *in.MemberID)))
}

func (s *Server) join(who by, team, user int) *Membership {
	m := &Membership{ID: s.id(), TeamID: team, MemberType: "User", MemberID: user}
	s.memberships.add(m.ID, m)
	s.tell(who, "create", m.object())
	return m
}

func (s *Server) deleteMembership(r *http.Request) (*answer, error) {
	m := s.memberships.rows[pathID(r)]
	if m == nil {
		return nil, notFound("TeamMembership", pathID(r))
	}
	if m.MemberType != "User" {
		s.violate("membership %d of a %s is not the bridge's to delete", m.ID, m.MemberType)
	}
	s.leave(callerID, m)
	return empty()
}

func (s *Server) leave(who by, m *Membership) {
	s.memberships.remove(m.ID)
	s.tell(who, "destroy", m.object())
}
