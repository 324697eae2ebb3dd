package kisi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// A place is a group or a team as Kisi answers.
type place struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

func (p place) key() int { return p.ID }

// Groups searches the groups of the organization by name; "" lists them all.
func (c *Client) Groups(ctx context.Context, u access.Urgency, query string) ([]access.Place, error) {
	return c.places(ctx, u, "groups", query)
}

// Group reads one group; the class is Missing when there is none.
func (c *Client) Group(ctx context.Context, u access.Urgency, id int) (access.Place, error) {
	return c.place(ctx, u, "group", id)
}

// Describe names the group or team that t fills. Users only is no place, and
// has none.
func (c *Client) Describe(ctx context.Context, u access.Urgency, t access.Target) (access.Place, error) {
	switch t.Type {
	case access.TargetGroup:
		return c.Group(ctx, u, t.ID)
	case access.TargetTeam:
		return c.Team(ctx, u, t.ID)
	case access.TargetUsers:
		return access.Place{}, nil
	}
	return access.Place{}, fault.New(fault.Invalid, "kisi: describe "+t.String(), "a target of type %q is not known", t.Type)
}

func (c *Client) places(ctx context.Context, u access.Urgency, plural, query string) ([]access.Place, error) {
	cl := call{name: plural, op: "search " + plural, method: http.MethodGet, route: "/" + plural}
	if query != "" {
		cl.query = url.Values{"query": {query}}
	}
	var found []access.Place
	err := each(ctx, c, u, cl, pageOther, func(page []place, _ int) (bool, error) {
		for _, p := range page {
			found = append(found, access.Place(p))
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func (c *Client) place(ctx context.Context, u access.Urgency, noun string, id int) (access.Place, error) {
	cl := call{
		name: noun, op: fmt.Sprintf("read %s %d", noun, id), gone: true,
		method: http.MethodGet, route: "/" + noun + "s/{id}", path: "/" + noun + "s/" + strconv.Itoa(id),
	}
	if id <= 0 {
		return access.Place{}, cl.fail(fault.Invalid, fmt.Errorf("no %s is named", noun))
	}
	var p place
	_, err := c.do(ctx, u, cl, &p)
	if err == nil && p.ID != id {
		err = cl.garbled(fmt.Errorf("the answer is about %d", p.ID))
	}
	if err != nil {
		return access.Place{}, err
	}
	return access.Place(p), nil
}
