package kisi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

const (
	maxOffset = 20_000 // Kisi refuses more
	pageUsers = 100    // the most that Kisi gives at once, of users
	pageOther = 250    // and of everything else
)

// ErrCut says that Kisi does not show a list to its end. What such a list does
// not show may well be there.
var ErrCut = errors.New("the list is longer than Kisi shows: it ends at offset " + strconv.Itoa(maxOffset))

// A keyed thing has an id of its own in its list.
type keyed interface{ key() int }

// each reads a list page by page, until visit wants no more. Others may write
// meanwhile and move the pages: a row that comes twice is dropped, and a list
// that did not come whole is an error, never an absence. New rows at the end do
// no harm, so that a total may grow; one that shrinks has moved unread rows to
// pages that were read.
func each[T keyed](ctx context.Context, c *Client, u access.Urgency, cl call, limit int, visit func(page []T, total int) (more bool, err error)) error {
	seen := map[int]bool{}
	for offset, before := 0, 0; ; {
		rows, total, err := page[T](ctx, c, u, cl, limit, offset)
		if err != nil {
			return err
		}
		if total < before {
			return cl.fail(fault.Busy, fmt.Errorf("the list shrank from %d to %d while it was read: read it again", before, total))
		}
		before = total
		if more, err := visit(unseen(rows, seen), total); err != nil || !more {
			return err
		}
		offset += len(rows)
		rest := offset < total
		switch {
		case total > maxOffset+limit, rest && offset > maxOffset:
			return cl.fail(fault.Invalid, fmt.Errorf("%w, of %d rows", ErrCut, total))
		case rest && len(rows) > 0:
		case len(seen) != total:
			return cl.fail(fault.Busy, fmt.Errorf("got %d rows of %d, for others wrote meanwhile: read the list again", len(seen), total))
		default:
			return nil
		}
	}
}

// unseen keeps the rows that did not come before.
func unseen[T keyed](rows []T, seen map[int]bool) []T {
	fresh := make([]T, 0, len(rows))
	for _, r := range rows {
		if !seen[r.key()] {
			seen[r.key()] = true
			fresh = append(fresh, r)
		}
	}
	return fresh
}

// page reads one page, and how many rows the whole list has. No row is without
// an id, and no list without a total.
func page[T keyed](ctx context.Context, c *Client, u access.Urgency, cl call, limit, offset int) ([]T, int, error) {
	cl.query = maps.Clone(cl.query)
	if cl.query == nil {
		cl.query = url.Values{}
	}
	cl.query.Set("limit", strconv.Itoa(limit))
	cl.query.Set("offset", strconv.Itoa(offset))
	var rows []T
	header, err := c.do(ctx, u, cl, &rows)
	if err != nil {
		return nil, 0, err
	}
	if rows == nil {
		return nil, 0, cl.garbled(errors.New("the answer is no list"))
	}
	for _, r := range rows {
		if r.key() == 0 {
			return nil, 0, cl.garbled(errNoID)
		}
	}
	total, err := collection(header)
	if err != nil {
		return nil, 0, cl.garbled(err)
	}
	return rows, total, nil
}

// collection reads the total of "0-9/200" or "*/0". The rest describes what
// was asked for, not what came.
func collection(h http.Header) (total int, err error) {
	s := h.Get("X-Collection-Range")
	_, after, ok := strings.Cut(s, "/")
	total, err = strconv.Atoi(after)
	if !ok || err != nil || total < 0 {
		return 0, fmt.Errorf("the header X-Collection-Range is %q; it should be like 0-9/200", s)
	}
	return total, nil
}
