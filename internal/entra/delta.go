package entra

import (
	"cmp"
	"context"
	"slices"

	"github.com/microsoftgraph/msgraph-sdk-go/groups"
	"github.com/microsoftgraph/msgraph-sdk-go/models"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// Changes returns what happened to group since link, or all of it when link is
// empty. Every page is followed: members of one group come on several, mixed
// with what else the stream tells.
func (c *Client) Changes(ctx context.Context, group, link string) (access.Changes, error) {
	op := "changes of group " + group
	round := &round{group: group, joined: map[string]string{}, left: map[string]bool{}}
	page, err := c.firstPage(ctx, op, group, link)
	for n := 0; ; n++ {
		if err != nil {
			return access.Changes{}, err
		}
		for _, g := range page.GetValue() {
			round.take(g)
		}
		next := deref(page.GetOdataNextLink())
		if next == "" {
			break
		}
		if n == maxPages {
			return access.Changes{}, fault.New(fault.Busy, "graph: "+op, "Graph sent %d pages and no end", n)
		}
		page, err = c.followPage(ctx, op, next)
	}
	changes := round.changes(link == "")
	changes.Link = deref(page.GetOdataDeltaLink())
	switch {
	case changes.Link == "":
		return changes, fault.New(fault.Busy, "graph: "+op, "the last page has no delta link")
	case changes.Full && !round.seen:
		return changes, &fault.Error{
			Class: fault.Missing, Op: "graph: " + op, Err: fault.New(fault.Missing, "group", "there is no such group"),
			Hint: "see the group's object id in the Entra admin center",
		}
	}
	return changes, nil
}

func (c *Client) firstPage(ctx context.Context, op, group, link string) (groups.DeltaGetResponseable, error) {
	if link != "" {
		return c.followPage(ctx, op, link)
	}
	q := &groups.DeltaRequestBuilderGetQueryParameters{
		Select: []string{"id", "displayName", "members"},
		Filter: new("id eq '" + group + "'"),
	}
	return call(ctx, c, deltaCall, op, func(ctx context.Context) (groups.DeltaGetResponseable, error) {
		return c.groups().Delta().GetAsDeltaGetResponse(ctx, &groups.DeltaRequestBuilderGetRequestConfiguration{QueryParameters: q})
	})
}

// followPage asks with a link, in which everything else is written already.
func (c *Client) followPage(ctx context.Context, op, link string) (groups.DeltaGetResponseable, error) {
	return call(ctx, c, deltaCall, op, func(ctx context.Context) (groups.DeltaGetResponseable, error) {
		return groups.NewDeltaRequestBuilder(link, c.adapter).GetAsDeltaGetResponse(ctx, nil)
	})
}

// A round gathers what the pages of one answer tell of one group.
type round struct {
	group   string
	seen    bool
	name    string
	deleted string
	joined  map[string]string // member → kind
	left    map[string]bool
}

func (r *round) take(g models.Groupable) {
	if deref(g.GetId()) != r.group {
		return
	}
	r.seen = true
	r.name = cmp.Or(deref(g.GetDisplayName()), r.name)
	extra := g.GetAdditionalData()
	if removed, ok := extra["@removed"]; ok {
		r.deleted = cmp.Or(reason(removed), "changed")
	}
	members, _ := extra["members@delta"].([]any) // absent: no change of membership
	for _, m := range members {
		fields, ok := m.(map[string]any)
		if !ok {
			continue
		}
		id := text(fields["id"])
		if _, gone := fields["@removed"]; gone {
			r.left[id] = true
		} else {
			r.joined[id] = memberKind(text(fields["@odata.type"]))
		}
	}
}

// changes sorts what was gathered. Whoever both joined and left in one answer
// is a question for the member list: order means nothing here.
func (r *round) changes(full bool) access.Changes {
	c := access.Changes{Full: full, Name: r.name, Deleted: r.deleted}
	for id, kind := range r.joined {
		if r.left[id] {
			c.Unsure = true
			delete(r.left, id)
			continue
		}
		c.Joined = append(c.Joined, access.Member{ID: id, Kind: kind})
	}
	for id := range r.left {
		c.Left = append(c.Left, id)
	}
	slices.SortFunc(c.Joined, func(a, b access.Member) int { return cmp.Compare(a.ID, b.ID) })
	slices.Sort(c.Left)
	return c
}

func memberKind(odataType string) string {
	switch odataType {
	case "#microsoft.graph.user":
		return access.KindUser
	case "#microsoft.graph.group":
		return access.KindGroup
	}
	return access.KindOther
}

// text reads a value of the SDK's untyped maps, where strings are pointers.
func text(v any) string {
	switch s := v.(type) {
	case *string:
		return deref(s)
	case string:
		return s
	}
	return ""
}

// reason is an object in delta, and a string in notifications.
func reason(v any) string {
	if fields, ok := v.(map[string]any); ok {
		return text(fields["reason"])
	}
	return text(v)
}
