package entra

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

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
	if link != "" && !c.ours(link) {
		return access.Changes{}, fmt.Errorf("graph: %s: the link is of another host than Graph has now: %w", op, access.ErrResync)
	}
	round := &round{group: group, joined: map[string]string{}, left: map[string]bool{}}
	last, err := c.delta(op, group, link).each(ctx, c, round.take)
	if err != nil {
		return access.Changes{}, err
	}
	changes := round.changes(link == "")
	changes.Link = deref(last.GetOdataDeltaLink())
	switch {
	case changes.Link == "":
		return access.Changes{}, fault.New(fault.Busy, "graph: "+op, "the last page has no delta link")
	case changes.Full && !round.seen:
		return access.Changes{}, &fault.Error{
			Class: fault.Missing, Op: "graph: " + op, Err: errors.New("there is no such group"),
			Hint: "see the group's object id in the Entra admin center",
		}
	}
	return changes, nil
}

// ours tells whether a saved link leads to where Graph is now. A host that the
// SDK does not know it calls without a token, which Graph answers as if the
// credential were wrong.
func (c *Client) ours(link string) bool {
	to, err := url.Parse(link)
	return err == nil && strings.EqualFold(to.Hostname(), c.host)
}

func (c *Client) delta(op, group, link string) list[groups.DeltaGetResponseable, models.Groupable] {
	follow := func(ctx context.Context, link string) (groups.DeltaGetResponseable, error) {
		return groups.NewDeltaRequestBuilder(link, c.adapter).GetAsDeltaGetResponse(ctx, nil)
	}
	first := func(ctx context.Context) (groups.DeltaGetResponseable, error) { return follow(ctx, link) }
	if link == "" {
		first = func(ctx context.Context) (groups.DeltaGetResponseable, error) {
			return c.groups().Delta().GetAsDeltaGetResponse(ctx, &groups.DeltaRequestBuilderGetRequestConfiguration{
				QueryParameters: &groups.DeltaRequestBuilderGetQueryParameters{
					Select: []string{"id", "displayName", "members"},
					Filter: new("id eq '" + strings.ReplaceAll(group, "'", "''") + "'"),
				},
			})
		}
	}
	return list[groups.DeltaGetResponseable, models.Groupable]{deltaCall, op, first, follow}
}

// A round gathers what the pages of one answer tell of one group.
type round struct {
	group   string
	seen    bool
	name    string
	deleted string
	unsure  bool
	joined  map[string]string // member → kind
	left    map[string]bool
}

func (r *round) take(g models.Groupable) error {
	if !strings.EqualFold(deref(g.GetId()), r.group) { // a person may have typed the id
		return nil
	}
	r.seen = true
	r.name = cmp.Or(deref(g.GetDisplayName()), r.name)
	extra := g.GetAdditionalData()
	if removed, ok := extra["@removed"]; ok {
		r.deleted = cmp.Or(reason(removed), "changed")
	}
	told := extra["members@delta"]
	members, ok := told.([]any)
	r.unsure = r.unsure || told != nil && !ok
	for _, m := range members {
		r.takeMember(m)
	}
	return nil
}

// takeMember asks for the member list where it cannot read who is meant.
func (r *round) takeMember(m any) {
	fields, _ := m.(map[string]any)
	id := text(fields["id"])
	_, gone := fields["@removed"]
	switch {
	case id == "":
		r.unsure = true
	case gone:
		r.left[id] = true
	default:
		r.joined[id] = memberKind(text(fields["@odata.type"]))
	}
}

// changes sorts what was gathered. Whoever both joined and left in one answer
// is a question for the member list: order means nothing here.
func (r *round) changes(full bool) access.Changes {
	c := access.Changes{Full: full, Name: r.name, Deleted: r.deleted, Unsure: r.unsure}
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
	switch strings.ToLower(odataType) {
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
