package kisi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// What the bridge gives and takes, and nothing else of what stands in the same
// lists: a group manager, a guest or a team is never ours.
const (
	groupBasic = "group_basic"
	ofGroup    = "Group"
	ofUser     = "User"
)

// An assignment gives somebody a role; here, the doors of a group.
type assignment struct {
	ID            int        `json:"id"`
	RoleID        string     `json:"role_id"`
	AppliesToType string     `json:"applies_to_type"`
	AppliesToID   int        `json:"applies_to_id"`
	AssigneeType  string     `json:"assignee_type"`
	AssigneeID    int        `json:"assignee_id"`
	Assignee      party      `json:"assignee"`
	ValidFrom     *time.Time `json:"valid_from"`
	ValidUntil    *time.Time `json:"valid_until"`
}

func (a assignment) key() int { return a.ID }

func (a assignment) row() access.Row {
	return access.Row{ID: a.ID, User: a.AssigneeID, Email: a.Assignee.emailOf(a.AssigneeID)}
}

func (a assignment) of(target, user int) bool {
	return a.RoleID == groupBasic && a.AppliesToType == ofGroup && a.AppliesToID == target &&
		a.AssigneeType == ofUser && (user == 0 || a.AssigneeID == user)
}

// stands tells whether the assignment opens doors at now. One that has run out
// may still be listed, and be in the way of a new one.
func (a assignment) stands(now time.Time) bool {
	return (a.ValidFrom == nil || !now.Before(*a.ValidFrom)) && (a.ValidUntil == nil || now.Before(*a.ValidUntil))
}

// A newAssignment names everything: what Kisi takes an omitted field for is
// nowhere written.
type newAssignment struct {
	RoleID        string     `json:"role_id"`
	AppliesToType string     `json:"applies_to_type"`
	AppliesToID   int        `json:"applies_to_id"`
	AssigneeType  string     `json:"assignee_type"`
	AssigneeID    int        `json:"assignee_id"`
	Notify        bool       `json:"notify"`
	ValidFrom     *time.Time `json:"valid_from"`
	ValidUntil    *time.Time `json:"valid_until"`
}

// standing is access as Kisi lists it.
type standing interface {
	keyed
	row() access.Row
	of(target, user int) bool // is it of that target, and of that user unless 0
	stands(now time.Time) bool
}

// A means is how Kisi gives access to one kind of target.
type means struct {
	route string
	noun  string
	query func(target, user int) url.Values // user 0: of everybody
	body  func(target, user int, notify bool) any
	each  func(ctx context.Context, c *Client, u access.Urgency, cl call, target, user int, visit func([]access.Row, int) bool) error
	add   func(ctx context.Context, c *Client, u access.Urgency, cl call, target, user int) (access.Row, error)
}

func byAssignment() means {
	return means{
		route: "/role_assignments",
		noun:  "role assignment",
		query: func(target, user int) url.Values {
			q := url.Values{
				"applies_to_type": {ofGroup}, "applies_to_id": {strconv.Itoa(target)},
				"assignee_type": {ofUser}, "role_id": {groupBasic},
			}
			if user != 0 {
				q.Set("assignee_id", strconv.Itoa(user))
			}
			return q
		},
		body: func(target, user int, notify bool) any {
			return map[string]newAssignment{"role_assignment": {
				RoleID: groupBasic, AppliesToType: ofGroup, AppliesToID: target,
				AssigneeType: ofUser, AssigneeID: user, Notify: notify,
			}}
		},
		each: eachStanding[assignment],
		add:  add[assignment],
	}
}

// meansOf tells how access to t is given, if t gives any.
func meansOf(op string, t access.Target) (means, error) {
	switch {
	case t.ID <= 0:
	case t.Type == access.TargetGroup:
		return byAssignment(), nil
	case t.Type == access.TargetTeam:
		return byMembership(), nil
	}
	return means{}, &fault.Error{
		Class: fault.Invalid, Op: "kisi: " + op, Err: fmt.Errorf("a target of type %q and id %d gives no access", t.Type, t.ID),
	}
}

var errNobody = errors.New("no user is named")

// Rows lists the access of a user that stands on t, whoever gave it. What has
// run out, or has not begun, is not access and not listed.
func (c *Client) Rows(ctx context.Context, u access.Urgency, t access.Target, user int) ([]access.Row, error) {
	op := fmt.Sprintf("list the access of user %d on %s %d", user, t.Type, t.ID)
	m, err := meansOf(op, t)
	if err != nil {
		return nil, err
	}
	cl := call{name: "rows", op: op, method: http.MethodGet, route: m.route, query: m.query(t.ID, user)}
	if user <= 0 {
		return nil, cl.fail(fault.Invalid, errNobody) // else everybody's would be listed
	}
	var rows []access.Row
	err = m.each(ctx, c, u, cl, t.ID, user, func(page []access.Row, _ int) bool {
		rows = append(rows, page...)
		return true
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// EachRow lists the access of everybody that stands on t, a page at a time,
// until visit wants no more. Classes and [ErrCut] are as for [Client.EachUser].
// The total also counts what has run out.
func (c *Client) EachRow(ctx context.Context, u access.Urgency, t access.Target, visit func(page []access.Row, total int) (more bool)) error {
	op := fmt.Sprintf("list all access on %s %d", t.Type, t.ID)
	m, err := meansOf(op, t)
	if err != nil {
		return err
	}
	cl := call{name: "list_rows", op: op, method: http.MethodGet, route: m.route, query: m.query(t.ID, 0)}
	return m.each(ctx, c, u, cl, t.ID, 0, visit)
}

// Grant gives a user access to t, for good. The class is Clash when Kisi says
// that it exists, and Missing when user or target does not. Where Kisi makes a
// second row rather than say so, only a look beforehand helps.
func (c *Client) Grant(ctx context.Context, u access.Urgency, t access.Target, user int, notify bool) (access.Row, error) {
	op := fmt.Sprintf("give user %d access to %s %d", user, t.Type, t.ID)
	m, err := meansOf(op, t)
	if err != nil {
		return access.Row{}, err
	}
	cl := call{
		name: "grant", op: op, gone: true,
		method: http.MethodPost, route: m.route, body: m.body(t.ID, user, notify),
	}
	if user <= 0 {
		return access.Row{}, cl.fail(fault.Invalid, errNobody)
	}
	return m.add(ctx, c, u, cl, t.ID, user)
}

// Revoke deletes one row of access to t. The class is Missing when it is gone,
// which a person should not be told before a look: a 404 is ambiguous.
func (c *Client) Revoke(ctx context.Context, u access.Urgency, t access.Target, row int) error {
	op := fmt.Sprintf("delete row %d of %s %d", row, t.Type, t.ID)
	m, err := meansOf(op, t)
	if err != nil {
		return err
	}
	cl := call{
		name: "revoke", op: fmt.Sprintf("delete %s %d", m.noun, row), gone: true,
		method: http.MethodDelete, route: m.route + "/{id}", path: m.route + "/" + strconv.Itoa(row),
	}
	if row <= 0 {
		return cl.fail(fault.Invalid, errors.New("no row is named"))
	}
	_, err = c.do(ctx, u, cl, nil)
	return err
}

// eachStanding reads a list of access and checks each row against what was
// asked for.
func eachStanding[T standing](ctx context.Context, c *Client, u access.Urgency, cl call, target, user int, visit func([]access.Row, int) bool) error {
	return each(ctx, c, u, cl, pageOther, func(page []T, total int) (bool, error) {
		rows, now := make([]access.Row, 0, len(page)), time.Now()
		for _, r := range page {
			if !r.of(target, user) {
				return false, cl.misfit(r.key())
			}
			if r.stands(now) {
				rows = append(rows, r.row())
			}
		}
		return visit(rows, total), nil
	})
}

// add makes a row, and sees to it that it is the one that was asked for.
func add[T standing](ctx context.Context, c *Client, u access.Urgency, cl call, target, user int) (access.Row, error) {
	var made T
	if _, err := c.do(ctx, u, cl, &made); err != nil {
		return access.Row{}, err
	}
	if made.key() == 0 || !made.of(target, user) {
		return access.Row{}, cl.garbled(fmt.Errorf("row %d, which Kisi made, is not what was asked for", made.key()))
	}
	return made.row(), nil
}
