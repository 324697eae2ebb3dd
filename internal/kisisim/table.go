package kisisim

import "sort"

// A table keeps rows in the order of their ids, for paging.
type table[T any] struct {
	rows map[int]*T
	ids  []int // ascending
}

func newTable[T any]() *table[T] { return &table[T]{rows: map[int]*T{}} }

func (t *table[T]) add(id int, row *T) {
	t.rows[id] = row
	t.ids = append(t.ids, id)
}

func (t *table[T]) remove(id int) {
	delete(t.rows, id)
	if k := sort.SearchInts(t.ids, id); k < len(t.ids) && t.ids[k] == id {
		t.ids = append(t.ids[:k], t.ids[k+1:]...)
	}
}

// each gives the rows in order.
func (t *table[T]) each(yield func(int, *T) bool) {
	for _, id := range t.ids {
		if !yield(id, t.rows[id]) {
			return
		}
	}
}
