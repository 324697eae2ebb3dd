package graphsim

import (
	"fmt"
	"net/http"
	"slices"
)

// A membersOf says which members of a group are read, and how.
type membersOf struct {
	nested bool // with the members of groups inside it
	people bool // cast to people
}

// indexed tells whether Graph reads from its index, which may be stale.
func (m membersOf) indexed() bool { return m.nested || m.people }

// A listing is a plain list, read page by page.
type listing struct {
	path   string
	ids    []string // those still to come
	top    int
	fields []string
	count  int  // of all; 0: not asked for
	typed  bool // lines bear their kind
	search bool // each page needs the header of the first
}

func newListing(r *http.Request, opts map[string]string, known func(string) bool, def []string) (*listing, error) {
	l := &listing{path: r.URL.Path}
	var err error
	if l.fields, err = selection(opts, known, def...); err != nil {
		return nil, err
	}
	if l.top, err = top(opts); err != nil {
		return nil, err
	}
	counted, err := wantsCount(opts)
	if err != nil || !counted {
		return l, err
	}
	l.count = -1 // to be filled in
	return l, advanced(r, "$count")
}

func (s *Server) members(which membersOf) endpoint {
	return func(r *http.Request) (answer, error) {
		opts, err := options(r, "$select", "$top", "$count", "$skiptoken")
		if err != nil {
			return answer{}, err
		}
		if token := opts["$skiptoken"]; token != "" {
			return s.nextPage(r, token, len(opts))
		}
		l, err := newListing(r, opts, userProperty, userDefaults())
		if err != nil {
			return answer{}, err
		}
		if which.nested && which.people && l.count == 0 {
			return answer{}, breach("a cast of transitiveMembers needs $count=true and ConsistencyLevel: eventual")
		}
		l.typed = !which.people
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.ids, err = s.readMembers(r.PathValue("id"), which); err != nil {
			return answer{}, err
		}
		return ok(s.firstPage(r, l))
	}
}

func (s *Server) countMembers(which membersOf) endpoint {
	return func(r *http.Request) (answer, error) {
		if _, err := options(r); err != nil {
			return answer{}, err
		}
		if err := advanced(r, "/$count"); err != nil {
			return answer{}, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		ids, err := s.readMembers(r.PathValue("id"), which)
		return answer{http.StatusOK, fmt.Sprint(len(ids))}, err
	}
}

// readMembers lists a group as the replica shows it that this read goes to.
func (s *Server) readMembers(group string, which membersOf) ([]string, error) {
	if !s.dir.objects[group].alive(groupKind) {
		return nil, missing("group", group)
	}
	lag := s.mode.memberLag
	if which.indexed() {
		lag = max(lag, s.mode.deltaLag)
	}
	v := s.dir.at(s.dir.position(lag))
	ids := v.membersOf(group)
	if which.nested {
		ids = v.within(group)
	}
	omitted := s.mode.falseMembers[group]
	if !which.people && !s.mode.hideDeleted && len(omitted) == 0 {
		return ids, nil
	}
	return s.narrow(ids, omitted, which), nil
}

func (s *Server) narrow(ids, omitted []string, which membersOf) []string {
	var kept []string
	for _, id := range ids {
		r := s.dir.objects[id]
		hidden := s.mode.hideDeleted && r.state != live || slices.Contains(omitted, id)
		if !hidden && (r.kind == userKind || !which.people) {
			kept = append(kept, id)
		}
	}
	return kept
}

func (s *Server) firstPage(r *http.Request, l *listing) map[string]any {
	counted := l.count != 0
	l.count = len(l.ids)
	page := s.listPage(r, l)
	if counted {
		page["@odata.count"] = l.count
	}
	return page
}

// nextPage goes on with a list, whose link must be taken as it is.
func (s *Server) nextPage(r *http.Request, token string, opts int) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, known := s.pages.get(token)
	if !known || l.path != r.URL.Path || opts > 1 {
		return answer{}, breach("the next link is not one of ours, is older than an hour, or was changed")
	}
	if l.search {
		if err := advanced(r, "each page of a $search"); err != nil {
			return answer{}, err
		}
	}
	rest := *l
	return ok(s.listPage(r, &rest))
}

func (s *Server) listPage(r *http.Request, l *listing) map[string]any {
	n := min(l.top, len(l.ids))
	lines := make([]map[string]any, 0, n)
	for _, id := range l.ids[:n] {
		lines = append(lines, s.line(l, id))
	}
	page := map[string]any{"@odata.context": s.base(r) + "/v1.0/$metadata#directoryObjects", "value": lines}
	if l.ids = l.ids[n:]; len(l.ids) > 0 {
		token := newToken()
		s.pages.put(token, l)
		page["@odata.nextLink"] = s.base(r) + l.path + "?$skiptoken=" + token
	}
	return page
}

func (s *Server) line(l *listing, id string) map[string]any {
	r := s.dir.objects[id]
	if l.typed {
		return typed(r, l.fields, s.mode.hidePeople)
	}
	return show(r, l.fields, s.mode.hidePeople)
}
