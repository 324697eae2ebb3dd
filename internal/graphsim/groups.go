package graphsim

import (
	"net/http"
	"slices"
	"strings"
)

func (s *Server) getGroup(r *http.Request) (answer, error) {
	opts, err := options(r, "$select")
	if err != nil {
		return answer{}, err
	}
	fields, err := selection(opts, groupProperty, groupDefaults()...)
	if err != nil {
		return answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.dir.objects[r.PathValue("id")]
	if !g.alive(groupKind) {
		return answer{}, missing("group", r.PathValue("id"))
	}
	return ok(show(g, fields, false))
}

// listGroups searches groups by name.
func (s *Server) listGroups(r *http.Request) (answer, error) {
	opts, err := options(r, "$select", "$search", "$filter", "$count", "$top", "$skiptoken")
	if err != nil {
		return answer{}, err
	}
	if token := opts["$skiptoken"]; token != "" {
		return s.nextPage(r, token, len(opts))
	}
	l, err := newListing(r, opts, groupProperty, groupDefaults())
	if err != nil {
		return answer{}, err
	}
	_, l.search = opts["$search"]
	matches, err := nameMatcher(r, opts)
	if err != nil {
		return answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.dir.all(groupKind) {
		if g.state == live && matches(g.name) {
			l.ids = append(l.ids, g.id)
		}
	}
	slices.SortFunc(l.ids, func(a, b string) int {
		return strings.Compare(s.dir.objects[a].name, s.dir.objects[b].name)
	})
	return ok(s.firstPage(r, l))
}

// nameMatcher reads $search="displayName:hq" or $filter=startswith(displayName,'hq').
func nameMatcher(r *http.Request, opts map[string]string) (func(string) bool, error) {
	search, searched := opts["$search"]
	filter, filtered := opts["$filter"]
	switch {
	case searched && filtered:
		return nil, breach("$search and $filter together")
	case searched:
		return searchMatcher(r, search)
	case filtered:
		return prefixMatcher(filter)
	}
	return func(string) bool { return true }, nil
}

func searchMatcher(r *http.Request, search string) (func(string) bool, error) {
	if err := advanced(r, "$search"); err != nil {
		return nil, err
	}
	inner, start := strings.CutPrefix(search, `"displayName:`)
	inner, end := strings.CutSuffix(inner, `"`)
	if !start || !end || inner == "" {
		return nil, breach(`$search must look like "displayName:hq", quotes included, not %s`, search)
	}
	return func(name string) bool {
		return strings.Contains(strings.ToLower(name), strings.ToLower(inner))
	}, nil
}

func prefixMatcher(filter string) (func(string) bool, error) {
	inner, start := strings.CutPrefix(filter, "startswith(displayName,")
	inner, end := strings.CutSuffix(inner, ")")
	if !start || !end {
		return nil, breach("$filter %q: only startswith(displayName,'…') is supported here", filter)
	}
	prefix, err := literal(inner)
	return func(name string) bool {
		return strings.HasPrefix(strings.ToLower(name), strings.ToLower(prefix))
	}, err
}
