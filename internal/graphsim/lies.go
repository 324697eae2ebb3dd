package graphsim

import "slices"

// SetFalseLeave makes the next delta round that tells what changed in the group
// claim, once, that these people left, who did not. Nobody is notified of it.
func (s *Server) SetFalseLeave(group string, people ...string) {
	s.set(func(m *mode) { setLie(m.falseLeaves, group, people) })
}

// SetFalseMembers makes the lists of the group's members omit these people, who
// are members, until it is called with nobody.
func (s *Server) SetFalseMembers(group string, people ...string) {
	s.set(func(m *mode) { setLie(m.falseMembers, group, people) })
}

func setLie(lies map[string][]string, group string, people []string) {
	if len(people) == 0 {
		delete(lies, group)
		return
	}
	lies[group] = slices.Clone(people)
}

// lie puts false leaves among the changes of a round, and forgets them. A group
// of which there is none, or that is gone, is not lied about.
func (s *Server) lie(st *stream, items []item) []item {
	for _, id := range s.dir.groups {
		people := s.mode.falseLeaves[id]
		g := s.dir.objects[id]
		if len(people) == 0 || !st.covers(id) || !g.alive(groupKind) {
			continue
		}
		delete(s.mode.falseLeaves, id)
		at := slices.IndexFunc(items, func(it item) bool { return it.head["id"] == id })
		if at < 0 {
			at = len(items)
			items = append(items, item{head: st.groupHead(g)})
		}
		items[at].members = s.falselyLeft(items[at].members, people)
	}
	return items
}

// falselyLeft claims of people that they left, whatever else is told of them.
func (s *Server) falselyLeft(told []memberRef, people []string) []memberRef {
	told = slices.DeleteFunc(told, func(m memberRef) bool { return slices.Contains(people, m.ID) })
	for _, id := range people {
		if r := s.dir.objects[id]; r != nil {
			told = append(told, memberRef{Type: r.kind, ID: id, Removed: &removed{"deleted"}})
		}
	}
	return told
}
