package kisisim

import (
	"net/http"
	"strconv"
)

func (s *Server) listMemberships(r *http.Request) (*answer, error) {
	q, err := s.options(r, "team_id", "member_type", "member_id", "ids", "sort", "limit", "offset")
	if err != nil {
		return nil, err
	}
	if q.Has("member_id") && !q.Has("member_type") {
		return nil, invalid("member_id", "needs member_type")
	}
	is := func(name, value string) bool { return !q.Has(name) || q.Get(name) == value }
	return page(s, r, q, otherPage, s.memberships.each, func(m *Membership) bool {
		return is("team_id", strconv.Itoa(m.TeamID)) && is("member_type", m.MemberType) && is("member_id", strconv.Itoa(m.MemberID))
	}, showMembership)
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
	if _, there := s.teams[*in.TeamID]; !there || *in.MemberType != "User" || s.users[*in.MemberID] == nil {
		return nil, notFound("Team or User", *in.MemberID)
	}
	for _, m := range s.memberships.each {
		if m.TeamID == *in.TeamID && m.MemberID == *in.MemberID && m.MemberType == "User" {
			if !s.opts.DoubleAssignments {
				return nil, &problem{409, "000409", "Record already exists.", nil}
			}
			s.violate("user %d is twice in team %d", m.MemberID, m.TeamID)
		}
	}
	m := &Membership{ID: s.id(), TeamID: *in.TeamID, MemberType: "User", MemberID: *in.MemberID}
	s.memberships.add(m.ID, m)
	return ok(showMembership(m))
}

func (s *Server) deleteMembership(r *http.Request) (*answer, error) {
	m := s.memberships.rows[pathID(r)]
	if m == nil {
		return nil, notFound("TeamMembership", pathID(r))
	}
	if m.MemberType != "User" {
		s.violate("membership %d of a %s is not the bridge's to delete", m.ID, m.MemberType)
	}
	s.memberships.remove(m.ID)
	return empty()
}
