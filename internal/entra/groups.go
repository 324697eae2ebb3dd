package entra

import (
	"context"
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
	q := &groups.GroupsRequestBuilderGetQueryParameters{Select: []string{"id", "displayName"}, Top: ptr[int32](25)}
	conf := &groups.GroupsRequestBuilderGetRequestConfiguration{QueryParameters: q}
	if query = strings.ReplaceAll(strings.TrimSpace(query), `"`, ``); query != "" {
		q.Search, q.Count = new(`"displayName:`+query+`"`), new(true)
		conf.Headers = abstractions.NewRequestHeaders()
		conf.Headers.Add("ConsistencyLevel", "eventual") // Graph: $search needs it
	}
	page, err := call(ctx, c, groupsCall, "search groups", func(ctx context.Context) (models.GroupCollectionResponseable, error) {
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
