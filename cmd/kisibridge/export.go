package main

import (
	"cmp"
	"context"
	"slices"

	"github.com/spf13/cobra"

	"kisibridge/api"
	"kisibridge/internal/store"
)

// format is the version of the file that export writes.
const format = 1

// A configuration is all that a person decided, as one file.
type configuration struct {
	Format       int                     `json:"kisibridge"`
	Connections  []connectionEntry       `json:"connections"`
	Integrations []api.IntegrationCreate `json:"integrations"`
}

// A connectionEntry is a connection in a file.
type connectionEntry struct {
	ID           string             `json:"id"`
	Kind         api.ConnectionKind `json:"kind"`
	Name         string             `json:"name"`
	FromSettings bool               `json:"from_settings,omitempty"`
	Organization int                `json:"organization,omitempty"` // Kisi's number
	Domain       string             `json:"domain,omitempty"`
	Sealed       string             `json:"sealed,omitempty"` // Kisi's key, under KISIBRIDGE_SECRET_KEY
}

func (p *program) export() *cobra.Command {
	c := &cobra.Command{
		Use:   "export",
		Short: "Print connections and integrations as one YAML file, for import",
		Long: `Print connections and integrations as one YAML file, for import.

The API never gives a key of Kisi back. With --with-secrets they are read from
the Redis of serve, with the settings of serve, and are written as they are
stored: sealed under KISIBRIDGE_SECRET_KEY, and of no use without it.

What comes and goes is not in the file: API keys, who is in a group, and whether
an integration is paused.`,
		Example: "  kisibridge export > kisibridge.yaml",
		Args:    cobra.NoArgs,
	}
	secrets := c.Flags().Bool("with-secrets", false, "also the sealed keys of Kisi, from Redis")
	c.RunE = p.over(func(ctx context.Context, r *remote, _ []string) error {
		all, err := r.configuration(ctx)
		if err == nil && *secrets {
			err = p.stored(ctx, func(s *store.Store) error { return all.reveal(ctx, s) })
		}
		if err != nil {
			return err
		}
		if p.output == "table" {
			p.output = "yaml"
		}
		return p.show(all, nil)
	})
	return c
}

// configuration reads it through the API, in an order that stays when nothing
// changes.
func (r *remote) configuration(ctx context.Context) (*configuration, error) {
	all := &configuration{Format: format, Connections: []connectionEntry{}, Integrations: []api.IntegrationCreate{}}
	connections, err := r.listConnections(ctx, 0)
	if err != nil {
		return nil, err
	}
	for _, c := range connections {
		e := connectionEntry{ID: c.ID, Kind: c.Kind, Name: c.Name, FromSettings: c.FromSettings}
		if o := c.Organization; o != nil {
			e.Organization = o.ID
		}
		all.Connections = append(all.Connections, e)
	}
	integrations, err := r.listIntegrations(ctx, 0)
	if err != nil {
		return nil, err
	}
	for _, i := range integrations {
		if i.State == api.IntegrationStateDeleting {
			continue
		}
		made, err := creation(i)
		if err != nil {
			return nil, err
		}
		all.Integrations = append(all.Integrations, made)
	}
	slices.SortFunc(all.Connections, func(a, b connectionEntry) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(all.Integrations, func(a, b api.IntegrationCreate) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.EntraGroupID, b.EntraGroupID), cmp.Compare(targetOf(a.Target), targetOf(b.Target)))
	})
	return all, nil
}

// reveal adds the sealed keys, as they are stored.
func (all *configuration) reveal(ctx context.Context, s *store.Store) error {
	stored, err := s.Connections(ctx)
	for _, c := range stored {
		for k := range all.Connections {
			if e := &all.Connections[k]; e.ID == c.ID && !e.FromSettings {
				e.Sealed, e.Domain = c.Sealed, c.Domain
			}
		}
	}
	return err
}
