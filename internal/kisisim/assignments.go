package kisisim

import (
	"net/http"
	"strconv"
	"time"
)

// basic is the role that opens the doors of a group.
const basic = "group_basic"

func (s *Server) listAssignments(r *http.Request) (*answer, error) {
	q, err := s.options(r, "assignee_type", "assignee_id", "applies_to_type", "applies_to_id", "role_id", "query", "ids", "sort", "limit", "offset")
	if err != nil {
		return nil, err
	}
	for _, of := range []string{"assignee", "applies_to"} {
		if q.Has(of+"_id") && !q.Has(of+"_type") {
			return nil, invalid(of+"_id", "needs "+of+"_type")
		}
	}
	each := s.assignments.each
	if q.Get("assignee_type") == "User" && q.Get("applies_to_type") == "Group" && q.Get("role_id") == basic && q.Has("assignee_id") && q.Has("applies_to_id") && !s.opts.IgnoreFilters {
		each = s.few(q.Get("assignee_id"), q.Get("applies_to_id"))
	}
	is := func(name, value string) bool { return !q.Has(name) || q.Get(name) == value }
	return page(s, r, q, otherPage, each, func(a *Assignment) bool {
		return is("role_id", a.RoleID) &&
			is("assignee_type", a.AssigneeType) && is("assignee_id", strconv.Itoa(a.AssigneeID)) &&
			is("applies_to_type", a.AppliesToType) && is("applies_to_id", strconv.Itoa(a.AppliesToID))
	}, s.showAssignment)
}

// few gives the rows of one person in one group without looking at all.
func (s *Server) few(assignee, group string) func(func(int, *Assignment) bool) {
	a, _ := strconv.Atoi(assignee)
	g, _ := strconv.Atoi(group)
	return func(yield func(int, *Assignment) bool) {
		for _, id := range s.rowsOf[pair{a, g}] {
			if !yield(id, s.assignments.rows[id]) {
				return
			}
		}
	}
}

func (s *Server) showAssignment(a *Assignment) any {
	out := map[string]any{
		"id": a.ID, "resource_type": "RoleAssignment", "role_id": a.RoleID, "notify": a.Notify,
		"applies_to_type": a.AppliesToType, "applies_to_id": a.AppliesToID,
		"applies_to":    map[string]any{"id": a.AppliesToID, "resource_type": a.AppliesToType, "name": s.groups[a.AppliesToID].name},
		"assignee_type": a.AssigneeType, "assignee_id": a.AssigneeID,
		"created_by_type": a.CreatedByType, "created_by_id": a.CreatedByID,
		"valid_from": a.ValidFrom, "valid_until": a.ValidUntil,
		"user_id": nil, "group_id": nil, "type": "group", "scope": "group",
		"created_at": a.CreatedAt, "updated_at": a.CreatedAt,
	}
	if u := s.users[a.AssigneeID]; u != nil && a.AssigneeType == "User" {
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
	u := s.users[*in.AssigneeID]
	if _, there := s.groups[*in.AppliesToID]; u == nil || !there {
		return nil, notFound("User or Group", *in.AssigneeID)
	}
	if len(s.rowsOf[pair{u.ID, *in.AppliesToID}]) > 0 && !s.opts.DoubleAssignments {
		return nil, &problem{409, "000409", "Record already exists.", nil}
	}
	a := &Assignment{
		RoleID: basic, AppliesToType: "Group", AppliesToID: *in.AppliesToID, AssigneeType: "User", AssigneeID: u.ID,
		Notify: in.Notify, CreatedByType: "User", CreatedByID: callerID, ValidFrom: in.ValidFrom, ValidUntil: in.ValidUntil,
	}
	s.addAssignment(a)
	if in.Notify && u.SendEmails {
		s.mails = append(s.mails, Mail{To: u.Email, About: s.groups[a.AppliesToID].name, At: time.Now()})
	}
	return ok(s.showAssignment(a))
}

// addAssignment stores a row, and polices that no person holds a role twice.
func (s *Server) addAssignment(a *Assignment) {
	a.ID, a.CreatedAt = s.id(), time.Now()
	s.assignments.add(a.ID, a)
	if !a.opens() {
		return
	}
	key := pair{a.AssigneeID, a.AppliesToID}
	s.rowsOf[key] = append(s.rowsOf[key], a.ID)
	live := 0
	for _, id := range s.rowsOf[key] {
		if s.assignments.rows[id].live(time.Now()) {
			live++
		}
	}
	if live > 1 {
		s.violate("%s has %d live assignments in group %d", s.users[a.AssigneeID].Email, live, a.AppliesToID)
	}
}

// opens tells whether the row is of the one kind that the bridge may touch.
func (a *Assignment) opens() bool {
	return a.RoleID == basic && a.AppliesToType == "Group" && a.AssigneeType == "User"
}

func (a *Assignment) live(now time.Time) bool {
	return (a.ValidFrom == nil || !now.Before(*a.ValidFrom)) && (a.ValidUntil == nil || now.Before(*a.ValidUntil))
}

func (s *Server) deleteAssignment(r *http.Request) (*answer, error) {
	a := s.assignments.rows[pathID(r)]
	if a == nil {
		return nil, notFound("RoleAssignment", pathID(r))
	}
	if !a.opens() || s.protected[a.ID] {
		s.violate("assignment %d (%s of a %s) is not the bridge's to delete", a.ID, a.RoleID, a.AssigneeType)
	}
	s.removeAssignment(a)
	return empty()
}

func (s *Server) removeAssignment(a *Assignment) {
	s.assignments.remove(a.ID)
	key := pair{a.AssigneeID, a.AppliesToID}
	if !a.opens() {
		return
	}
	var left []int
	for _, id := range s.rowsOf[key] {
		if id != a.ID {
			left = append(left, id)
		}
	}
	if s.rowsOf[key] = left; len(left) == 0 {
		delete(s.rowsOf, key)
	}
}
