package graphsim

import (
	"maps"
	"slices"
)

// A memberRef is a line of members@delta.
type memberRef struct {
	Type    kind     `json:"@odata.type"`
	ID      string   `json:"id"`
	Removed *removed `json:"@removed,omitempty"`
}

type removed struct {
	Reason string `json:"reason"`
}

// An item is an object in a round, before it is split over pages.
type item struct {
	head    map[string]any
	members []memberRef
}

// items are the net changes of the stream between two positions, or all there
// is at the second when the first is unread.
func (st *stream) items(d *directory, since, end int, hidden bool) []item {
	switch now := d.at(end); {
	case st.path == "users" && since == unread:
		return st.everybody(now, hidden)
	case st.path == "users":
		return st.userChanges(d.at(since), now, hidden)
	case since == unread:
		return st.everyGroup(now)
	default:
		return st.groupChanges(d.at(since), now)
	}
}

func (st *stream) everybody(now *view, hidden bool) []item {
	var items []item
	for _, id := range now.ids(userKind) {
		if r := now.object(id); r.alive(userKind) && st.covers(id) {
			items = append(items, item{head: show(r, st.fields, hidden)})
		}
	}
	return items
}

// everyGroup tells nothing of deleted groups: who starts over must notice
// that a group is not there any more.
func (st *stream) everyGroup(now *view) []item {
	var items []item
	for _, id := range now.ids(groupKind) {
		if r := now.object(id); r.alive(groupKind) && st.covers(id) {
			items = append(items, st.wholeGroup(r, now))
		}
	}
	return items
}

func (st *stream) wholeGroup(r *record, now *view) item {
	it := item{head: st.groupHead(r)}
	for _, id := range now.membersOf(r.id) {
		it.members = append(it.members, memberRef{Type: now.object(id).kind, ID: id})
	}
	return it
}

func (st *stream) groupHead(r *record) map[string]any {
	return show(r, without(st.fields, "members"), false)
}

func gone(r *record) item {
	reason := "changed" // it can be restored
	if r.state == purged {
		reason = "deleted"
	}
	return item{head: map[string]any{"id": r.id, "@removed": removed{reason}}}
}

func (st *stream) userChanges(then, now *view, hidden bool) []item {
	touched := map[string]bool{}
	for _, c := range now.dir.log[then.pos:now.pos] {
		if c.after.is(userKind) && st.covers(c.after.id) {
			touched[c.after.id] = true
		}
	}
	var items []item
	for _, id := range slices.Sorted(maps.Keys(touched)) {
		switch r := now.object(id); {
		case r.state == live:
			items = append(items, item{head: show(r, st.fields, hidden)})
		case then.object(id) != nil:
			items = append(items, gone(r))
		}
	}
	return items
}

// A move is the net change of one membership.
type move struct {
	was, is bool
	kind    kind
}

// A touch is what the log says about one group: whether it was itself changed,
// and whose membership was.
type touch struct {
	itself bool
	moves  map[string]move
}

func (st *stream) groupChanges(then, now *view) []item {
	touched := st.touched(now.dir.log[then.pos:now.pos])
	var items []item
	for _, id := range slices.Sorted(maps.Keys(touched)) {
		if it, any := st.groupChange(then.object(id), now, id, touched[id]); any {
			items = append(items, it)
		}
	}
	return items
}

func (st *stream) touched(log []change) map[string]*touch {
	touched := map[string]*touch{}
	of := func(id string) *touch {
		if touched[id] == nil {
			touched[id] = &touch{moves: map[string]move{}}
		}
		return touched[id]
	}
	for _, c := range log {
		switch {
		case c.after.is(groupKind) && st.covers(c.after.id):
			of(c.after.id).itself = true
		case c.after == nil && st.covers(c.group):
			moves := of(c.group).moves
			m, known := moves[c.member]
			if !known {
				m = move{was: !c.joined, kind: c.kind}
			}
			m.is = c.joined
			moves[c.member] = m
		}
	}
	return touched
}

func (st *stream) groupChange(was *record, now *view, id string, t *touch) (item, bool) {
	r := now.object(id)
	switch {
	case r.state != live:
		return gone(r), was != nil && was.state != r.state
	case !was.alive(groupKind): // new, or restored
		return st.wholeGroup(r, now), true
	}
	it := item{head: st.groupHead(r), members: t.net()}
	return it, t.itself || len(it.members) > 0
}

// net are the memberships that are not what they were, by id.
func (t *touch) net() []memberRef {
	var refs []memberRef
	for _, id := range slices.Sorted(maps.Keys(t.moves)) {
		m := t.moves[id]
		if m.was == m.is {
			continue
		}
		ref := memberRef{Type: m.kind, ID: id}
		if !m.is {
			ref.Removed = &removed{"deleted"}
		}
		refs = append(refs, ref)
	}
	return refs
}

// paginate splits items over pages of at most size lines. A group takes half
// of a page before another gets its turn, so that large groups interleave, and
// stands at most once on a page. Now and then a page is empty.
func paginate(items []item, size int) [][]map[string]any {
	p := pager{size: size, room: size, on: map[any]bool{}}
	for queue := items; len(queue) > 0; {
		it := queue[0]
		queue = queue[1:]
		share := p.size
		if len(queue) > 0 {
			share = max(1, p.size/2)
		}
		if it.members = p.add(it, share); len(it.members) > 0 {
			queue = append(queue, it)
		}
	}
	p.turn()
	return p.pages
}

type pager struct {
	size, room int
	page       []map[string]any
	on         map[any]bool // ids on the page
	pages      [][]map[string]any
}

// add writes up to share members of it and returns those that are left.
func (p *pager) add(it item, share int) []memberRef {
	if p.room == 0 || p.on[it.head["id"]] {
		p.turn()
	}
	n := min(len(it.members), share, p.room)
	entry := it.head
	if n > 0 {
		entry = maps.Clone(it.head)
		entry["members@delta"] = it.members[:n]
	}
	p.page = append(p.page, entry)
	p.on[it.head["id"]] = true
	p.room -= max(n, 1)
	return it.members[n:]
}

func (p *pager) turn() {
	if len(p.page) == 0 {
		return
	}
	if len(p.pages)%5 == 1 {
		p.pages = append(p.pages, []map[string]any{})
	}
	p.pages = append(p.pages, p.page)
	p.page, p.room = nil, p.size
	clear(p.on)
}

func without(list []string, s string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(x string) bool { return x == s })
}
