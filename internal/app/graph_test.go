package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
)

// A graphReader speaks to the stand-in for Graph in plain HTTP. The bridge's
// own client is built on the Graph SDK, which is kept out of -race runs; it is
// tested in internal/entra and, in whole, in cmd/kisibridge.
type graphReader struct {
	tenant string
	token  func() string
	client *http.Client
}

func newGraphReader(s *graphsim.Server, rt http.RoundTripper) *graphReader {
	return &graphReader{
		tenant: graphsim.DefaultTenant, token: s.Token,
		client: &http.Client{Transport: rt, Timeout: 30 * time.Second},
	}
}

const graphURL = "https://graph.example/v1.0"

// call makes a request and classifies what comes back.
func (g *graphReader) call(ctx context.Context, method, target string, in, out any) error {
	op := "graph: " + method + " " + target
	var body io.Reader = http.NoBody
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	if !strings.HasPrefix(target, "https://") {
		target = graphURL + target
	}
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+g.token())
	r.Header.Set("Content-Type", "application/json")
	answer, err := g.client.Do(r)
	if err != nil {
		return &fault.Error{Class: lostClass(method), Op: op, Err: err}
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return &fault.Error{Class: lostClass(method), Op: op, Err: err}
	}
	if answer.StatusCode >= 300 {
		return refused(op, answer.StatusCode, string(text))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

func lostClass(method string) fault.Class {
	if method == http.MethodGet || method == http.MethodDelete {
		return fault.Busy
	}
	return fault.Unknown
}

func refused(op string, status int, text string) error {
	switch {
	case status == http.StatusGone, strings.Contains(text, "syncStateNotFound"):
		return access.ErrResync
	case status == http.StatusNotFound:
		return fault.New(fault.Missing, op, "%s", text)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fault.New(fault.Denied, op, "%s", text)
	case status == http.StatusConflict:
		return fault.New(fault.Clash, op, "%s", text)
	case status == http.StatusBadRequest:
		return fault.New(fault.Invalid, op, "%s", text)
	}
	return &fault.Error{Class: fault.Busy, Op: op, Err: fmt.Errorf("status %d: %s", status, text), After: time.Second}
}

type graphObject struct {
	Type     string          `json:"@odata.type"`
	ID       string          `json:"id"`
	Name     *string         `json:"displayName"`
	UPN      *string         `json:"userPrincipalName"`
	Mail     *string         `json:"mail"`
	Enabled  *bool           `json:"accountEnabled"`
	UserType string          `json:"userType"`
	Removed  json.RawMessage `json:"@removed"`
	Members  []graphObject   `json:"members@delta"`
	Resource string          `json:"resource"`
	URL      string          `json:"notificationUrl"`
	Expires  time.Time       `json:"expirationDateTime"`
}

type graphPage struct {
	Next  string        `json:"@odata.nextLink"`
	Delta string        `json:"@odata.deltaLink"`
	Value []graphObject `json:"value"`
}

func (o graphObject) kind() string {
	switch o.Type {
	case "#microsoft.graph.user":
		return access.KindUser
	case "#microsoft.graph.group":
		return access.KindGroup
	}
	return access.KindOther
}

func (o graphObject) person() access.Person {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	return access.Person{
		ID: o.ID, Name: text(o.Name), UPN: text(o.UPN), Mail: text(o.Mail),
		Disabled: o.Enabled != nil && !*o.Enabled, Guest: o.UserType == "Guest",
	}
}

func (g *graphReader) pages(ctx context.Context, link string, visit func(graphObject)) (delta string, err error) {
	for link != "" {
		var p graphPage
		if err := g.call(ctx, http.MethodGet, link, nil, &p); err != nil {
			return "", err
		}
		for _, o := range p.Value {
			visit(o)
		}
		link, delta = p.Next, p.Delta
	}
	return delta, nil
}

func (g *graphReader) Changes(ctx context.Context, group, link string) (access.Changes, error) {
	c := access.Changes{Full: link == ""}
	if link == "" {
		link = "/groups/delta?$select=id,displayName,members&$filter=" + url.QueryEscape("id eq '"+group+"'")
	}
	joined, left, seen := map[string]string{}, map[string]bool{}, false
	var err error
	c.Link, err = g.pages(ctx, link, func(o graphObject) {
		if o.ID != group {
			return
		}
		seen = true
		if o.Removed != nil {
			var why struct{ Reason string }
			if json.Unmarshal(o.Removed, &why) == nil {
				c.Deleted = why.Reason
			}
		}
		if o.Name != nil {
			c.Name = *o.Name
		}
		for _, m := range o.Members {
			if m.Removed != nil {
				left[m.ID] = true
			} else {
				joined[m.ID] = m.kind()
			}
		}
	})
	if err != nil {
		return c, err
	}
	if c.Full && !seen {
		return c, fault.New(fault.Missing, "graph: delta of "+group, "no such group")
	}
	for id, kind := range joined {
		if left[id] {
			c.Unsure = true
			delete(left, id)
			continue
		}
		c.Joined = append(c.Joined, access.Member{ID: id, Kind: kind})
	}
	for id := range left {
		c.Left = append(c.Left, id)
	}
	slices.SortFunc(c.Joined, func(a, b access.Member) int { return strings.Compare(a.ID, b.ID) })
	slices.Sort(c.Left)
	return c, nil
}

const personFields = "$select=id,displayName,userPrincipalName,mail,accountEnabled,userType"

func (g *graphReader) Members(ctx context.Context, group string) (members []access.Member, people []access.Person, err error) {
	_, err = g.pages(ctx, "/groups/"+group+"/members?"+personFields+"&$top=999", func(o graphObject) {
		members = append(members, access.Member{ID: o.ID, Kind: o.kind()})
		if o.kind() == access.KindUser {
			people = append(people, o.person())
		}
	})
	return members, people, errors.Join(err, readable(people))
}

// readable says that people are hidden from us, who then have nothing but an
// id. That is a fault, and no lack of an address.
func readable(people []access.Person) error {
	for _, p := range people {
		if !p.Gone && p.Name+p.UPN+p.Mail == "" {
			return fault.New(fault.Denied, "graph: read person "+p.ID, "nothing is shown but the id")
		}
	}
	return nil
}

func (g *graphReader) People(ctx context.Context, ids []string) ([]access.Person, error) {
	var people []access.Person
	for _, id := range ids {
		var o graphObject
		err := g.call(ctx, http.MethodGet, "/users/"+id+"?"+personFields, nil, &o)
		switch {
		case fault.Is(err, fault.Missing):
			people = append(people, access.Person{ID: id, Gone: true})
		case err != nil:
			return nil, err
		default:
			people = append(people, o.person())
		}
	}
	return people, readable(people)
}

func (g *graphReader) Organization(ctx context.Context) (access.Tenant, error) {
	var page struct{ Value []graphObject }
	err := g.call(ctx, http.MethodGet, "/organization?$select=id,displayName", nil, &page)
	if err != nil || len(page.Value) != 1 {
		return access.Tenant{}, err
	}
	return access.Tenant{ID: page.Value[0].ID, Name: *page.Value[0].Name}, nil
}

func (g *graphReader) Living(ctx context.Context, people []string) (map[string]bool, error) {
	living := map[string]bool{}
	for some := range slices.Chunk(people, 1000) {
		var page struct{ Value []graphObject }
		in := map[string]any{"ids": some, "types": []string{"user"}}
		if err := g.call(ctx, http.MethodPost, "/directoryObjects/getByIds", in, &page); err != nil {
			return nil, err
		}
		for _, o := range page.Value {
			living[o.ID] = true
		}
	}
	return living, nil
}

func (g *graphReader) PeopleChanges(ctx context.Context, link string) (c access.PeopleChanges, err error) {
	if link == "" {
		link = "/users/delta?" + personFields + "&$deltatoken=latest"
	}
	seen := map[string]bool{}
	c.Link, err = g.pages(ctx, link, func(o graphObject) { seen[o.ID] = true })
	c.IDs = slices.Sorted(maps.Keys(seen))
	return c, err
}

func (g *graphReader) Belongs(ctx context.Context, people, groups []string) (map[string][]string, error) {
	all := map[string][]string{}
	for _, id := range people {
		all[id] = []string{}
		for some := range slices.Chunk(groups, 20) {
			var in struct{ Value []string }
			err := g.call(ctx, http.MethodPost, "/users/"+id+"/checkMemberGroups", map[string]any{"groupIds": some}, &in)
			if err != nil && !fault.Is(err, fault.Missing) {
				return nil, err
			}
			all[id] = append(all[id], in.Value...)
		}
		slices.Sort(all[id])
	}
	return all, nil
}

func (g *graphReader) Group(ctx context.Context, id string) (access.GroupInfo, error) {
	var o graphObject
	err := g.call(ctx, http.MethodGet, "/groups/"+id+"?$select=id,displayName", nil, &o)
	return access.GroupInfo{ID: o.ID, Name: o.person().Name}, err
}

// resourceOf names what is subscribed to: one group, or all of a tenant.
func resourceOf(group string) string {
	switch group {
	case access.AllGroups:
		return "groups"
	case access.AllUsers:
		return "users"
	}
	return "groups/" + group
}

func (g *graphReader) Subscribe(ctx context.Context, s access.Subscription) (access.Subscription, error) {
	var o graphObject
	err := g.call(ctx, http.MethodPost, "/subscriptions", map[string]any{
		"changeType": "updated,deleted", "resource": resourceOf(s.Group.ID), "clientState": s.ClientState,
		"notificationUrl": s.URL, "lifecycleNotificationUrl": s.URL + "/lifecycle", "expirationDateTime": s.Expires.UTC(),
	}, &o)
	s.ID, s.Expires = o.ID, o.Expires
	return s, err
}

func (g *graphReader) Renew(ctx context.Context, s access.Subscription) (access.Subscription, error) {
	var o graphObject
	err := g.call(ctx, http.MethodPatch, "/subscriptions/"+s.ID, map[string]any{"expirationDateTime": s.Expires.UTC()}, &o)
	s.Expires = o.Expires
	return s, err
}

func (g *graphReader) Unsubscribe(ctx context.Context, id string) error {
	err := g.call(ctx, http.MethodDelete, "/subscriptions/"+id, nil, nil)
	if fault.Is(err, fault.Missing) {
		return nil
	}
	return err
}

func (g *graphReader) Subscriptions(ctx context.Context) (all []access.Subscription, err error) {
	_, err = g.pages(ctx, "/subscriptions", func(o graphObject) {
		resource := strings.Trim(strings.ToLower(o.Resource), "/")
		_, id, _ := strings.Cut(resource, "groups/")
		for _, whole := range []string{access.AllGroups, access.AllUsers} {
			if resource == resourceOf(whole) {
				id = whole
			}
		}
		all = append(all, access.Subscription{
			ID: o.ID, Group: access.Group{Connection: g.tenant, ID: id}, URL: o.URL, Expires: o.Expires,
		})
	})
	return all, err
}
