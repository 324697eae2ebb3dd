package entra

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/models"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// PeopleChanges names the people who changed, were deleted or restored since
// link. An empty link asks for the link of now, and names nobody: the bridge
// reads the people it knows on its own.
func (c *Client) PeopleChanges(ctx context.Context, link string) (access.PeopleChanges, error) {
	const op = "changes of people"
	if link != "" && !c.ours(link) {
		return access.PeopleChanges{}, fmt.Errorf("graph: %s: the link is of another host than Graph has now: %w", op, access.ErrResync)
	}
	if link == "" {
		link = c.base["baseurl"] + "/users/delta?$select=" + strings.Join(personFields, ",") + "&$deltatoken=latest"
	}
	seen := map[string]bool{}
	last, err := c.usersDelta(op, link).each(ctx, c, func(o models.DirectoryObjectable) error {
		id := deref(o.GetId())
		if id == "" {
			return fault.New(fault.Busy, "graph: "+op, "somebody is told of without an id")
		}
		seen[id] = true
		return nil
	})
	if err != nil {
		return access.PeopleChanges{}, err
	}
	next := text(last.GetAdditionalData()["@odata.deltaLink"])
	if next == "" {
		return access.PeopleChanges{}, fault.New(fault.Busy, "graph: "+op, "the last page has no delta link")
	}
	return access.PeopleChanges{Link: next, IDs: slices.Sorted(maps.Keys(seen))}, nil
}

func (c *Client) usersDelta(op, link string) list[models.DirectoryObjectCollectionResponseable, models.DirectoryObjectable] {
	return list[models.DirectoryObjectCollectionResponseable, models.DirectoryObjectable]{
		usersDeltaCall, op,
		func(ctx context.Context) (models.DirectoryObjectCollectionResponseable, error) {
			return c.objects(ctx, link)
		},
		c.objects,
	}
}

// objects reads a page of anything. The SDK's own package for people would
// double the build, and has no parameter for $deltatoken.
func (c *Client) objects(ctx context.Context, link string) (models.DirectoryObjectCollectionResponseable, error) {
	to, err := url.Parse(link)
	if err != nil {
		return nil, err
	}
	info := abstractions.NewRequestInformation()
	info.Method = abstractions.GET
	info.SetUri(*to)
	info.Headers.TryAdd("Accept", "application/json")
	page, err := c.adapter.Send(ctx, info, models.CreateDirectoryObjectCollectionResponseFromDiscriminatorValue, odataErrors())
	if err != nil {
		return nil, err
	}
	objects, ok := page.(models.DirectoryObjectCollectionResponseable)
	if !ok {
		return nil, errors.New("the answer holds no list")
	}
	return objects, nil
}
