package kisi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

const usersRoute = "/users"

// A user is a person as Kisi answers.
type user struct {
	ID    int    `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
	Door  *bool  `json:"access_enabled"`      // absent: enabled
	Scim  *bool  `json:"scim_access_enabled"` // the same, as SCIM has it
}

func (u user) key() int { return u.ID }

func (u user) person() access.User {
	return access.User{ID: u.ID, Email: u.Email, Name: u.Name, Locked: isFalse(u.Door) || isFalse(u.Scim)}
}

func isFalse(b *bool) bool { return b != nil && !*b }

func people(users []user) []access.User {
	out := make([]access.User, len(users))
	for n, u := range users {
		out[n] = u.person()
	}
	return out
}

// FindUser finds a person by email. Kisi's filter is a search that also brings
// others, and may miss a user who was made seconds ago.
func (c *Client) FindUser(ctx context.Context, u access.Urgency, email string) (access.User, bool, error) {
	cl := call{
		name: "find_user", op: "find a user by email",
		method: http.MethodGet, route: usersRoute, query: url.Values{"email": {strings.TrimSpace(email)}},
	}
	if strings.TrimSpace(email) == "" {
		return access.User{}, false, cl.fail(fault.Invalid, errors.New("the email is empty"))
	}
	rows, total, err := page[user](ctx, c, u, cl, pageUsers, 0)
	if err != nil {
		return access.User{}, false, err
	}
	var found []user
	for _, r := range rows {
		if access.SameEmail(r.Email, email) {
			found = append(found, r)
		}
	}
	switch {
	case len(found) > 1:
		return access.User{}, false, twins(cl, found)
	case len(found) == 1:
		return found[0].person(), true, nil
	case total > len(rows):
		return access.User{}, false, cl.fail(fault.Bug, fmt.Errorf("none of %d rows of %d bears the address: the filter was ignored", len(rows), total))
	}
	return access.User{}, false, nil
}

// twins are for a person to sort out: either of them may be the right one.
func twins(cl call, found []user) error {
	f := cl.fail(fault.Invalid, fmt.Errorf("two Kisi users bear this address: %d and %d", found[0].ID, found[1].ID))
	f.Hint = "keep one of them"
	return f
}

// User reads a person; the class is Missing when there is none.
func (c *Client) User(ctx context.Context, u access.Urgency, id int) (access.User, error) {
	cl := call{
		name: "user", op: fmt.Sprintf("read user %d", id), gone: true,
		method: http.MethodGet, route: usersRoute + "/{id}", path: usersRoute + "/" + strconv.Itoa(id),
	}
	var got user
	_, err := c.do(ctx, u, cl, &got)
	if err == nil && got.ID != id {
		err = cl.garbled(fmt.Errorf("the answer is about user %d", got.ID))
	}
	return got.person(), err
}

type newUser struct {
	Email      string            `json:"email"`
	Name       string            `json:"name,omitempty"`
	SendEmails bool              `json:"send_emails"`
	Confirm    bool              `json:"confirm"`
	Metadata   map[string]string `json:"metadata,omitempty"`
}

// CreateUser makes a person known to Kisi. The class is Clash when the email
// exists, whether or not a search finds it yet, and Invalid when Kisi does not
// want it. The id that comes back is good at once; a search may lag behind.
func (c *Client) CreateUser(ctx context.Context, u access.Urgency, n access.NewUser) (access.User, error) {
	body := newUser{
		Email: strings.TrimSpace(n.Email), Name: strings.TrimSpace(n.Name),
		// Both are for good. Unconfirmed and without mail nobody could ever sign in.
		SendEmails: !n.Silent, Confirm: n.Silent,
	}
	op := "create a user"
	if n.Person != "" {
		op = "create the user of " + n.Person
		body.Metadata = map[string]string{"entra_object_id": n.Person}
	}
	cl := call{
		name: "create_user", op: op,
		method: http.MethodPost, route: usersRoute, body: map[string]newUser{"user": body},
	}
	var made user
	_, err := c.do(ctx, u, cl, &made)
	switch {
	case err != nil:
		return access.User{}, err
	case made.ID == 0:
		return access.User{}, cl.garbled(errNoID)
	case !access.SameEmail(made.Email, n.Email):
		return access.User{}, cl.garbled(fmt.Errorf("user %d, whom Kisi made, bears another address", made.ID))
	}
	return made.person(), nil
}

// EachUser reads all people of the organization, a page at a time, until visit
// wants no more. The class is Busy when others wrote meanwhile: read once
// more. [ErrCut] says that Kisi does not show everybody.
func (c *Client) EachUser(ctx context.Context, u access.Urgency, visit func(page []access.User, total int) (more bool)) error {
	cl := call{name: "list_users", op: "list all users", method: http.MethodGet, route: usersRoute}
	return each(ctx, c, u, cl, pageUsers, func(page []user, total int) (bool, error) {
		return visit(people(page), total), nil
	})
}

// UsersByID reads the people with these ids, by id. Who does not come back is
// not there, or was made seconds ago.
func (c *Client) UsersByID(ctx context.Context, u access.Urgency, ids []int) ([]access.User, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	if len(ids) > 0 && ids[0] <= 0 {
		cl := call{op: fmt.Sprintf("read %d users", len(ids))}
		return nil, cl.fail(fault.Invalid, errNobody)
	}
	var found []access.User
	for some := range slices.Chunk(ids, pageUsers) {
		users, err := c.usersByID(ctx, u, some)
		if err != nil {
			return nil, err
		}
		found = append(found, users...)
	}
	slices.SortFunc(found, func(a, b access.User) int { return a.ID - b.ID })
	return found, nil
}

// usersByID reads as many people as Kisi gives at once.
func (c *Client) usersByID(ctx context.Context, u access.Urgency, ids []int) (found []access.User, err error) {
	texts := make([]string, len(ids))
	for n, id := range ids {
		texts[n] = strconv.Itoa(id)
	}
	cl := call{
		name: "users_by_id", op: fmt.Sprintf("read %d users, the first is %d", len(ids), ids[0]),
		method: http.MethodGet, route: usersRoute, query: url.Values{"ids": {strings.Join(texts, ",")}},
	}
	err = each(ctx, c, u, cl, pageUsers, func(page []user, _ int) (bool, error) {
		for _, p := range page {
			if _, asked := slices.BinarySearch(ids, p.ID); !asked {
				return false, cl.misfit(p.ID)
			}
		}
		found = append(found, people(page)...)
		return true, nil
	})
	return found, err
}

// Rename tells Kisi what a person is called. The class is Missing when there
// is no such user.
func (c *Client) Rename(ctx context.Context, u access.Urgency, user int, name string) error {
	type renamed struct {
		Name string `json:"name"`
	}
	name = strings.TrimSpace(name)
	cl := call{
		name: "rename", op: fmt.Sprintf("rename user %d", user), gone: true,
		method: http.MethodPatch, route: usersRoute + "/{id}", path: usersRoute + "/" + strconv.Itoa(user),
		body: map[string]renamed{"user": {name}},
	}
	switch {
	case user <= 0:
		return cl.fail(fault.Invalid, errNobody)
	case name == "":
		return cl.fail(fault.Invalid, errors.New("the name is empty"))
	}
	_, err := c.do(ctx, u, cl, nil)
	return err
}
