package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// Connection reads one, of the settings or stored.
func (c *clouds) Connection(ctx context.Context, id string) (store.Connection, error) {
	list, err := c.connections(ctx)
	if err != nil {
		return store.Connection{}, err
	}
	s, ok := list[id]
	if !ok {
		return s, fault.New(fault.Missing, "connection "+id, "there is none of that id")
	}
	return s, nil
}

// AddKisi connects an organization by a key, which is tried first and sealed.
// An organization is connected once: two keys would share no rate limit.
func (c *clouds) AddKisi(ctx context.Context, name, key string) (store.Connection, error) {
	s := store.Connection{ID: ulid.Make().String(), Kind: store.KisiConnection, Name: name, Created: time.Now()}
	if strings.TrimSpace(key) == "" {
		return s, fault.New(fault.Invalid, "connection", "api_key: is empty; make a key in Kisi under My Account, API")
	}
	if err := c.learn(ctx, &s, key); err != nil {
		return s, err
	}
	list, err := c.Connections(ctx)
	if err != nil {
		return s, err
	}
	for _, other := range list {
		if other.Kind == store.KisiConnection && other.Organization == s.Organization && other.Organization != 0 {
			return s, fault.New(fault.Invalid, "connection", "api_key: opens organization %d, to which connection %s is there", s.Organization, other.ID)
		}
	}
	return s, c.store.AddConnection(ctx, s)
}

// learn tries a key, writes down whom it opens, and seals it.
func (c *clouds) learn(ctx context.Context, s *store.Connection, key string) error {
	_, who, err := c.Try(ctx, s.ID, key)
	if fault.Is(err, fault.Denied) {
		return &fault.Error{Class: fault.Invalid, Op: "connection", Err: fmt.Errorf("api_key: %w", err), Hint: fault.Hint(err)}
	}
	if err != nil {
		return err
	}
	if err := c.store.Bind(ctx, s.ID, who.Organization.ID); err != nil {
		return err
	}
	s.Organization, s.Domain, s.Checked, s.Trouble = who.Organization.ID, who.Organization.Domain, time.Now(), ""
	if s.Name == "" {
		s.Name = who.Organization.Name
	}
	s.Sealed, err = c.sealer.Seal(s.ID, key)
	return err
}

// Change gives a connection another name, or an organization another key.
func (c *clouds) Change(ctx context.Context, id string, name, key *string) (store.Connection, error) {
	s, err := c.Connection(ctx, id)
	if err != nil {
		return s, err
	}
	if s.Settings {
		return s, fault.New(fault.Invalid, "connection "+id, "it comes from the settings; change it there")
	}
	if key != nil && s.Kind != store.KisiConnection {
		return s, fault.New(fault.Invalid, "connection", "api_key: an Entra connection has none")
	}
	next := s
	if key != nil {
		if err := c.learn(ctx, &next, *key); err != nil {
			return s, err
		}
	}
	if name != nil {
		next.Name = *name
	}
	return c.store.ChangeConnection(ctx, id, func(there *store.Connection) bool {
		*there = next
		return true
	})
}

// Remove forgets a connection that no integration uses.
func (c *clouds) Remove(ctx context.Context, id string) error {
	s, err := c.Connection(ctx, id)
	if err != nil {
		return err
	}
	if s.Settings {
		return fault.New(fault.Invalid, "connection "+id, "it comes from the settings; take it away there")
	}
	rules, err := c.store.Rules(ctx)
	if err != nil {
		return err
	}
	var users []string
	for _, i := range rules.All {
		if i.Group.Connection == id || i.Target.Connection == id {
			users = append(users, i.ID)
		}
	}
	if len(users) > 0 {
		return fault.New(fault.Clash, "connection "+id, "integrations use it: %s", strings.Join(users, ", "))
	}
	return c.store.RemoveConnection(ctx, id)
}

// Check tries a connection now, and remembers what was found.
func (c *clouds) Check(ctx context.Context, id string) (store.Connection, error) {
	s, err := c.Connection(ctx, id)
	if err != nil {
		return s, err
	}
	trouble := ""
	if err := c.check(ctx, &s); err != nil {
		trouble = err.Error()
		if hint := fault.Hint(err); hint != "" {
			trouble += "; " + hint
		}
	}
	s.Checked, s.Trouble = time.Now(), trouble
	if s.Settings {
		return s, nil
	}
	return c.store.ChangeConnection(ctx, id, func(there *store.Connection) bool {
		there.Checked, there.Trouble, there.Domain = s.Checked, s.Trouble, s.Domain
		return true
	})
}

func (c *clouds) check(ctx context.Context, s *store.Connection) error {
	if s.Kind == store.EntraConnection {
		dir, err := c.Tenant(s.ID)
		if err != nil {
			return err
		}
		t, err := dir.Organization(ctx)
		s.Domain = t.Domain
		return err
	}
	key, err := c.key(*s)
	if err != nil {
		return err
	}
	_, who, err := c.Try(ctx, s.ID, key)
	if err != nil {
		return err
	}
	s.Organization, s.Domain = who.Organization.ID, who.Organization.Domain
	return c.store.Bind(ctx, s.ID, s.Organization)
}

// lookup is what a search for groups needs of Entra, beyond a bridge's work.
type lookup interface {
	Groups(ctx context.Context, query, cursor string) (page []access.GroupInfo, next string, err error)
}

// Groups finds groups of a tenant or of an organization.
func (c *clouds) Groups(ctx context.Context, id, search, cursor string) ([]access.GroupInfo, string, error) {
	s, err := c.Connection(ctx, id)
	if err != nil {
		return nil, "", err
	}
	if s.Kind == store.KisiConnection {
		found, err := c.places(ctx, id, access.TargetGroup, search)
		return found, "", err
	}
	dir, err := c.Tenant(id)
	if err != nil {
		return nil, "", err
	}
	look, ok := dir.(lookup)
	if !ok {
		return nil, "", fault.New(fault.Invalid, "connection "+id, "its groups cannot be searched")
	}
	return look.Groups(ctx, search, cursor)
}

// Teams finds the teams of an organization.
func (c *clouds) Teams(ctx context.Context, id, search string) ([]access.GroupInfo, error) {
	s, err := c.Connection(ctx, id)
	if err != nil {
		return nil, err
	}
	if s.Kind != store.KisiConnection {
		return nil, fault.New(fault.Invalid, "connection "+id, "a tenant has no teams; name a Kisi connection")
	}
	return c.places(ctx, id, access.TargetTeam, search)
}

func (c *clouds) places(ctx context.Context, id, kind, search string) ([]access.GroupInfo, error) {
	if _, err := c.Kisi(ctx, id); err != nil {
		return nil, err
	}
	c.mu.Lock()
	client := c.kisi[id].client
	c.mu.Unlock()
	list := client.Groups
	if kind == access.TargetTeam {
		list = client.Teams
	}
	found, err := list(ctx, access.Allow, search)
	all := make([]access.GroupInfo, len(found))
	for k, p := range found {
		all[k] = access.GroupInfo{ID: fmt.Sprint(p.ID), Name: p.Name}
	}
	return all, err
}

// Authorize begins to connect a tenant: whoever opens the address, and is an
// admin there, consents to the app.
func (c *clouds) Authorize(ctx context.Context, who string) (string, error) {
	if c.config.PublicURL == "" || c.opts.ConsentURL == nil {
		return "", &fault.Error{
			Class: fault.Invalid, Op: "authorize", Err: errors.New("there is no address to which Microsoft could send the browser back"),
			Hint: "set KISIBRIDGE_PUBLIC_URL",
		}
	}
	state := rand.Text() + rand.Text()
	address, err := c.opts.ConsentURL(c.config, c.config.ConsentURL(), state)
	if err != nil {
		return "", err
	}
	return address, c.store.SaveConsent(ctx, state, who)
}

// A Consent is what a browser brings back from Microsoft.
type Consent struct {
	State, Tenant, Error, Description string
}

// Finish connects the tenant that consented. The state is used once, and by
// whoever began; what the browser says of the tenant is believed only once a
// token of it was had.
func (c *clouds) Finish(ctx context.Context, back Consent, who func() (string, error)) (store.Connection, error) {
	began, err := c.store.TakeConsent(ctx, back.State)
	if err != nil {
		return store.Connection{}, err
	}
	if strings.HasPrefix(began, "person ") {
		if is, err := who(); err != nil || is != began {
			return store.Connection{}, fault.New(fault.Denied, "consent", "it was begun by somebody else; sign in and begin again")
		}
	}
	if back.Error != "" { // even beside admin_consent=True
		return store.Connection{}, fault.New(fault.Invalid, "consent", "Microsoft says %s: %s", back.Error, back.Description)
	}
	if !isTenant(back.Tenant) {
		return store.Connection{}, fault.New(fault.Invalid, "consent", "tenant: %q is no tenant's id", back.Tenant)
	}
	dir, err := c.Tenant(strings.ToLower(back.Tenant))
	if err != nil {
		return store.Connection{}, err
	}
	t, err := dir.Organization(ctx)
	if err != nil {
		return store.Connection{}, err
	}
	if !strings.EqualFold(t.ID, back.Tenant) {
		return store.Connection{}, fault.New(fault.Denied, "consent", "a token of tenant %s opens %s", back.Tenant, t.ID)
	}
	s := store.Connection{ID: strings.ToLower(t.ID), Kind: store.EntraConnection, Name: t.Name, Domain: t.Domain, Created: time.Now(), Checked: time.Now()}
	if list, err := c.Connections(ctx); err != nil || slices.ContainsFunc(list, func(o store.Connection) bool { return o.ID == s.ID }) {
		return s, err // consented anew, which new permissions need
	}
	return s, c.store.AddConnection(ctx, s)
}

// isTenant knows the form of a tenant's id.
func isTenant(s string) bool {
	if len(s) != 36 {
		return false
	}
	for k, r := range s {
		if dash := k == 8 || k == 13 || k == 18 || k == 23; dash != (r == '-') || !dash && !strings.ContainsRune("0123456789abcdefABCDEF", r) {
			return false
		}
	}
	return true
}
