package entra

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// People reads details by id, twenty a request; who was deleted comes back as
// gone. They are sorted by id, each once.
func (c *Client) People(ctx context.Context, ids []string) ([]access.Person, error) {
	ids, err := distinct("read people", ids)
	if err != nil {
		return nil, err
	}
	query := "?$select=" + strings.Join(personFields, ",")
	requests := make([]batchRequest, len(ids))
	for n, id := range ids {
		requests[n] = batchRequest{Method: http.MethodGet, URL: "/users/" + url.PathEscape(id) + query}
	}
	people := make([]access.Person, len(ids))
	err = c.inBatches(ctx, peopleCall, "read people", requests, func(n int, a batchAnswer) (err error) {
		people[n], err = a.person(ids[n])
		return err
	})
	if err != nil {
		return nil, err
	}
	return people, nil
}

// distinct sorts ids, each once. An empty one would ask about everybody.
func distinct(op string, ids []string) ([]string, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	if len(ids) > 0 && ids[0] == "" {
		return nil, fault.New(fault.Invalid, "graph: "+op, "an id is empty")
	}
	return ids, nil
}

// person reads the answer about one person. A 404 is taken for what it says,
// when Graph says it.
func (a batchAnswer) person(id string) (access.Person, error) {
	op := "graph: read person " + id
	err := a.refusal(peopleCall, op)
	switch {
	case fault.Is(err, fault.Missing):
		return access.Person{ID: id, Gone: true}, nil
	case err != nil:
		return access.Person{}, err
	}
	var u struct {
		ID      string `json:"id"`
		Name    string `json:"displayName"`
		UPN     string `json:"userPrincipalName"`
		Mail    string `json:"mail"`
		Enabled *bool  `json:"accountEnabled"`
		Type    string `json:"userType"`
	}
	if json.Unmarshal(a.Body, &u) != nil || !strings.EqualFold(u.ID, id) {
		return access.Person{}, fault.New(fault.Busy, op, "the batch answered with something else")
	}
	p := access.Person{
		ID: id, Name: u.Name, UPN: u.UPN, Mail: u.Mail,
		Disabled: u.Enabled != nil && !*u.Enabled, Guest: isGuest(u.Type),
	}
	return p, readable(p)
}

func isGuest(userType string) bool { return strings.EqualFold(userType, "Guest") }
