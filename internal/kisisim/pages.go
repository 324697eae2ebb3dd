package kisisim

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// maxOffset is as far as a list can be paged.
const maxOffset = 20_000

// A pageSize is a route's default and maximum.
type pageSize struct{ usual, most int }

var (
	usersPage = pageSize{50, 100}
	otherPage = pageSize{10, 250}
)

// page collects the rows that keep, of those that each gives, that limit and
// offset ask for.
func page[T any](s *Server, r *http.Request, q url.Values, size pageSize, each func(func(int, *T) bool), keep func(*T) bool, show func(*T) any) (*answer, error) {
	limit, err := number(q, "limit", size.usual)
	if err != nil {
		return nil, err
	}
	offset, err := number(q, "offset", 0)
	if err != nil {
		return nil, err
	}
	if limit < 1 || limit > size.most {
		s.violate("%s %s: limit %d, at most %d is allowed", r.Method, r.URL.Path, limit, size.most)
		return nil, invalid("limit", fmt.Sprintf("must be between 1 and %d", size.most))
	}
	if offset > maxOffset {
		return nil, invalid("offset", fmt.Sprintf("must be at most %d", maxOffset))
	}
	rows, total := []any{}, 0
	for _, row := range each {
		if !s.opts.IgnoreFilters && !keep(row) {
			continue
		}
		if total >= offset && len(rows) < limit {
			rows = append(rows, show(row))
		}
		total++
	}
	span := fmt.Sprintf("%d-%d/%d", offset, offset+limit-1, total)
	if total == 0 {
		span = "*/0"
	}
	return &answer{status: 200, body: rows, header: http.Header{"X-Collection-Range": {span}}}, nil
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
