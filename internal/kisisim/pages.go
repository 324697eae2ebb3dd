package kisisim

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxOffset is as far as a list can be paged.
const maxOffset = 20_000

// A pageSize is a route's default and maximum.
type pageSize struct{ usual, most int }

var (
	usersPage = pageSize{50, 100}
	otherPage = pageSize{10, 250}
)

// A list is what a route lists, and how.
type list[T any] struct {
	size  pageSize
	rows  *table[T]
	ids   []int           // the rows to look at, ascending, when fewer than all are known to do
	keep  func(*T) bool   // the route's own filters; nil: none
	words func(*T) string // lower case: what query searches; nil: the route has no query
	show  func(*T) any
}

// page collects the rows that limit and offset ask for.
func (l list[T]) page(s *Server, r *http.Request, q url.Values) (*answer, error) {
	limit, err := number(q, "limit", l.size.usual)
	if err != nil {
		return nil, err
	}
	offset, err := number(q, "offset", 0)
	if err != nil {
		return nil, err
	}
	if limit < 1 || limit > l.size.most {
		s.violate("%s %s: limit %d, at most %d is allowed", r.Method, r.URL.Path, limit, l.size.most)
		return nil, invalid("limit", fmt.Sprintf("must be between 1 and %d", l.size.most))
	}
	if offset > maxOffset {
		return nil, invalid("offset", fmt.Sprintf("must be at most %d", maxOffset))
	}
	ids, err := l.filtered(s, q)
	if err != nil {
		return nil, err
	}
	rows := []any{}
	for _, id := range ids[min(offset, len(ids)):min(offset+limit, len(ids))] {
		rows = append(rows, l.show(l.rows.rows[id]))
	}
	span := fmt.Sprintf("%d-%d/%d", offset, offset+limit-1, len(ids))
	if len(ids) == 0 {
		span = "*/0"
	}
	return &answer{status: 200, body: rows, header: http.Header{"X-Collection-Range": {span}}}, nil
}

// filtered gives the ids of what was asked for.
func (l list[T]) filtered(s *Server, q url.Values) ([]int, error) {
	asked, err := idsOf(q)
	if err != nil {
		return nil, err
	}
	if s.opts.IgnoreFilters {
		return l.rows.ids, nil
	}
	from := l.rows.ids
	if l.ids != nil {
		from = l.ids
	}
	if asked != nil {
		from = slices.DeleteFunc(asked, func(id int) bool { _, there := slices.BinarySearch(from, id); return !there })
	}
	text := strings.ToLower(strings.TrimSpace(q.Get("query")))
	if l.keep == nil && text == "" {
		return from, nil
	}
	var kept []int
	for _, id := range from {
		row := l.rows.rows[id]
		if (l.keep == nil || l.keep(row)) && (text == "" || strings.Contains(l.words(row), text)) {
			kept = append(kept, id)
		}
	}
	return kept, nil
}

// idsOf reads "12,15": nil when it is not given.
func idsOf(q url.Values) ([]int, error) {
	if !q.Has("ids") {
		return nil, nil
	}
	ids := []int{}
	for text := range strings.SplitSeq(q.Get("ids"), ",") {
		id, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return nil, invalid("ids", "are not numbers with commas between them")
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func number(q url.Values, name string, usual int) (int, error) {
	if !q.Has(name) {
		return usual, nil
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 0 {
		return 0, invalid(name, "is not a number")
	}
	return n, nil
}

// is tells whether a filter is absent or wants value.
func is(q url.Values, name, value string) bool { return !q.Has(name) || q.Get(name) == value }

// known keeps "none" apart from "all".
func known(ids []int) []int {
	if ids == nil {
		return []int{}
	}
	return ids
}
