package entra

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"

	abstractions "github.com/microsoft/kiota-abstractions-go"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// ConsentURL is where an admin of any tenant allows the app what it asks for.
// Microsoft sends the browser back to redirect with state.
func (o Options) ConsentURL(redirect, state string) (string, error) {
	graph, login, err := o.hosts()
	if err != nil {
		return "", err
	}
	if o.ClientID == "" {
		return "", fault.New(fault.Invalid, "AZURE_CLIENT_ID", "is not set, so that there is no app to consent to")
	}
	q := url.Values{
		"client_id": {o.ClientID}, "scope": {graph + "/.default"}, "redirect_uri": {redirect}, "state": {state},
	}
	return login + "/organizations/v2.0/adminconsent?" + q.Encode(), nil
}

// Organization tells whose tenant this is. What a browser says about that is
// never trusted: here a token of the tenant speaks.
func (c *Client) Organization(ctx context.Context) (access.Tenant, error) {
	return call(ctx, c, groupsCall, "read the organization", func(ctx context.Context) (access.Tenant, error) {
		info := abstractions.NewRequestInformation()
		info.Method, info.UrlTemplate = abstractions.GET, "{+baseurl}/organization?$select=id,displayName,verifiedDomains"
		info.Headers.TryAdd("Accept", "application/json")
		said, err := c.adapter.SendPrimitive(ctx, info, "[]byte", odataErrors())
		if err != nil {
			return access.Tenant{}, err
		}
		text, _ := said.([]byte)
		return organizationOf(text)
	})
}

func organizationOf(text []byte) (access.Tenant, error) {
	var answer struct {
		Value []struct {
			ID          string `json:"id"`
			DisplayName string `json:"displayName"`
			Domains     []struct {
				Name      string `json:"name"`
				IsDefault bool   `json:"isDefault"`
			} `json:"verifiedDomains"`
		} `json:"value"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return access.Tenant{}, err
	}
	if len(answer.Value) != 1 || answer.Value[0].ID == "" {
		return access.Tenant{}, errors.New("the answer names no organization")
	}
	o := answer.Value[0]
	t := access.Tenant{ID: o.ID, Name: o.DisplayName}
	for _, d := range o.Domains {
		if d.IsDefault {
			t.Domain = d.Name
		}
	}
	return t, nil
}
