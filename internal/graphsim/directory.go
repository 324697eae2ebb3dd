package graphsim

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// A kind is what an object of the directory is, as @odata.type says it.
type kind string

const (
	userKind      kind = "#microsoft.graph.user"
	groupKind     kind = "#microsoft.graph.group"
	deviceKind    kind = "#microsoft.graph.device"
	principalKind kind = "#microsoft.graph.servicePrincipal"
)

type state byte

const (
	live    state = iota
	deleted       // for 30 days it can come back
	purged        // gone for good
)

// User is a person of the tenant. The zero value of AccountEnabled is a locked
// account, as in Graph: say true where it is not.
type User struct {
	ID                string  `json:"id"`
	DisplayName       string  `json:"displayName"`
	UserPrincipalName string  `json:"userPrincipalName"`
	Mail              *string `json:"mail"`
	AccountEnabled    bool    `json:"accountEnabled"`
	UserType          string  `json:"userType"` // Member (default) or Guest
}

func (u User) equal(v User) bool {
	mails := u.Mail == v.Mail || u.Mail != nil && v.Mail != nil && *u.Mail == *v.Mail
	u.Mail, v.Mail = nil, nil
	return mails && u == v
}

// A record is an object at one moment. Records are replaced, never changed, so
// that the log can keep them.
type record struct {
	id    string
	kind  kind
	state state
	name  string // of anything but a person
	user  User   // of a person
}

func (r *record) is(k kind) bool    { return r != nil && r.kind == k }
func (r *record) alive(k kind) bool { return r.is(k) && r.state == live }

// A change is a line of the log: of an object when after is set, of a
// membership otherwise.
type change struct {
	at            time.Time
	before, after *record
	group, member string
	joined        bool
	kind          kind // of the member
}

// directory is the truth and how it came about. The log is never cut: a
// stand-in lives for hours, not for years.
type directory struct {
	objects map[string]*record
	members map[string]map[string]bool // by group
	sorted  map[string][]string        // members in order, made when asked for
	groups  []string                   // every group there ever was, oldest first
	log     []change
}

func newDirectory() directory {
	return directory{
		objects: map[string]*record{},
		members: map[string]map[string]bool{},
		sorted:  map[string][]string{},
	}
}

// put replaces an object.
func (d *directory) put(after *record) {
	if after.kind == groupKind && d.objects[after.id] == nil {
		d.groups = append(d.groups, after.id)
	}
	d.log = append(d.log, change{at: time.Now(), before: d.objects[after.id], after: after})
	d.objects[after.id] = after
}

// turn puts the object into another state. It tells whether that changed it.
func (d *directory) turn(id string, k kind, to state) bool {
	old := d.objects[id]
	if !old.is(k) || old.state == to || old.state == purged {
		return false
	}
	now := *old
	now.state = to
	d.put(&now)
	return true
}

// join adds those of members who are not in the group yet, and returns them.
func (d *directory) join(group string, members []string) []string {
	in := d.members[group]
	if in == nil {
		in = make(map[string]bool, len(members))
		d.members[group] = in
	}
	return d.move(group, members, true, in)
}

// leave removes those of members who are in the group, and returns them.
func (d *directory) leave(group string, members []string) []string {
	return d.move(group, members, false, d.members[group])
}

func (d *directory) move(group string, members []string, joined bool, in map[string]bool) []string {
	now := time.Now()
	var moved []string
	for _, m := range members {
		if in[m] == joined {
			continue
		}
		if joined {
			in[m] = true
		} else {
			delete(in, m)
		}
		moved = append(moved, m)
		d.log = append(d.log, change{at: now, group: group, member: m, joined: joined, kind: d.objects[m].kind})
	}
	if len(moved) > 0 {
		delete(d.sorted, group)
	}
	return moved
}

// groupsOf returns the groups that hold the member directly, sorted.
func (d *directory) groupsOf(member string) []string {
	var groups []string
	for g, in := range d.members {
		if in[member] {
			groups = append(groups, g)
		}
	}
	slices.Sort(groups)
	return groups
}

// membersOf returns the ids of a group's direct members, sorted. The slice is
// shared and must not be changed.
func (d *directory) membersOf(group string) []string {
	ids, ok := d.sorted[group]
	if !ok {
		ids = slices.Sorted(maps.Keys(d.members[group]))
		d.sorted[group] = ids
	}
	return ids
}

// all returns the objects of a kind that are not purged, sorted by id.
func (d *directory) all(k kind) []*record {
	var found []*record
	for _, id := range slices.Sorted(maps.Keys(d.objects)) {
		if r := d.objects[id]; r.is(k) && r.state != purged {
			found = append(found, r)
		}
	}
	return found
}

// userByName finds a live person by id or user principal name.
func (d *directory) userByName(name string) *record {
	if r := d.objects[name]; r.alive(userKind) {
		return r
	}
	for _, r := range d.objects {
		if r.alive(userKind) && strings.EqualFold(r.user.UserPrincipalName, name) {
			return r
		}
	}
	return nil
}

// above returns all the groups that hold an object, directly or through others.
func (d *directory) above(id string) map[string]bool {
	found := map[string]bool{}
	for next := []string{id}; len(next) > 0; next = next[1:] {
		for _, g := range d.groupsOf(next[0]) {
			if !found[g] && d.objects[g].alive(groupKind) {
				found[g] = true
				next = append(next, g)
			}
		}
	}
	return found
}
