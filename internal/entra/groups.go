package entra

import (
	"context"
	"errors"
	"strings"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/groups"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
)

// A GroupInfo names an Entra group.
type GroupInfo struct {
	ID   string
	Name string
}

// Groups finds up to 25 groups by a word of their name; an empty query lists
// the first ones.
func (c *Client) Groups(ctx context.Context, query string) ([]GroupInfo, error) {
	q := &groups.GroupsRequestBuilderGetQueryParameters{Select: []string{"id", "displayName"}, Top: new(int32(25))}
	conf := &groups.GroupsRequestBuilderGetRequestConfiguration{QueryParameters: q}
	if query = strings.ReplaceAll(strings.TrimSpace(query), `"`, ``); query != "" {
		q.Search, q.Count = new(`"displayName:`+query+`"`), new(true)
		conf.Headers = abstractions.NewRequestHeaders()
		conf.Headers.Add("ConsistencyLevel", "eventual") // Graph: $search needs it
	}
	search := list[models.GroupCollectionResponseable, models.Groupable]{kind: groupsCall, op: "search groups"}
	page, err := search.ask(ctx, c, func(ctx context.Context) (models.GroupCollectionResponseable, error) {
		return c.groups().Get(ctx, conf)
	})
	if err != nil {
		return nil, err
	}
	var found []GroupInfo
	for _, g := range page.GetValue() {
		found = append(found, GroupInfo{deref(g.GetId()), deref(g.GetDisplayName())})
	}
	return found, nil
}

// Group reads one group: whether there is such a one, how Graph writes its id,
// and how it is called.
func (c *Client) Group(ctx context.Context, id string) (GroupInfo, error) {
	g, err := call(ctx, c, groupsCall, "read group "+id, func(ctx context.Context) (models.Groupable, error) {
		g, err := c.groups().ByGroupId(id).Get(ctx, &groups.GroupItemRequestBuilderGetRequestConfiguration{
			QueryParameters: &groups.GroupItemRequestBuilderGetQueryParameters{Select: []string{"id", "displayName"}},
		})
		if err == nil && (g == nil || deref(g.GetId()) == "") {
			err = errors.New("the answer holds no group")
		}
		return g, err
	})
	if err != nil {
		return GroupInfo{}, err
	}
	return GroupInfo{deref(g.GetId()), deref(g.GetDisplayName())}, nil
}
