package kisisim

import "slices"

// A key is what rows are found by, besides their own id: "assignee User 12".
type key struct {
	side, kind string
	id         int
}

// A table keeps rows in the order of their ids, for paging, and finds them by
// what they are about.
type table[T any] struct {
	rows  map[int]*T
	ids   []int          // ascending
	keys  func(*T) []key // of a row; nil: none
	index map[key][]int  // ascending
}

func newTable[T any](keys func(*T) []key) *table[T] {
	if keys == nil {
		keys = func(*T) []key { return nil }
	}
	return &table[T]{rows: map[int]*T{}, keys: keys, index: map[key][]int{}}
}

// add stores a row whose id is higher than any before.
func (t *table[T]) add(id int, row *T) {
	t.rows[id] = row
	t.ids = append(t.ids, id)
	for _, k := range t.keys(row) {
		t.index[k] = append(t.index[k], id)
	}
}

func (t *table[T]) remove(id int) {
	row := t.rows[id]
	if row == nil {
		return
	}
	delete(t.rows, id)
	t.ids = without(t.ids, id)
	for _, k := range t.keys(row) {
		if t.index[k] = without(t.index[k], id); len(t.index[k]) == 0 {
			delete(t.index, k)
		}
	}
}

// without takes id out of ids, in place.
func without(ids []int, id int) []int {
	if n, there := slices.BinarySearch(ids, id); there {
		return slices.Delete(ids, n, n+1)
	}
	return ids
}

// of gives the rows about k, by id. Rows may be removed while they are gone
// through.
func (t *table[T]) of(k key) []*T {
	rows := make([]*T, 0, len(t.index[k]))
	for _, id := range t.index[k] {
		rows = append(rows, t.rows[id])
	}
	return rows
}

// all copies every row, by id.
func (t *table[T]) all() []T {
	var rows []T
	for _, id := range t.ids {
		rows = append(rows, *t.rows[id])
	}
	return rows
}
