package kisi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// A Place is a group or a team that people can be put in.
type Place struct {
	ID   int
	Name string
}

func (p Place) key() int { return p.ID }

// Groups searches the groups of the organization by name; "" lists them all.
func (c *Client) Groups(ctx context.Context, u access.Urgency, query string) ([]Place, error) {
	return c.places(ctx, u, "groups", query)
}

// Group reads one group; the class is Missing when there is none.
func (c *Client) Group(ctx context.Context, u access.Urgency, id int) (Place, error) {
	return c.place(ctx, u, "group", id)
}

func (c *Client) places(ctx context.Context, u access.Urgency, plural, query string) ([]Place, error) {
	cl := call{name: plural, op: "search " + plural, method: http.MethodGet, route: "/" + plural}
	if query != "" {
		cl.query = url.Values{"query": {query}}
	}
	var found []Place
	err := each(ctx, c, u, cl, pageOther, func(page []Place, _ int) (bool, error) {
		found = append(found, page...)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func (c *Client) place(ctx context.Context, u access.Urgency, noun string, id int) (Place, error) {
	cl := call{
		name: noun, op: fmt.Sprintf("read %s %d", noun, id), gone: true,
		method: http.MethodGet, route: "/" + noun + "s/{id}", path: "/" + noun + "s/" + strconv.Itoa(id),
	}
	if id <= 0 {
		return Place{}, cl.fail(fault.Invalid, fmt.Errorf("no %s is named", noun))
	}
	var p Place
	_, err := c.do(ctx, u, cl, &p)
	if err == nil && p.ID != id {
		err = cl.garbled(fmt.Errorf("the answer is about %d", p.ID))
	}
	if err != nil {
		return Place{}, err
	}
	return p, nil
}

// An Import is an integration of Kisi's own that fills a group from a
// directory. Two writers on one group fight.
type Import struct {
	ID      int
	Name    string
	Enabled bool
}

type integration struct {
	ID      int    `json:"id"`
	Name    string `json:"name"`
	Type    string `json:"type"`
	Enabled bool   `json:"enabled"`
	GroupID *int   `json:"group_id"` // not documented for a list
}

func (i integration) key() int { return i.ID }

// Imports lists the enabled imports of Kisi's own that fill a group.
func (c *Client) Imports(ctx context.Context, u access.Urgency, group int) ([]Import, error) {
	cl := call{
		name: "imports", op: fmt.Sprintf("list the imports that fill group %d", group),
		method: http.MethodGet, route: "/integrations",
		query: url.Values{"group_id": {strconv.Itoa(group)}, "enabled": {"true"}},
	}
	if group <= 0 {
		return nil, cl.fail(fault.Invalid, fmt.Errorf("no group is named"))
	}
	var found []Import
	err := each(ctx, c, u, cl, pageOther, func(page []integration, _ int) (bool, error) {
		for _, i := range page {
			if i.GroupID != nil && *i.GroupID != group {
				return false, cl.misfit(i.ID)
			}
			if i.Enabled && strings.HasSuffix(i.Type, "_user_import") {
				found = append(found, Import{ID: i.ID, Name: i.Name, Enabled: i.Enabled})
			}
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}
