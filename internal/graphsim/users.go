package graphsim

import (
	"net/http"
	"slices"
)

const (
	maxFilterIDs = 15   // of $filter=id in (…)
	maxGetByIDs  = 1000 // of directoryObjects/getByIds
	maxCheck     = 20   // of checkMemberGroups
)

func (s *Server) organization(r *http.Request) (answer, error) {
	known := func(f string) bool { return f == "id" || f == "displayName" || f == "verifiedDomains" }
	opts, err := options(r, "$select")
	if err != nil {
		return answer{}, err
	}
	if _, err := selection(opts, known); err != nil {
		return answer{}, err
	}
	return ok(map[string]any{"value": []any{map[string]any{
		"id": s.opts.Tenant, "displayName": "Contoso",
		"verifiedDomains": []any{map[string]any{"name": seedDomain, "isDefault": true}},
	}}})
}

func (s *Server) getUser(r *http.Request) (answer, error) {
	opts, err := options(r, "$select")
	if err != nil {
		return answer{}, err
	}
	fields, err := selection(opts, userProperty, userDefaults()...)
	if err != nil {
		return answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.dir.userByName(r.PathValue("id"))
	if u == nil {
		return answer{}, missing("user", r.PathValue("id"))
	}
	return ok(show(u, fields, s.mode.hidePeople))
}

// listUsers serves the one list of people that the bridge may ask for: by id.
func (s *Server) listUsers(r *http.Request) (answer, error) {
	opts, err := options(r, "$select", "$filter", "$top")
	if err != nil {
		return answer{}, err
	}
	fields, err := selection(opts, userProperty, userDefaults()...)
	if err != nil {
		return answer{}, err
	}
	if _, err := top(opts); err != nil {
		return answer{}, err
	}
	ids, err := idsIn(opts["$filter"])
	if err != nil {
		return answer{}, err
	}
	if len(ids) > maxFilterIDs {
		return answer{}, breach("$filter names %d ids, of at most %d", len(ids), maxFilterIDs)
	}
	return ok(map[string]any{"value": s.lookUp(ids, func(r *record, hidden bool) any {
		if r.kind != userKind {
			return nil
		}
		return show(r, fields, hidden)
	})})
}

// lookUp renders those of ids that live; the others are not missed.
func (s *Server) lookUp(ids []string, render func(r *record, hidden bool) any) []any {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []any{}
	for _, id := range ids {
		r := s.dir.objects[id]
		if r == nil || r.state != live {
			continue
		}
		if shown := render(r, s.mode.hidePeople); shown != nil {
			found = append(found, shown)
		}
	}
	return found
}

// getByIDs resolves ids of any kind, with default properties only: there is no
// accountEnabled to be had here.
func (s *Server) getByIDs(r *http.Request) (answer, error) {
	var asked struct {
		IDs   []string `json:"ids"`
		Types []string `json:"types"`
		OData string   `json:"@odata.type"`
	}
	if _, err := options(r); err != nil {
		return answer{}, err
	}
	if err := body(r, &asked); err != nil {
		return answer{}, err
	}
	if n := len(asked.IDs); n == 0 || n > maxGetByIDs {
		return answer{}, breach("getByIds of %d ids, of 1 to %d", n, maxGetByIDs)
	}
	wanted := map[kind]bool{}
	for _, t := range asked.Types {
		wanted[kind("#microsoft.graph."+t)] = true
	}
	return ok(map[string]any{"value": s.lookUp(asked.IDs, func(r *record, hidden bool) any {
		if len(wanted) > 0 && !wanted[r.kind] {
			return nil
		}
		return typed(r, defaultsOf(r.kind), hidden)
	})})
}

func defaultsOf(k kind) []string {
	if k == userKind {
		return userDefaults()
	}
	return groupDefaults()
}

// checkMemberGroups tells in which of some groups a person is, nested or not.
func (s *Server) checkMemberGroups(r *http.Request) (answer, error) {
	var asked struct {
		GroupIDs []string `json:"groupIds"`
		OData    string   `json:"@odata.type"`
	}
	if _, err := options(r); err != nil {
		return answer{}, err
	}
	if err := body(r, &asked); err != nil {
		return answer{}, err
	}
	if n := len(asked.GroupIDs); n == 0 || n > maxCheck {
		return answer{}, breach("checkMemberGroups of %d ids, of 1 to %d", n, maxCheck)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.dir.userByName(r.PathValue("id"))
	switch {
	case s.mode.hidePeople:
		return answer{}, denied("the app lacks the permission to read people")
	case u == nil:
		return answer{}, missing("user", r.PathValue("id"))
	case slices.Contains(asked.GroupIDs, ""):
		return answer{}, breach("checkMemberGroups of an empty id")
	}
	above := s.dir.above(u.id)
	in := []string{}
	for _, g := range asked.GroupIDs {
		if above[g] && s.dir.objects[g].alive(groupKind) {
			in = append(in, g)
		}
	}
	return ok(map[string]any{"value": in})
}
