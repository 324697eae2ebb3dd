package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kisibridge/internal/access"
	"kisibridge/internal/bridge"
	"kisibridge/internal/fault"
	"kisibridge/internal/kisi"
	"kisibridge/internal/store"
)

// clouds open connections: those of the settings, and those that are stored.
// What was opened is kept until it changes.
type clouds struct {
	config    Config
	store     *store.Store
	sealer    *store.Sealer
	transport http.RoundTripper // to Kisi
	makeEntra func(c Config, tenant string, metrics prometheus.Registerer) (bridge.Entra, error)
	opts      Options
	registry  prometheus.Registerer
	started   time.Time

	mu    sync.Mutex // guards all below; never held across a call
	rev   string     // of the stored connections that list is of
	list  map[string]store.Connection
	entra map[string]bridge.Entra
	kisi  map[string]openKisi
}

// An openKisi is a client, and what tells whether its key still is the one.
type openKisi struct {
	client *kisi.Client
	print  string
}

func newClouds(o Options, s *store.Store, registry prometheus.Registerer) (*clouds, error) {
	c := &clouds{
		config: o.Config, store: s, makeEntra: o.Entra, opts: o, registry: registry, transport: o.KisiTransport, started: time.Now(),
		entra: map[string]bridge.Entra{}, kisi: map[string]openKisi{},
	}
	var err error
	if c.sealer, err = o.Config.Sealer(); err != nil {
		return nil, err
	}
	if c.transport == nil {
		if c.transport, err = o.Config.Transport(); err != nil {
			return nil, err
		}
	}
	if o.Config.TenantID != "" && o.Entra != nil {
		// At once, so that a wrong credential ends the start.
		if c.entra[o.Config.TenantID], err = o.Entra(o.Config, o.Config.TenantID, registry); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// connections lists what is connected: by the settings first, then as stored.
func (c *clouds) connections(ctx context.Context) (map[string]store.Connection, error) {
	rev, err := c.store.ConnectionsRev(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	list, fresh := c.list, c.list != nil && c.rev == rev
	c.mu.Unlock()
	if fresh {
		return list, nil
	}
	stored, err := c.store.Connections(ctx)
	if err != nil {
		return nil, err
	}
	list = map[string]store.Connection{}
	for _, s := range stored {
		list[s.ID] = s
	}
	for _, s := range c.config.connections() {
		s.Created = c.started
		list[s.ID] = s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list, c.rev = list, rev
	return list, nil
}

// Connections lists what is connected, by id.
func (c *clouds) Connections(ctx context.Context) ([]store.Connection, error) {
	list, err := c.connections(ctx)
	var all []store.Connection
	for _, s := range list {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b store.Connection) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return all, err
}

// Tenants lists the connected tenants.
func (c *clouds) Tenants(ctx context.Context) ([]string, error) {
	all, err := c.Connections(ctx)
	var tenants []string
	for _, s := range all {
		if s.Kind == store.EntraConnection && c.makeEntra != nil {
			tenants = append(tenants, s.ID)
		}
	}
	return tenants, err
}

// Entra gives the client of a connected tenant.
func (c *clouds) Entra(ctx context.Context, id string) (bridge.Entra, error) {
	list, err := c.connections(ctx)
	if err != nil {
		return nil, err
	}
	if list[id].Kind != store.EntraConnection || c.makeEntra == nil {
		return nil, bridge.NoConnection("entra", id)
	}
	return c.Tenant(id)
}

// Tenant gives the client of a tenant that may not be connected yet.
func (c *clouds) Tenant(id string) (bridge.Entra, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if there := c.entra[id]; there != nil {
		return there, nil
	}
	if c.makeEntra == nil {
		return nil, bridge.NoConnection("entra", id)
	}
	made, err := c.makeEntra(c.config, id, c.registry) // calls nobody
	if err == nil {
		c.entra[id] = made
	}
	return made, err
}

// Kisi gives the client of a connected organization, after its key was seen to
// open the organization that the ledger is of.
func (c *clouds) Kisi(ctx context.Context, id string) (bridge.Kisi, error) {
	list, err := c.connections(ctx)
	if err != nil {
		return nil, err
	}
	s := list[id]
	if s.Kind != store.KisiConnection {
		return nil, bridge.NoConnection("kisi", id)
	}
	key, err := c.key(s)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(key))
	print := hex.EncodeToString(sum[:])
	c.mu.Lock()
	there := c.kisi[id]
	c.mu.Unlock()
	if there.client != nil && there.print == print {
		return there.client, nil
	}
	client, who, err := c.Try(ctx, id, key)
	if err != nil {
		return nil, err
	}
	if err := c.store.Bind(ctx, id, who.Organization.ID); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kisi[id] = openKisi{client, print}
	return client, nil
}

// key is what opens a Kisi connection.
func (c *clouds) key(s store.Connection) (string, error) {
	if s.Settings {
		return string(c.config.KisiAPIKey), nil
	}
	return c.sealer.Open(s.ID, s.Sealed)
}

// Try makes a client of a key and asks whom it opens.
func (c *clouds) Try(ctx context.Context, id, key string) (*kisi.Client, kisi.Caller, error) {
	client, err := kisi.New(kisi.Options{
		URL: c.config.KisiURL, APIKey: key, Transport: c.transport,
		Limiter: c.store.Limiter(id, c.config.KisiRate), Version: c.opts.Version, Metrics: c.registry, Log: c.opts.Log,
	})
	if err != nil {
		return nil, kisi.Caller{}, err
	}
	who, err := client.Whoami(ctx, access.Allow)
	if err == nil && who.Organization.ID == 0 {
		err = fault.New(fault.Denied, "kisi connection "+id, "the key opens no organization")
	}
	return client, who, err
}

// Sealer is what seals stored keys.
func (c Config) Sealer() (*store.Sealer, error) {
	keys, err := sealKeys(string(c.SecretKey))
	if err != nil {
		return nil, err
	}
	return store.NewSealer(keys...)
}

// connections are those that the settings make.
func (c Config) connections() []store.Connection {
	var all []store.Connection
	if c.TenantID != "" {
		all = append(all, store.Connection{ID: c.TenantID, Kind: store.EntraConnection, Name: "AZURE_TENANT_ID", Settings: true})
	}
	if c.KisiAPIKey != "" {
		all = append(all, store.Connection{ID: KisiConnection, Kind: store.KisiConnection, Name: "KISI_API_KEY", Settings: true})
	}
	return all
}
