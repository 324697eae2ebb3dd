package kisisim

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An integration is one of Kisi's own: a directory import or a webhook.
type integration struct {
	id      int
	name    string
	kind    string
	group   int
	enabled bool
	fields  map[string]any
}

func (s *Server) places(r *http.Request, of map[int]place, ids []int, show func(*place) any) (*answer, error) {
	q, err := s.options(r, "query", "ids", "place_id", "scope", "sort", "limit", "offset")
	if err != nil {
		return nil, err
	}
	each := func(yield func(int, *place) bool) {
		for _, id := range ids {
			p := of[id]
			if !yield(id, &p) {
				return
			}
		}
	}
	return page(s, r, q, otherPage, each, func(p *place) bool {
		return strings.Contains(strings.ToLower(p.name), strings.ToLower(q.Get("query")))
	}, show)
}

func (s *Server) listGroups(r *http.Request) (*answer, error) {
	return s.places(r, s.groups, s.groupIDs, s.showGroup)
}

func (s *Server) listTeams(r *http.Request) (*answer, error) {
	return s.places(r, s.teams, s.teamIDs, showTeam)
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
	p, there := s.groups[pathID(r)]
	if !there {
		return nil, notFound("Group", pathID(r))
	}
	return ok(s.showGroup(&p))
}

func (s *Server) getTeam(r *http.Request) (*answer, error) {
	p, there := s.teams[pathID(r)]
	if !there {
		return nil, notFound("Team", pathID(r))
	}
	return ok(showTeam(&p))
}

func (s *Server) listIntegrations(r *http.Request) (*answer, error) {
	q, err := s.options(r, "query", "place_id", "scope", "group_id", "enabled", "limit", "offset")
	if err != nil {
		return nil, err
	}
	each := func(yield func(int, *integration) bool) {
		for k := range s.imports {
			if !yield(k, &s.imports[k]) {
				return
			}
		}
	}
	return page(s, r, q, otherPage, each, func(i *integration) bool {
		return (!q.Has("group_id") || q.Get("group_id") == strconv.Itoa(i.group)) &&
			(!q.Has("enabled") || q.Get("enabled") == strconv.FormatBool(i.enabled))
	}, func(i *integration) any { return i.show() })
}

func (i *integration) show() map[string]any {
	return map[string]any{
		"id": i.id, "name": i.name, "type": i.kind, "enabled": i.enabled, "disabled_due_to_error": false,
		"disabled_due_to_error_at": nil, "organization_id": organization["id"], "place_id": nil,
	}
}

func (s *Server) getIntegration(r *http.Request) (*answer, error) {
	for _, i := range s.imports {
		if i.id == pathID(r) {
			out := i.show()
			maps.Copy(out, i.fields)
			if i.group != 0 {
				out["group_id"] = i.group
			}
			return ok(out)
		}
	}
	return nil, notFound("Integration", pathID(r))
}

func (s *Server) postIntegration(r *http.Request) (*answer, error) {
	in := struct {
		Name          string   `json:"name"`
		Type          string   `json:"type"`
		Enabled       *bool    `json:"enabled"`
		URL           string   `json:"url"`
		EnabledEvents []string `json:"enabled_events"`
		SignatureKey  string   `json:"signature_key"`
	}{}
	if err := s.body(r, "integration", &in); err != nil {
		return nil, err
	}
	if in.Type != "event_webhook" || in.URL == "" || len(in.EnabledEvents) == 0 {
		return nil, invalid("type", "must be event_webhook with url and enabled_events")
	}
	i := integration{
		id: s.id(), name: in.Name, kind: in.Type, enabled: in.Enabled == nil || *in.Enabled,
		fields: map[string]any{"url": in.URL, "enabled_events": in.EnabledEvents, "signature_key": in.SignatureKey},
	}
	s.imports = append(s.imports, i)
	return ok(i.show())
}

func (s *Server) place(name string, of map[int]place, ids *[]int) int {
	p := place{id: s.id(), name: name, created: time.Now()}
	of[p.id] = p
	*ids = append(*ids, p.id)
	return p.id
}
