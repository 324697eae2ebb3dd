package kisi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

const (
	integrationsRoute = "/integrations"
	eventWebhook      = "event_webhook"
	hookName          = "kisibridge" // as a person sees it among the integrations
)

// An integration is one of Kisi's own: an import that fills a group, or a
// webhook. A list is documented to tell only of what all kinds share.
type integration struct {
	ID      int    `json:"id"`
	Name    string `json:"name"`
	Type    string `json:"type"`
	Enabled bool   `json:"enabled"`
	GroupID *int   `json:"group_id"`
	URL     string `json:"url"`
	Key     string `json:"signature_key"`
}

func (i integration) key() int          { return i.ID }
func (i integration) hook() access.Hook { return access.Hook{ID: i.ID, URL: i.URL, Key: i.Key} }

// Imports lists the enabled imports of Kisi's own that fill a group.
func (c *Client) Imports(ctx context.Context, u access.Urgency, group int) ([]access.KisiImport, error) {
	cl := call{
		name: "imports", op: fmt.Sprintf("list the imports that fill group %d", group),
		method: http.MethodGet, route: integrationsRoute,
		query: url.Values{"group_id": {strconv.Itoa(group)}, "enabled": {"true"}},
	}
	if group <= 0 {
		return nil, cl.fail(fault.Invalid, errors.New("no group is named"))
	}
	var found []access.KisiImport
	err := each(ctx, c, u, cl, pageOther, func(page []integration, _ int) (bool, error) {
		for _, i := range page {
			if i.GroupID != nil && *i.GroupID != group {
				return false, cl.misfit(i.ID)
			}
			if i.Enabled && strings.HasSuffix(i.Type, "_user_import") {
				found = append(found, access.KisiImport{ID: i.ID, Name: i.Name, Enabled: i.Enabled})
			}
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Hooks lists the event webhooks of the organization, whoever made them, those
// that are switched off as well: somebody may have done that on purpose.
func (c *Client) Hooks(ctx context.Context, u access.Urgency) ([]access.Hook, error) {
	cl := call{name: "hooks", op: "list the event webhooks", method: http.MethodGet, route: integrationsRoute}
	var listed []integration
	err := each(ctx, c, u, cl, pageOther, func(page []integration, _ int) (bool, error) {
		for _, i := range page {
			if i.Type == eventWebhook {
				listed = append(listed, i)
			}
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	var found []access.Hook
	for _, i := range listed {
		if i.URL == "" {
			if i, err = c.integration(ctx, u, i.ID); fault.Is(err, fault.Missing) {
				continue // deleted since
			}
		}
		if err != nil {
			return nil, err
		}
		found = append(found, i.hook())
	}
	return found, nil
}

// integration reads a single one, which tells more than a list does.
func (c *Client) integration(ctx context.Context, u access.Urgency, id int) (integration, error) {
	cl := oneHook(http.MethodGet, "hook", "read", id)
	var i integration
	_, err := c.do(ctx, u, cl, &i)
	if err == nil && i.ID != id {
		err = cl.garbled(fmt.Errorf("the answer is about %d", i.ID))
	}
	return i, err
}

type newHook struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	URL     string   `json:"url"`
	Enabled bool     `json:"enabled"`
	Events  []string `json:"enabled_events"`
	Key     string   `json:"signature_key,omitempty"`
}

// AddHook asks Kisi to tell h.URL of every change of people and access. The
// key of what comes back signs the events; it is h.Key unless Kisi gave
// another, and empty when neither names one.
func (c *Client) AddHook(ctx context.Context, u access.Urgency, h access.Hook) (access.Hook, error) {
	body := newHook{Type: eventWebhook, Name: hookName, URL: h.URL, Enabled: true, Key: h.Key, Events: []string{
		"user.create", "user.update", "user.destroy",
		"role_assignment.create", "role_assignment.update", "role_assignment.destroy",
		"team_membership.create", "team_membership.destroy",
	}}
	cl := call{
		name: "add_hook", op: "make an event webhook",
		method: http.MethodPost, route: integrationsRoute, body: map[string]newHook{"integration": body},
	}
	if h.URL == "" {
		return access.Hook{}, cl.fail(fault.Invalid, errors.New("no URL is named"))
	}
	var made integration
	_, err := c.do(ctx, u, cl, &made)
	switch {
	case err != nil:
		return access.Hook{}, err
	case made.ID == 0:
		return access.Hook{}, cl.garbled(errNoID)
	case cmp.Or(made.Type, eventWebhook) != eventWebhook:
		return access.Hook{}, cl.garbled(fmt.Errorf("integration %d, which Kisi made, is of type %s", made.ID, made.Type))
	}
	return access.Hook{ID: made.ID, URL: cmp.Or(made.URL, h.URL), Key: cmp.Or(made.Key, h.Key)}, nil
}

// DropHook deletes an event webhook. One that is gone is as good as dropped.
func (c *Client) DropHook(ctx context.Context, u access.Urgency, id int) error {
	cl := oneHook(http.MethodDelete, "drop_hook", "delete", id)
	if id <= 0 {
		return cl.fail(fault.Invalid, errors.New("no webhook is named"))
	}
	_, err := c.do(ctx, u, cl, nil)
	if fault.Is(err, fault.Missing) {
		return nil
	}
	return err
}

func oneHook(method, name, verb string, id int) call {
	return call{
		name: name, op: fmt.Sprintf("%s event webhook %d", verb, id), gone: true, method: method,
		route: integrationsRoute + "/{id}", path: integrationsRoute + "/" + strconv.Itoa(id),
	}
}
