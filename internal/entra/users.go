package entra

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	core "github.com/microsoftgraph/msgraph-sdk-go-core"
	"github.com/microsoftgraph/msgraph-sdk-go/groups"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// personFields are all that the bridge reads of a person.
var personFields = []string{"id", "displayName", "userPrincipalName", "mail", "accountEnabled"}

const (
	memberPage = 999 // Graph: list group members
	batchSize  = 20  // Graph: json-batching
	batchesOut = 4
)

// Members reads the member list itself, with the details of its people:
// plain, without a cast, which an index would answer that may be stale.
func (c *Client) Members(ctx context.Context, group string) ([]access.Member, []access.Person, error) {
	op := "members of group " + group
	page, err := call(ctx, c, membersCall, op, func(ctx context.Context) (models.DirectoryObjectCollectionResponseable, error) {
		return c.groups().ByGroupId(group).Members().Get(ctx, &groups.ItemMembersRequestBuilderGetRequestConfiguration{
			QueryParameters: &groups.ItemMembersRequestBuilderGetQueryParameters{Select: personFields, Top: ptr[int32](memberPage)},
		})
	})
	var members []access.Member
	var people []access.Person
	for n := 0; ; n++ {
		if err != nil {
			return nil, nil, err
		}
		for _, o := range page.GetValue() {
			m := access.Member{ID: deref(o.GetId()), Kind: memberKind(deref(o.GetOdataType()))}
			members = append(members, m)
			if u, ok := o.(models.Userable); ok && m.Kind == access.KindUser {
				p := access.Person{
					ID: m.ID, Name: deref(u.GetDisplayName()), UPN: deref(u.GetUserPrincipalName()), Mail: deref(u.GetMail()),
					Disabled: u.GetAccountEnabled() != nil && !*u.GetAccountEnabled(),
				}
				if err := readable(p); err != nil {
					return nil, nil, err
				}
				people = append(people, p)
			}
		}
		next := deref(page.GetOdataNextLink())
		if next == "" {
			return members, people, nil
		}
		if n == maxPages {
			return nil, nil, fault.New(fault.Busy, "graph: "+op, "Graph sent %d pages and no end", n)
		}
		page, err = call(ctx, c, membersCall, op, func(ctx context.Context) (models.DirectoryObjectCollectionResponseable, error) {
			return groups.NewItemMembersRequestBuilder(next, c.adapter).Get(ctx, nil)
		})
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

// People reads details by id, twenty a request; who was deleted comes back as
// gone. They are sorted by id.
func (c *Client) People(ctx context.Context, ids []string) ([]access.Person, error) {
	var (
		mu     sync.Mutex // guards people and errs
		people = make([]access.Person, 0, len(ids))
		errs   []error
		wg     sync.WaitGroup
		slots  = make(chan struct{}, batchesOut)
	)
	for chunk := range slices.Chunk(ids, batchSize) {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			some, err := c.batch(ctx, chunk)
			mu.Lock()
			defer mu.Unlock()
			people = append(people, some...)
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	if len(errs) > 0 {
		return nil, errs[0]
	}
	slices.SortFunc(people, func(a, b access.Person) int { return cmp.Compare(a.ID, b.ID) })
	return people, nil
}

// batch reads up to twenty people. Each has a status of its own; one that was
// not read is an error, never an absence.
func (c *Client) batch(ctx context.Context, ids []string) ([]access.Person, error) {
	const op = "read people"
	request := core.NewBatchRequest(c.adapter)
	names := map[string]string{} // item → person
	for _, id := range ids {
		info, err := c.users().ByUserId(id).ToGetRequestInformation(ctx, &users.UserItemRequestBuilderGetRequestConfiguration{
			QueryParameters: &users.UserItemRequestBuilderGetQueryParameters{Select: personFields},
		})
		if err != nil {
			return nil, fmt.Errorf("graph: %s: %w", op, err)
		}
		item, err := request.AddBatchRequestStep(*info)
		if err != nil {
			return nil, fmt.Errorf("graph: %s: %w", op, err)
		}
		names[deref(item.GetId())] = id
	}
	began := time.Now()
	answer, err := request.Send(ctx, c.adapter)
	err = classify(ctx, peopleCall, op, err)
	c.metrics.observe(peopleCall, time.Since(began), err)
	if err != nil {
		return nil, err
	}
	people := make([]access.Person, 0, len(ids))
	for item, id := range names {
		p, err := person(answer.GetResponseById(item), id)
		if err != nil {
			return nil, err
		}
		people = append(people, p)
	}
	return people, nil
}

// person reads one answer of a batch.
func person(item core.BatchItem, id string) (access.Person, error) {
	op := "read person " + id
	if item == nil {
		return access.Person{}, fault.New(fault.Busy, "graph: "+op, "the batch answered without it")
	}
	switch status := int(deref(item.GetStatus())); {
	case status == http.StatusNotFound:
		return access.Person{ID: id, Gone: true}, nil
	case status != http.StatusOK:
		e := refused(peopleCall, "graph: "+op, status, "", "in a batch", nil)
		if f, ok := errors.AsType[*fault.Error](e); ok && f.Class == fault.Busy {
			s, _ := strconv.Atoi(item.GetHeaders()["Retry-After"]) // 0 when Graph did not say
			f.After = time.Duration(s) * time.Second
		}
		return access.Person{}, e
	}
	body, err := json.Marshal(item.GetBody())
	if err != nil {
		return access.Person{}, fmt.Errorf("graph: %s: %w", op, err)
	}
	var u struct {
		Name    string `json:"displayName"`
		UPN     string `json:"userPrincipalName"`
		Mail    string `json:"mail"`
		Enabled *bool  `json:"accountEnabled"`
	}
	if err := json.Unmarshal(body, &u); err != nil {
		return access.Person{}, &fault.Error{Class: fault.Busy, Op: "graph: " + op, Err: err}
	}
	p := access.Person{ID: id, Name: u.Name, UPN: u.UPN, Mail: u.Mail, Disabled: u.Enabled != nil && !*u.Enabled}
	return p, readable(p)
}
