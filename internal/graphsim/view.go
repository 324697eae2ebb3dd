package graphsim

import (
	"maps"
	"slices"
	"sort"
	"time"
)

// A view is the directory as it was when the log had pos lines: what a replica
// that lags behind shows. It undoes the lines after pos and copies nothing, so
// it costs as much as happened since.
type view struct {
	dir     *directory
	pos     int
	objects map[string]*record         // as they were, of those changed since
	members map[string]map[string]bool // likewise, by group: was the member in?
}

// position is the length of the log that a replica shows which is lag behind.
func (d *directory) position(lag time.Duration) int {
	if lag <= 0 {
		return len(d.log)
	}
	seen := time.Now().Add(-lag)
	return sort.Search(len(d.log), func(i int) bool { return d.log[i].at.After(seen) })
}

func (d *directory) at(pos int) *view {
	v := &view{dir: d, pos: pos, objects: map[string]*record{}, members: map[string]map[string]bool{}}
	for _, c := range d.log[pos:] {
		if c.after != nil {
			if _, known := v.objects[c.after.id]; !known {
				v.objects[c.after.id] = c.before
			}
			continue
		}
		was := v.members[c.group]
		if was == nil {
			was = map[string]bool{}
			v.members[c.group] = was
		}
		if _, known := was[c.member]; !known {
			was[c.member] = !c.joined // the first line since pos tells what was before
		}
	}
	return v
}

// object returns the record of id, or nil if there was none.
func (v *view) object(id string) *record {
	if r, changed := v.objects[id]; changed {
		return r
	}
	return v.dir.objects[id]
}

// membersOf returns the ids of a group's direct members, sorted.
func (v *view) membersOf(group string) []string {
	now := v.dir.membersOf(group)
	was := v.members[group]
	if len(was) == 0 {
		return now
	}
	then := make([]string, 0, len(now))
	for _, id := range now {
		if in, changed := was[id]; !changed || in {
			then = append(then, id)
		}
	}
	for id, in := range was {
		if in && !v.dir.members[group][id] {
			then = append(then, id)
		}
	}
	slices.Sort(then)
	return then
}

// within returns everybody in the group and in groups inside it, sorted.
// Circles do no harm.
func (v *view) within(group string) []string {
	seen := map[string]bool{}
	var walk func(string)
	walk = func(g string) {
		for _, id := range v.membersOf(g) {
			if seen[id] || id == group {
				continue
			}
			seen[id] = true
			if v.object(id).alive(groupKind) {
				walk(id)
			}
		}
	}
	walk(group)
	return slices.Sorted(maps.Keys(seen))
}

// ids returns the objects of a kind that were not purged, sorted.
func (v *view) ids(k kind) []string {
	var ids []string
	for id := range v.dir.objects {
		if r := v.object(id); r.is(k) && r.state != purged {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
