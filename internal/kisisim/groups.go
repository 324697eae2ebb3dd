package kisisim

import (
	"net/http"
	"strings"
	"time"
)

// A place is a group or a team.
type place struct {
	id      int
	name    string
	created time.Time
}

func (s *Server) places(r *http.Request, of *table[place], show func(*place) any) (*answer, error) {
	q, err := s.options(r, "query", "ids", "place_id", "scope", "sort", "limit", "offset")
	if err != nil {
		return nil, err
	}
	return list[place]{
		size: otherPage, rows: of, show: show,
		words: func(p *place) string { return strings.ToLower(p.name) },
	}.page(s, r, q)
}

func (s *Server) listGroups(r *http.Request) (*answer, error) {
	return s.places(r, s.groups, s.showGroup)
}

func (s *Server) listTeams(r *http.Request) (*answer, error) {
	return s.places(r, s.teams, showTeam)
}

func (s *Server) showGroup(p *place) any {
	return map[string]any{
		"id": p.id, "resource_type": "Group", "name": p.name, "description": nil, "place_id": nil,
		"login_enabled": true, "users_count": len(s.holders(p.id)), "locks_count": 6, "elevator_stops_count": 0,
		"created_at": p.created, "updated_at": p.created,
	}
}

func showTeam(p *place) any {
	return map[string]any{
		"id": p.id, "resource_type": "Team", "name": p.name, "created_at": p.created, "updated_at": p.created,
	}
}

func (s *Server) getGroup(r *http.Request) (*answer, error) {
	p := s.groups.rows[pathID(r)]
	if p == nil {
		return nil, notFound("Group", pathID(r))
	}
	return ok(s.showGroup(p))
}

func (s *Server) getTeam(r *http.Request) (*answer, error) {
	p := s.teams.rows[pathID(r)]
	if p == nil {
		return nil, notFound("Team", pathID(r))
	}
	return ok(showTeam(p))
}

func (s *Server) place(name string, in *table[place]) int {
	p := &place{id: s.id(), name: name, created: time.Now()}
	in.add(p.id, p)
	return p.id
}
