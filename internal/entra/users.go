package entra

import (
	"context"
	"errors"

	"github.com/microsoftgraph/msgraph-sdk-go/groups"
	"github.com/microsoftgraph/msgraph-sdk-go/models"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// personFields are all that the bridge reads of a person.
var personFields = []string{"id", "displayName", "userPrincipalName", "mail", "accountEnabled", "userType"}

const memberPage = 999 // Graph: list group members

// Members reads the member list itself, with the details of its people:
// plain, without a cast, which an index would answer that may be stale.
func (c *Client) Members(ctx context.Context, group string) ([]access.Member, []access.Person, error) {
	var members []access.Member
	var people []access.Person
	_, err := c.memberList(group).each(ctx, c, func(o models.DirectoryObjectable) error {
		m := access.Member{ID: deref(o.GetId()), Kind: memberKind(deref(o.GetOdataType()))}
		members = append(members, m)
		u, ok := o.(models.Userable)
		if !ok || m.Kind != access.KindUser {
			return nil
		}
		p := access.Person{
			ID: m.ID, Name: deref(u.GetDisplayName()), UPN: deref(u.GetUserPrincipalName()), Mail: deref(u.GetMail()),
			Disabled: u.GetAccountEnabled() != nil && !*u.GetAccountEnabled(), Guest: isGuest(deref(u.GetUserType())),
		}
		people = append(people, p)
		return readable(p)
	})
	if err != nil {
		return nil, nil, err
	}
	return members, people, nil
}

func (c *Client) memberList(group string) list[models.DirectoryObjectCollectionResponseable, models.DirectoryObjectable] {
	return list[models.DirectoryObjectCollectionResponseable, models.DirectoryObjectable]{
		membersCall, "members of group " + group,
		func(ctx context.Context) (models.DirectoryObjectCollectionResponseable, error) {
			return c.groups().ByGroupId(group).Members().Get(ctx, &groups.ItemMembersRequestBuilderGetRequestConfiguration{
				QueryParameters: &groups.ItemMembersRequestBuilderGetQueryParameters{Select: personFields, Top: new(int32(memberPage))},
			})
		},
		func(ctx context.Context, link string) (models.DirectoryObjectCollectionResponseable, error) {
			return groups.NewItemMembersRequestBuilder(link, c.adapter).Get(ctx, nil)
		},
	}
}

// readable tells a person without an address from one whom we may not read:
// then everything but the id is null.
func readable(p access.Person) error {
	if p.Name != "" || p.UPN != "" || p.Mail != "" {
		return nil
	}
	return &fault.Error{
		Class: fault.Denied, Op: "graph: read person " + p.ID, Err: errors.New("nothing is shown but the id"),
		Hint: "grant User.Read.All with admin consent; it can take minutes to show",
	}
}
