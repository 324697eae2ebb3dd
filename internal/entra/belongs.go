package entra

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"kisibridge/internal/fault"
)

const checkSize = 20 // Graph: checkMemberGroups

// Belongs tells in which of groups each of people is, directly or through
// other groups. It asks about the people, so that it can bear out what Graph
// says of the groups, or not. Who is not found belongs to nothing; whoever
// could not be asked about is an error. The groups of a person are sorted.
//
// Graph leaves out groups whose members it hides from the app.
func (c *Client) Belongs(ctx context.Context, people, groups []string) (map[string][]string, error) {
	const op = "check memberships"
	people, err := distinct(op, people)
	if err != nil {
		return nil, err
	}
	if groups, err = distinct(op, groups); err != nil {
		return nil, err
	}
	checks := newChecks(people, groups)
	err = c.inBatches(ctx, belongsCall, op, requestsOf(checks), func(n int, a batchAnswer) error {
		return checks[n].take(a)
	})
	if err != nil {
		return nil, err
	}
	return belongings(people, checks), nil
}

// A check is the question in which of up to twenty groups a person is.
type check struct {
	person string
	groups []string
	in     []string // the answer
}

func newChecks(people, groups []string) []*check {
	var checks []*check
	for _, p := range people {
		for some := range slices.Chunk(groups, checkSize) {
			checks = append(checks, &check{person: p, groups: some})
		}
	}
	return checks
}

func requestsOf(checks []*check) []batchRequest {
	requests := make([]batchRequest, 0, len(checks))
	for _, k := range checks {
		requests = append(requests, batchRequest{
			Method: http.MethodPost, URL: "/users/" + url.PathEscape(k.person) + "/checkMemberGroups",
			Headers: map[string]string{"Content-Type": "application/json"},
			Body:    map[string]any{"groupIds": k.groups},
		})
	}
	return requests
}

// take reads the answer. An answer that cannot be read is no absence.
func (k *check) take(a batchAnswer) error {
	op := "graph: check memberships of " + k.person
	err := a.refusal(belongsCall, op)
	switch {
	case fault.Is(err, fault.Missing) && k.namesAGroup(err):
		return fault.New(fault.Busy, op, "it is not the person who was not found: %v", err)
	case fault.Is(err, fault.Missing):
		return nil
	case err != nil:
		return err
	}
	var said struct {
		Value []string `json:"value"`
	}
	if json.Unmarshal(a.Body, &said) != nil || said.Value == nil {
		return fault.New(fault.Busy, op, "the batch answered with something else")
	}
	k.in = nil
	for _, id := range said.Value {
		n := slices.IndexFunc(k.groups, func(g string) bool { return strings.EqualFold(g, id) })
		if n < 0 {
			return fault.New(fault.Busy, op, "the answer names group %s, which was not asked about", id)
		}
		k.in = append(k.in, k.groups[n])
	}
	return nil
}

// namesAGroup tells a group that is not there from a person who is not.
func (k *check) namesAGroup(err error) bool {
	e, ok := errors.AsType[*fault.Error](err)
	return ok && slices.ContainsFunc(k.groups, func(g string) bool { return strings.Contains(e.Err.Error(), g) })
}

// belongings puts the checks of a person together. Everybody has an entry.
func belongings(people []string, checks []*check) map[string][]string {
	all := make(map[string][]string, len(people))
	for _, p := range people {
		all[p] = []string{}
	}
	for _, k := range checks {
		all[k.person] = append(all[k.person], k.in...)
	}
	for _, in := range all {
		slices.Sort(in)
	}
	return all
}
