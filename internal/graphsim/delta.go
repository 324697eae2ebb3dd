package graphsim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	linkLife    = 7 * 24 * time.Hour // of a delta token of directory objects
	maxDeltaIDs = 50
	unread      = -1 // the position of who has read nothing yet
)

// A stream is what one delta query follows; its links carry it.
type stream struct {
	path   string // "groups" or "users"
	fields []string
	only   map[string]bool // ids; nil: all
	query  string          // as asked, to start over with
}

func (st *stream) covers(id string) bool { return st.only == nil || st.only[id] }

// A link is where a reader of a stream stands.
type link struct {
	stream *stream
	before int                // where the round before began
	since  int                // what was told so far
	rest   [][]map[string]any // pages of the round under way, nil between rounds
	end    int                // where the round under way leads
	gone   int                // how an expired link is refused; 0: it lives
}

// delta answers /groups/delta and /users/delta.
func (s *Server) delta(path string) endpoint {
	return func(r *http.Request) (answer, error) {
		opts, err := options(r, "$select", "$filter", "$deltatoken", "$skiptoken")
		if err != nil {
			return answer{}, err
		}
		if token := opts["$skiptoken"] + opts["$deltatoken"]; token != "" && token != "latest" {
			return s.followDelta(r, path, token, len(opts))
		}
		st, err := newStream(path, r.URL.RawQuery, opts)
		if err != nil {
			return answer{}, err
		}
		return s.startDelta(r, st, opts["$deltatoken"] == "latest")
	}
}

func newStream(path, query string, opts map[string]string) (*stream, error) {
	st := &stream{path: path, query: query}
	known := userProperty
	if path == "groups" {
		known = func(f string) bool { return f == "members" || groupProperty(f) }
	}
	var err error
	if st.fields, err = selection(opts, known); err != nil {
		return nil, err
	}
	if err := st.mustSelect(); err != nil {
		return nil, err
	}
	if filter, given := opts["$filter"]; given {
		st.only, err = deltaIDs(filter)
	}
	return st, err
}

func (st *stream) mustSelect() error {
	needed := "id"
	if st.path == "groups" {
		needed = "members"
	}
	if !slices.Contains(st.fields, needed) {
		return breach("%s/delta needs a $select with %s", st.path, needed)
	}
	return nil
}

func deltaIDs(filter string) (map[string]bool, error) {
	ids, err := idsEqual(filter)
	if err != nil {
		return nil, err
	}
	if len(ids) > maxDeltaIDs {
		return nil, breach("$filter names %d ids, of at most %d", len(ids), maxDeltaIDs)
	}
	only := make(map[string]bool, len(ids))
	for _, id := range ids {
		only[id] = true
	}
	return only, nil
}

func (s *Server) startDelta(r *http.Request, st *stream, latest bool) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &link{stream: st, before: unread, since: unread}
	if latest {
		now := s.dir.position(s.mode.deltaLag)
		return ok(s.deltaPage(r, &link{stream: st, before: now, end: now}, nil))
	}
	return ok(s.round(r, l))
}

// followDelta goes on from a saved link, which must be taken as it is.
func (s *Server) followDelta(r *http.Request, path, token string, opts int) (answer, error) {
	if opts > 1 {
		return answer{}, breach("a delta link must be followed as it is, with no option added")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, known := s.links.get(token)
	switch {
	case !known || l.gone == http.StatusBadRequest:
		return answer{}, &problem{
			status: http.StatusBadRequest, code: "syncStateNotFound",
			message: "the delta token is too old or unknown; all data must be read again",
		}
	case l.gone != 0:
		return answer{}, &problem{
			status: l.gone, code: "resyncRequired", message: "all data must be read again",
			location: s.base(r) + "/v1.0/" + path + "/delta?" + l.stream.restart(),
		}
	case l.stream.path != path:
		return answer{}, breach("the link belongs to %s/delta", l.stream.path)
	case l.rest != nil:
		return ok(s.deltaPage(r, l, l.rest))
	}
	return ok(s.round(r, l))
}

// restart is the query of Location: an empty token, and what was asked first.
func (st *stream) restart() string {
	query, _ := url.ParseQuery(st.query) // it was parsed before
	parts := []string{"$deltatoken="}
	for _, name := range []string{"$select", "$filter"} {
		if v := query.Get(name); v != "" {
			parts = append(parts, name+"="+url.QueryEscape(v))
		}
	}
	return strings.Join(parts, "&")
}

// round tells what happened since l, as seen by a replica that may lag.
func (s *Server) round(r *http.Request, l *link) map[string]any {
	since := l.since
	if s.mode.replay {
		since = l.before
	}
	end := max(s.dir.position(s.mode.deltaLag), l.since)
	items := l.stream.items(&s.dir, since, end, s.mode.hidePeople)
	if l.stream.path == "groups" && since != unread {
		items = s.lie(l.stream, items)
	}
	pages := paginate(items, s.opts.PageSize)
	return s.deltaPage(r, &link{stream: l.stream, before: l.since, end: end}, pages)
}

// deltaPage renders the first of pages, with a link to the rest of them or,
// after the last, to the next round.
func (s *Server) deltaPage(r *http.Request, l *link, pages [][]map[string]any) map[string]any {
	page := []map[string]any{}
	if len(pages) > 0 {
		page, pages = pages[0], pages[1:]
	}
	path := s.base(r) + "/v1.0/" + l.stream.path
	out := map[string]any{"@odata.context": s.base(r) + "/v1.0/$metadata#" + l.stream.path, "value": page}
	token := newToken()
	if len(pages) > 0 {
		s.links.put(token, &link{stream: l.stream, before: l.before, end: l.end, rest: pages})
		out["@odata.nextLink"] = path + "/delta?$skiptoken=" + token
		return out
	}
	s.links.put(token, &link{stream: l.stream, before: l.before, since: l.end})
	out["@odata.deltaLink"] = path + "/delta?$deltatoken=" + token
	return out
}

// ExpireLinks makes every saved delta link answer 410 with a Location.
func (s *Server) ExpireLinks() { s.expireLinks(http.StatusGone) }

// ForgetLinks makes every saved delta link answer 400 syncStateNotFound.
func (s *Server) ForgetLinks() { s.expireLinks(http.StatusBadRequest) }

func (s *Server) expireLinks(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links.kept {
		l.gone = status
	}
}
