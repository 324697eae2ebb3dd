package kisisim

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// basic is the role that opens the doors of a group.
const basic = "group_basic"

func (s *Server) listAssignments(r *http.Request) (*answer, error) {
	q, err := s.options(r, append(deprecatedFilters(),
		"assignee_type", "assignee_id", "applies_to_type", "applies_to_id", "role_id", "query", "ids", "sort", "limit", "offset")...)
	if err != nil {
		return nil, err
	}
	for _, of := range []string{"assignee", "applies_to"} {
		if q.Has(of+"_id") && !q.Has(of+"_type") {
			return nil, invalid(of+"_id", "needs "+of+"_type")
		}
	}
	who, err := number(q, "assignee_id", 0)
	if err != nil {
		return nil, err
	}
	what, err := number(q, "applies_to_id", 0)
	if err != nil {
		return nil, err
	}
	l := list[Assignment]{size: otherPage, rows: s.assignments, words: s.assigneeWords, show: s.showAssignment}
	switch { // somebody holds less than is held of something
	case who != 0:
		l.ids = known(s.assignments.index[assignee(q.Get("assignee_type"), who)])
	case what != 0:
		l.ids = known(s.assignments.index[appliesTo(q.Get("applies_to_type"), what)])
	}
	l.keep = func(a *Assignment) bool {
		return is(q, "role_id", a.RoleID) &&
			is(q, "assignee_type", a.AssigneeType) && is(q, "assignee_id", itoa(a.AssigneeID)) &&
			is(q, "applies_to_type", a.AppliesToType) && is(q, "applies_to_id", itoa(a.AppliesToID)) && a.old(q)
	}
	return l.page(s, r, q)
}

func assignee(kind string, id int) key  { return key{"assignee", kind, id} }
func appliesTo(kind string, id int) key { return key{"applies_to", kind, id} }

func assignmentKeys(a *Assignment) []key {
	return []key{assignee(a.AssigneeType, a.AssigneeID), appliesTo(a.AppliesToType, a.AppliesToID)}
}

// basicRows are what the one kind of row that the bridge may touch gives a
// user in a group.
func (s *Server) basicRows(user, group int) []*Assignment {
	return slices.DeleteFunc(s.assignments.of(assignee("User", user)), func(a *Assignment) bool {
		return !a.opens() || a.AppliesToID != group
	})
}

// assigneeWords are what a search for an assignment looks through.
func (s *Server) assigneeWords(a *Assignment) string {
	if a.AssigneeType != "User" {
		return ""
	}
	return s.folded[a.AssigneeID]
}

func (s *Server) showAssignment(a *Assignment) any {
	out := map[string]any{
		"id": a.ID, "resource_type": "RoleAssignment", "role_id": a.RoleID, "notify": a.Notify,
		"applies_to_type": a.AppliesToType, "applies_to_id": a.AppliesToID,
		"applies_to":    map[string]any{"id": a.AppliesToID, "resource_type": a.AppliesToType, "name": s.groupName(a.AppliesToID)},
		"assignee_type": a.AssigneeType, "assignee_id": a.AssigneeID,
		"created_by_type": a.CreatedByType, "created_by_id": a.CreatedByID,
		"valid_from": a.ValidFrom, "valid_until": a.ValidUntil,
		"user_id": nil, "group_id": nil, "type": "group", "scope": "group",
		"created_at": a.CreatedAt, "updated_at": a.CreatedAt,
	}
	if u := s.users.rows[a.AssigneeID]; u != nil && a.AssigneeType == "User" {
		out["assignee"] = map[string]any{"id": u.ID, "resource_type": "User", "email": u.Email, "name": u.Name}
		out["user_id"] = u.ID
	}
	if a.AppliesToType == "Group" {
		out["group_id"] = a.AppliesToID
	}
	return out
}

func (s *Server) getAssignment(r *http.Request) (*answer, error) {
	a := s.assignments.rows[pathID(r)]
	if a == nil {
		return nil, notFound("RoleAssignment", pathID(r))
	}
	return ok(s.showAssignment(a))
}

func (s *Server) postAssignment(r *http.Request) (*answer, error) {
	in := struct {
		RoleID        *string    `json:"role_id"`
		AppliesToType *string    `json:"applies_to_type"`
		AppliesToID   *int       `json:"applies_to_id"`
		AssigneeType  *string    `json:"assignee_type"`
		AssigneeID    *int       `json:"assignee_id"`
		Notify        bool       `json:"notify"`
		ValidFrom     *time.Time `json:"valid_from"`
		ValidUntil    *time.Time `json:"valid_until"`
	}{}
	if err := s.body(r, "role_assignment", &in); err != nil {
		return nil, err
	}
	missing := map[string][]string{}
	for field, absent := range map[string]bool{
		"role_id": in.RoleID == nil, "applies_to_type": in.AppliesToType == nil, "applies_to_id": in.AppliesToID == nil,
		"assignee_type": in.AssigneeType == nil, "assignee_id": in.AssigneeID == nil,
	} {
		if absent {
			missing[field] = []string{"can't be blank"}
		}
	}
	if len(missing) > 0 {
		return nil, &problem{status: 422, fields: missing}
	}
	if *in.RoleID != basic || *in.AppliesToType != "Group" || *in.AssigneeType != "User" {
		s.violate("POST /role_assignments: %s of %s to %s is not the bridge's to give", *in.RoleID, *in.AppliesToType, *in.AssigneeType)
		return nil, invalid("role_id", "is not allowed")
	}
	u := s.users.rows[*in.AssigneeID]
	if u == nil || s.groups.rows[*in.AppliesToID] == nil {
		return nil, notFound("User or Group", *in.AssigneeID)
	}
	if len(s.basicRows(u.ID, *in.AppliesToID)) > 0 && !s.opts.DoubleAssignments {
		return nil, exists()
	}
	a := &Assignment{
		RoleID: basic, AppliesToType: "Group", AppliesToID: *in.AppliesToID, AssigneeType: "User", AssigneeID: u.ID,
		Notify: in.Notify, CreatedByType: "User", CreatedByID: int(callerID), ValidFrom: in.ValidFrom, ValidUntil: in.ValidUntil,
	}
	s.addAssignment(callerID, a)
	s.policeDoubles(a)
	s.mail(a)
	return ok(s.showAssignment(a))
}

// mail goes to whom a row is for, if both the row and the person want it.
func (s *Server) mail(a *Assignment) {
	if u := s.users.rows[a.AssigneeID]; a.Notify && a.AssigneeType == "User" && u != nil && u.SendEmails {
		s.mails = append(s.mails, Mail{To: u.Email, About: s.groupName(a.AppliesToID), At: time.Now()})
	}
}

func (s *Server) groupName(id int) string {
	if g := s.groups.rows[id]; g != nil {
		return g.name
	}
	return ""
}

func (s *Server) addAssignment(who by, a *Assignment) {
	a.ID, a.CreatedAt = s.id(), time.Now()
	s.assignments.add(a.ID, a)
	s.tell(who, "create", a.object())
}

// policeDoubles sees to it that the bridge gives no person a role twice.
func (s *Server) policeDoubles(a *Assignment) {
	if !a.opens() {
		return
	}
	live := 0
	for _, row := range s.basicRows(a.AssigneeID, a.AppliesToID) {
		if row.live(time.Now()) {
			live++
		}
	}
	if u := s.users.rows[a.AssigneeID]; live > 1 && u != nil {
		s.violate("%s has %d live assignments in group %d", u.Email, live, a.AppliesToID)
	}
}

// opens tells whether the row is of the one kind that the bridge may touch.
func (a *Assignment) opens() bool {
	return a.RoleID == basic && a.AppliesToType == "Group" && a.AssigneeType == "User"
}

func (a *Assignment) live(now time.Time) bool {
	return (a.ValidFrom == nil || !now.Before(*a.ValidFrom)) && (a.ValidUntil == nil || now.Before(*a.ValidUntil))
}

// ownAssignment finds the row that a request changes.
func (s *Server) ownAssignment(r *http.Request, verb string) (*Assignment, error) {
	a := s.assignments.rows[pathID(r)]
	if a == nil {
		return nil, notFound("RoleAssignment", pathID(r))
	}
	if !a.opens() || s.protected[a.ID] {
		s.violate("assignment %d (%s of a %s) is not the bridge's to %s", a.ID, a.RoleID, a.AssigneeType, verb)
	}
	return a, nil
}

// A given field was in the body, be it as null.
type given[T any] struct {
	there bool
	value *T
}

func (g *given[T]) UnmarshalJSON(b []byte) error {
	g.there = true
	return json.Unmarshal(b, &g.value)
}

// patchAssignment changes when a row is good, and whether it is told of. What
// more Kisi would change is not to be made out from what it publishes.
func (s *Server) patchAssignment(r *http.Request) (*answer, error) {
	a, err := s.ownAssignment(r, "change")
	if err != nil {
		return nil, err
	}
	in := struct {
		RoleID     *string          `json:"role_id"`
		Notify     *bool            `json:"notify"`
		ValidFrom  given[time.Time] `json:"valid_from"`
		ValidUntil given[time.Time] `json:"valid_until"`
	}{}
	if err := s.body(r, "role_assignment", &in); err != nil {
		return nil, err
	}
	if in.RoleID != nil && *in.RoleID != a.RoleID {
		s.violate("PATCH /role_assignments: %s is not the bridge's to give", *in.RoleID)
		return nil, invalid("role_id", "is not allowed")
	}
	set(&a.Notify, in.Notify)
	if in.ValidFrom.there {
		a.ValidFrom = in.ValidFrom.value
	}
	if in.ValidUntil.there {
		a.ValidUntil = in.ValidUntil.value
	}
	s.policeDoubles(a)
	if in.Notify != nil {
		s.mail(a)
	}
	s.tell(callerID, "update", a.object())
	return empty()
}

func (s *Server) deleteAssignment(r *http.Request) (*answer, error) {
	a, err := s.ownAssignment(r, "delete")
	if err != nil {
		return nil, err
	}
	s.removeAssignment(callerID, a)
	return empty()
}

func (s *Server) removeAssignment(who by, a *Assignment) {
	s.assignments.remove(a.ID)
	s.tell(who, "destroy", a.object())
}
