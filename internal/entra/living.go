package entra

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
)

const idsAtOnce = 1000 // Graph: directoryObject getByIds

// Living tells which of people are not deleted. A member list may go on to
// show somebody who was deleted softly, and what was deleted is not found by
// its id.
func (c *Client) Living(ctx context.Context, people []string) (map[string]bool, error) {
	living := make(map[string]bool, len(people))
	for some := range slices.Chunk(people, idsAtOnce) {
		page, err := call(ctx, c, livingCall, "which people are not deleted", func(ctx context.Context) (models.DirectoryObjectCollectionResponseable, error) {
			return c.byIDs(ctx, some)
		})
		if err != nil {
			return nil, err
		}
		for _, o := range page.GetValue() {
			living[deref(o.GetId())] = true
		}
	}
	return living, nil
}

func (c *Client) byIDs(ctx context.Context, ids []string) (models.DirectoryObjectCollectionResponseable, error) {
	body, err := json.Marshal(map[string]any{"ids": ids, "types": []string{"user"}})
	if err != nil {
		return nil, err
	}
	info := abstractions.NewRequestInformation()
	info.Method, info.UrlTemplate = abstractions.POST, "{+baseurl}/directoryObjects/getByIds"
	info.Headers.TryAdd("Accept", "application/json")
	info.SetStreamContentAndContentType(body, "application/json")
	page, err := c.adapter.Send(ctx, info, models.CreateDirectoryObjectCollectionResponseFromDiscriminatorValue, odataErrors())
	if err != nil {
		return nil, err
	}
	objects, ok := page.(models.DirectoryObjectCollectionResponseable)
	if !ok || objects.GetValue() == nil {
		return nil, errors.New("the answer holds no list")
	}
	return objects, nil
}
