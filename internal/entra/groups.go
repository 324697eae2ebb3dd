package entra

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/groups"
	"github.com/microsoftgraph/msgraph-sdk-go/models"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

const groupPage = 25

// Groups finds groups by a word of their name, or all of them with an empty
// query, a page at a time. The first page has no cursor; next is the cursor of
// the page that follows, to be asked for with the same query, and is empty
// after the last.
func (c *Client) Groups(ctx context.Context, query, cursor string) (found []access.GroupInfo, next string, err error) {
	link, err := c.groupsLink(cursor)
	if err != nil {
		return nil, "", err
	}
	query = strings.ReplaceAll(strings.TrimSpace(query), `"`, ``) // a quote would end the search
	search := list[models.GroupCollectionResponseable, models.Groupable]{kind: groupsCall, op: "search groups"}
	answer, err := search.ask(ctx, c, func(ctx context.Context) (models.GroupCollectionResponseable, error) {
		if link != "" {
			return c.groups().WithUrl(link).Get(ctx, &groups.GroupsRequestBuilderGetRequestConfiguration{Headers: searching(query)})
		}
		return c.groups().Get(ctx, firstGroups(query))
	})
	if err != nil {
		return nil, "", err
	}
	for _, g := range answer.GetValue() {
		found = append(found, access.GroupInfo{ID: deref(g.GetId()), Name: deref(g.GetDisplayName())})
	}
	return found, base64.RawURLEncoding.EncodeToString([]byte(deref(answer.GetOdataNextLink()))), nil
}

func firstGroups(query string) *groups.GroupsRequestBuilderGetRequestConfiguration {
	q := &groups.GroupsRequestBuilderGetQueryParameters{Select: []string{"id", "displayName"}, Top: new(int32(groupPage))}
	if query != "" {
		q.Search, q.Count = new(`"displayName:`+query+`"`), new(true)
	}
	return &groups.GroupsRequestBuilderGetRequestConfiguration{Headers: searching(query), QueryParameters: q}
}

// searching are the headers of a search, on each of its pages (Graph: paging).
func searching(query string) *abstractions.RequestHeaders {
	if query == "" {
		return nil
	}
	h := abstractions.NewRequestHeaders()
	h.Add("ConsistencyLevel", "eventual")
	return h
}

// groupsLink reads a cursor. It comes from outside, so that it may lead to the
// list of groups and nowhere else.
func (c *Client) groupsLink(cursor string) (string, error) {
	link, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || cursor != "" && !c.listsGroups(string(link)) {
		return "", fault.New(fault.Invalid, "graph: search groups", "the cursor is not one of ours; begin with none")
	}
	return string(link), nil
}

func (c *Client) listsGroups(link string) bool {
	to, err := url.Parse(link)
	list, _ := url.Parse(c.base["baseurl"] + "/groups") // New parsed it
	return err == nil && to.Scheme == list.Scheme && to.User == nil && strings.EqualFold(to.Host, list.Host) && to.Path == list.Path
}

// Group reads one group: whether there is such a one, how Graph writes its id,
// and how it is called.
func (c *Client) Group(ctx context.Context, id string) (access.GroupInfo, error) {
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
		return access.GroupInfo{}, err
	}
	return access.GroupInfo{ID: deref(g.GetId()), Name: deref(g.GetDisplayName())}, nil
}
