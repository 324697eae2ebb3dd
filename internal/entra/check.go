package entra

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"kisibridge/internal/fault"
)

// Permissions are what a token of ours allows, and how far the clocks differ.
type Permissions struct {
	GroupMemberReadAll bool
	UserReadAll        bool
	GroupReadAll       bool
	Skew               time.Duration // the login host's clock minus ours
}

// Check gets a token and reads its roles. The token is not verified: what it
// says is told to a person, and trusted by nobody.
func (c *Client) Check(ctx context.Context) (Permissions, error) {
	var p Permissions
	token, err := c.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{c.scope}})
	if err != nil {
		return p, classify(ctx, groupsCall, "get a token", err)
	}
	roles := rolesOf(token.Token)
	p.GroupMemberReadAll = slices.Contains(roles, "GroupMember.Read.All")
	p.UserReadAll = slices.Contains(roles, "User.Read.All")
	p.GroupReadAll = slices.Contains(roles, "Group.Read.All")
	p.Skew, err = c.skew(ctx)
	return p, err
}

func rolesOf(token string) []string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ Roles []string }
	if err != nil || json.Unmarshal(body, &claims) != nil {
		return nil
	}
	return claims.Roles
}

// skew compares clocks by the Date of an answer.
func (c *Client) skew(ctx context.Context) (time.Duration, error) {
	const op = "graph: compare clocks"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.login+"/"+c.tenant+"/v2.0/.well-known/openid-configuration", http.NoBody)
	if err != nil {
		return 0, &fault.Error{Class: fault.Invalid, Op: op, Err: err}
	}
	asked := time.Now()
	answer, err := c.http.Do(r)
	if err != nil {
		return 0, &fault.Error{Class: fault.Busy, Op: op, Err: err}
	}
	defer answer.Body.Close()
	there, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return 0, nil // it does not say
	}
	return there.Sub(asked.Add(time.Since(asked) / 2).Truncate(time.Second)), nil
}

// ignoreMissing takes what is gone for done.
func ignoreMissing(err error) error {
	if fault.Is(err, fault.Missing) {
		return nil
	}
	return err
}
