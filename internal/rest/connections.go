package rest

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kisibridge/api"
	"kisibridge/internal/access"
	"kisibridge/internal/auth"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// Connections is what the bridge is connected to, by its settings or by a
// person.
type Connections interface {
	Connections(ctx context.Context) ([]store.Connection, error)
	// AddKisi tries a key and stores it sealed.
	AddKisi(ctx context.Context, name, key string) (store.Connection, error)
	// Change takes what is not nil; Missing where there is none of that id.
	Change(ctx context.Context, id string, name, key *string) (store.Connection, error)
	// Remove gives a clash while integrations use it.
	Remove(ctx context.Context, id string) error
}

// Lookup asks the clouds.
type Lookup interface {
	// Check tries a connection; what is wrong is in its Trouble.
	Check(ctx context.Context, id string) (store.Connection, error)
	// Groups finds groups of either kind of connection; next is "" at the end.
	// A cursor may have been made up: it is to be checked before it is followed.
	Groups(ctx context.Context, id, search, cursor string) (page []access.GroupInfo, next string, err error)
	Teams(ctx context.Context, id, search string) ([]access.GroupInfo, error)
}

// Consent connects tenants.
type Consent interface {
	// Authorize gives the address at Microsoft where an admin consents; who
	// began is [auth.Caller.String].
	Authorize(ctx context.Context, who string) (address string, err error)
}

// consentLife is how long an address of Consent is good.
const consentLife = 10 * time.Minute

// connected is a connection with what else is shown of it.
type connected struct {
	store.Connection
	uses    []access.Integration
	watched bool
}

// connections reads all.
func (s *Server) connections(ctx context.Context) ([]connected, error) {
	all, err := s.Connections.Connections(ctx)
	if err != nil {
		return nil, err
	}
	rules, err := s.Store.Rules(ctx)
	if err != nil {
		return nil, err
	}
	hooked, err := s.Store.Hooked(ctx)
	if err != nil {
		return nil, err
	}
	at, list := map[string]int{}, make([]connected, len(all))
	for k, c := range all {
		at[c.ID], list[k] = k, connected{Connection: c, watched: hooked[c.ID]}
	}
	for _, i := range rules.All {
		for _, id := range []string{i.Group.Connection, i.Target.Connection} {
			if k, ok := at[id]; ok {
				list[k].uses = append(list[k].uses, i)
			}
		}
	}
	return list, nil
}

func (s *Server) connection(ctx context.Context, id string) (connected, error) {
	all, err := s.connections(ctx)
	if err != nil {
		return connected{}, err
	}
	for _, c := range all {
		if c.ID == id {
			return c, nil
		}
	}
	return connected{}, fault.New(fault.Missing, "connection "+id, "there is none of that id")
}

func (c connected) shown() api.Connection {
	shown := api.Connection{
		ID: c.ID, Kind: api.ConnectionKind(c.Kind), Name: c.Name, Integrations: len(c.uses),
		Watched: c.watched, FromSettings: c.Settings, CreatedAt: c.Created.UTC(),
	}
	name := c.Name
	if c.Settings && c.Domain != "" {
		name = c.Domain
	}
	switch {
	case c.Kind == store.EntraConnection:
		shown.Tenant = &api.Tenant{ID: c.ID, DisplayName: name}
	case c.Organization != 0:
		shown.Organization = &api.Organization{ID: c.Organization, Name: name, Domain: orNil(c.Domain)}
	}
	if !c.Checked.IsZero() {
		shown.Check = &api.Check{Ok: c.Trouble == "", At: c.Checked.UTC(), Detail: orNil(c.Trouble)}
	}
	return shown
}

// ListConnections lists connections by name.
func (s *Server) ListConnections(ctx context.Context, r api.ListConnectionsRequestObject) (api.ListConnectionsResponseObject, error) {
	all, err := s.connections(ctx)
	if err != nil {
		return nil, err
	}
	items, next, err := page(listOf(r.Params.Limit, r.Params.Cursor, "connections"), all, func(c connected) string { return byName(c.Name, c.ID) })
	if err != nil {
		return nil, err
	}
	return api.ListConnections200JSONResponse{Items: each(items, connected.shown), NextCursor: next}, nil
}

// GetConnection shows one.
func (s *Server) GetConnection(ctx context.Context, r api.GetConnectionRequestObject) (api.GetConnectionResponseObject, error) {
	c, err := s.connection(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetConnection200JSONResponse{Body: c.shown(), Headers: api.GetConnection200ResponseHeaders{ETag: etagOfConnection(c.Connection)}}, nil
}

// CreateConnection connects an organization.
func (s *Server) CreateConnection(ctx context.Context, r api.CreateConnectionRequestObject) (api.CreateConnectionResponseObject, error) {
	if r.Body.Kind != api.ConnectionKindKisi {
		return nil, wrong("kind", "an Entra connection is made by somebody who consents", "call POST /v1/connections/entra/authorize and open the address")
	}
	key := ""
	if r.Body.APIKey != nil {
		key = *r.Body.APIKey
	}
	made, err := s.Connections.AddKisi(ctx, r.Body.Name, key)
	if err != nil {
		return nil, err
	}
	return api.CreateConnection201JSONResponse{
		Body:    connected{Connection: made}.shown(),
		Headers: api.CreateConnection201ResponseHeaders{ETag: etagOfConnection(made), Location: "/v1/connections/" + made.ID},
	}, nil
}

// wrong refuses one field of a body.
func wrong(field, detail, hint string) error {
	return &refusal{
		status: http.StatusUnprocessableEntity, detail: field + ": " + detail, hint: hint,
		fields: []api.FieldProblem{{Field: field, Detail: detail, Hint: orNil(hint)}},
	}
}

// ours refuses what the settings made.
func (c connected) ours() error {
	if !c.Settings {
		return nil
	}
	return &refusal{status: http.StatusConflict, detail: "connection " + c.ID + " is made by the settings of the process", hint: "change it there, and restart"}
}

// UpdateConnection gives a connection another name or key.
func (s *Server) UpdateConnection(ctx context.Context, r api.UpdateConnectionRequestObject) (api.UpdateConnectionResponseObject, error) {
	c, err := s.connection(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	if err := c.ours(); err != nil {
		return nil, err
	}
	if err := matches(r.Params.IfMatch, etagOfConnection(c.Connection), "connection "+r.ID); err != nil {
		return nil, err
	}
	if c.Connection, err = s.Connections.Change(ctx, r.ID, r.Body.Name, r.Body.APIKey); err != nil {
		return nil, err
	}
	return api.UpdateConnection200JSONResponse{Body: c.shown(), Headers: api.UpdateConnection200ResponseHeaders{ETag: etagOfConnection(c.Connection)}}, nil
}

// DeleteConnection forgets one that nothing uses.
func (s *Server) DeleteConnection(ctx context.Context, r api.DeleteConnectionRequestObject) (api.DeleteConnectionResponseObject, error) {
	c, err := s.connection(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	if err := c.ours(); err != nil {
		return nil, err
	}
	if err := matches(r.Params.IfMatch, etagOfConnection(c.Connection), "connection "+r.ID); err != nil {
		return nil, err
	}
	if len(c.uses) > 0 {
		return nil, inUse(c)
	}
	if err := s.Connections.Remove(ctx, r.ID); err != nil {
		return nil, err
	}
	return api.DeleteConnection204Response{}, nil
}

// inUse lists the integrations that stand in the way.
func inUse(c connected) error {
	return &refusal{
		status: http.StatusConflict, detail: strconv.Itoa(len(c.uses)) + " integrations use connection " + c.ID,
		hint: "delete them first, or connect them elsewhere",
		fields: each(c.uses, func(i access.Integration) api.FieldProblem {
			return api.FieldProblem{Field: "integrations", Detail: i.ID + " (" + i.Name + ")"}
		}),
	}
}

// AuthorizeEntra begins to connect a tenant.
func (s *Server) AuthorizeEntra(ctx context.Context, _ api.AuthorizeEntraRequestObject) (api.AuthorizeEntraResponseObject, error) {
	caller, _ := auth.From(ctx)
	until := time.Now().Add(consentLife)
	address, err := s.Consent.Authorize(ctx, caller.String())
	if err != nil {
		return nil, err
	}
	return api.AuthorizeEntra200JSONResponse{AuthorizeURL: address, ExpiresAt: until.UTC()}, nil
}

// CheckConnection tries one now.
func (s *Server) CheckConnection(ctx context.Context, r api.CheckConnectionRequestObject) (api.CheckConnectionResponseObject, error) {
	c, err := s.connection(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	if c.Connection, err = s.Lookup.Check(ctx, r.ID); err != nil {
		return nil, err
	}
	return api.CheckConnection200JSONResponse{Body: c.shown(), Headers: api.CheckConnection200ResponseHeaders{ETag: etagOfConnection(c.Connection)}}, nil
}

// WatchConnection makes an event webhook in Kisi.
func (s *Server) WatchConnection(ctx context.Context, r api.WatchConnectionRequestObject) (api.WatchConnectionResponseObject, error) {
	c, err := s.organization(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	if _, err := s.Engine.WatchKisi(ctx, r.ID); err != nil {
		return nil, err
	}
	c.watched = true
	return api.WatchConnection200JSONResponse{Body: c.shown(), Headers: api.WatchConnection200ResponseHeaders{ETag: etagOfConnection(c.Connection)}}, nil
}

// UnwatchConnection takes it back.
func (s *Server) UnwatchConnection(ctx context.Context, r api.UnwatchConnectionRequestObject) (api.UnwatchConnectionResponseObject, error) {
	if _, err := s.organization(ctx, r.ID); err != nil {
		return nil, err
	}
	if err := s.Engine.UnwatchKisi(ctx, r.ID); err != nil {
		return nil, err
	}
	return api.UnwatchConnection204Response{}, nil
}

// organization reads a Kisi connection.
func (s *Server) organization(ctx context.Context, id string) (connected, error) {
	c, err := s.connection(ctx, id)
	if err == nil && c.Kind != store.KisiConnection {
		err = fault.New(fault.Invalid, "connection "+id, "it is a tenant; this needs an organization of Kisi's")
	}
	return c, err
}

// ListConnectionGroups finds groups.
func (s *Server) ListConnectionGroups(ctx context.Context, r api.ListConnectionGroupsRequestObject) (api.ListConnectionGroupsResponseObject, error) {
	if _, err := s.connection(ctx, r.ID); err != nil {
		return nil, err
	}
	search := text(r.Params.Search)
	l := listOf(r.Params.Limit, r.Params.Cursor, "groups", r.ID, search)
	items, next, err := s.places(l, func(cursor string) ([]access.GroupInfo, string, error) {
		return s.Lookup.Groups(ctx, r.ID, search, cursor)
	})
	if err != nil {
		return nil, err
	}
	return api.ListConnectionGroups200JSONResponse{Items: items, NextCursor: next}, nil
}

// ListConnectionTeams finds teams.
func (s *Server) ListConnectionTeams(ctx context.Context, r api.ListConnectionTeamsRequestObject) (api.ListConnectionTeamsResponseObject, error) {
	if _, err := s.organization(ctx, r.ID); err != nil {
		return nil, err
	}
	search := text(r.Params.Search)
	l := listOf(r.Params.Limit, r.Params.Cursor, "teams", r.ID, search)
	items, next, err := s.places(l, func(string) ([]access.GroupInfo, string, error) {
		all, err := s.Lookup.Teams(ctx, r.ID, search)
		return all, "", err
	})
	if err != nil {
		return nil, err
	}
	return api.ListConnectionTeams200JSONResponse{Items: items, NextCursor: next}, nil
}

// places cuts pages out of the pages of a cloud, which has sizes of its own. A
// cursor says how much of which was shown: "N CURSOR".
func (s *Server) places(l list, ask func(cursor string) ([]access.GroupInfo, string, error)) (items []api.Place, next string, err error) {
	after, err := l.after()
	if err != nil {
		return nil, "", err
	}
	shown, inner, _ := strings.Cut(after, " ")
	skip, _ := strconv.Atoi(shown) // "" is the beginning
	found, beyond, err := ask(inner)
	if err != nil {
		return nil, "", err
	}
	rest := found[min(max(skip, 0), len(found)):]
	switch {
	case len(rest) > l.limit:
		rest = rest[:l.limit]
		next = l.next(strconv.Itoa(skip+l.limit) + " " + inner)
	case beyond != "":
		next = l.next("0 " + beyond)
	}
	return each(rest, func(g access.GroupInfo) api.Place { return api.Place{ID: g.ID, Name: g.Name} }), next, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
