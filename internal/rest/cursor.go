package rest

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"kisibridge/api"
)

const usualPage = 50

// A list is what is read page by page: an operation, and what it was asked.
type list struct {
	name   string
	limit  int
	cursor *string
}

// listOf names a list by all that a cursor of it depends on.
func listOf(limit *int, cursor *string, name ...string) list {
	l := list{name: strings.Join(name, "\x00"), limit: usualPage, cursor: cursor}
	if limit != nil {
		l.limit = *limit
	}
	return l
}

// sumSize is enough to tell a cursor of another list, and a mistake.
const sumSize = 6

func (l list) sum(after string) string {
	sum := sha256.Sum256([]byte(l.name + "\x00" + after))
	return string(sum[:sumSize])
}

// next asks for what comes after; "" says that nothing does.
func (l list) next(after string) string {
	if after == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(l.sum(after) + after))
}

// after reads what next wrote, and takes nothing else.
func (l list) after() (string, error) {
	if l.cursor == nil || *l.cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(*l.cursor)
	if err == nil && len(raw) > sumSize {
		if after := string(raw[sumSize:]); l.sum(after) == string(raw[:sumSize]) {
			return after, nil
		}
	}
	return "", badCursor()
}

func badCursor() error {
	return &refusal{
		status: http.StatusBadRequest, detail: "cursor: it is not one of this list", hint: "give the next_cursor of the page before, and ask for the same",
		fields: []api.FieldProblem{{Field: "cursor", Detail: "is not one of this list", Hint: orNil("leave it out to begin again")}},
	}
}

// page cuts a page out of all, in the order of their keys, which differ.
func page[T any](l list, all []T, key func(T) string) (items []T, next string, err error) {
	after, err := l.after()
	if err != nil {
		return nil, "", err
	}
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	from, found := slices.BinarySearchFunc(all, after, func(v T, at string) int { return strings.Compare(key(v), at) })
	if found {
		from++
	}
	rest := all[from:]
	if len(rest) > l.limit {
		rest = rest[:l.limit]
		next = l.next(key(rest[l.limit-1]))
	}
	return rest, next, nil
}

// byName orders by name, and then by what differs. It is short enough for a
// cursor.
func byName(name, id string) string {
	name = strings.ToLower(name)
	if runes := []rune(name); len(runes) > 80 {
		name = string(runes[:80])
	}
	return name + "\x00" + id
}

// each turns every value into another; no value makes an empty list.
func each[A, B any](all []A, turn func(A) B) []B {
	out := make([]B, len(all))
	for k, v := range all {
		out[k] = turn(v)
	}
	return out
}
