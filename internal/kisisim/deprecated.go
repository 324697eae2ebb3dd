package kisisim

import (
	"net/http"
	"net/url"
	"strings"
)

// deprecatedFilters are those of role assignments that Kisi still heeds.
func deprecatedFilters() []string { return []string{"user_id", "group_id", "place_id", "scope"} }

// deprecated tells what of a request Kisi is going to remove, or "".
func deprecated(r *http.Request) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch first {
	case "members", "shares":
		return "the route /" + first
	case "role_assignments":
		for _, f := range deprecatedFilters() {
			if r.URL.Query().Has(f) {
				return "the filter " + f
			}
		}
	}
	return ""
}

// warn adds to an answer what Kisi adds: since when, and until when.
func (a *answer) warn() {
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set("Deprecation", "Wed, 01 Jan 2025 00:00:00 GMT")
	a.header.Set("Sunset", "Fri, 31 Dec 2027 23:59:59 GMT")
}

// old tells whether an assignment passes the deprecated filters.
func (a *Assignment) old(q url.Values) bool {
	passes := func(filter, want, kind string, id int) bool {
		return !q.Has(filter) || kind == want && q.Get(filter) == itoa(id)
	}
	return passes("user_id", "User", a.AssigneeType, a.AssigneeID) &&
		passes("group_id", "Group", a.AppliesToType, a.AppliesToID) &&
		passes("place_id", "Place", a.AppliesToType, a.AppliesToID) &&
		is(q, "scope", strings.ToLower(a.AppliesToType))
}
