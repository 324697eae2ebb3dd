package main

import (
	"context"
	"time"

	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// unseal makes the connections that are missing, and sets keys that differ, in
// Redis: the API takes no sealed key.
func (i *importer) unseal(ctx context.Context, file []connectionEntry) error {
	c, err := i.config()
	if err != nil {
		return err
	}
	seal, err := c.Sealer()
	if err != nil {
		return err
	}
	return i.stored(ctx, func(s *store.Store) error {
		for _, e := range file {
			if !e.portable() || i.fixed[e.ID] {
				continue
			}
			if what, err := i.set(ctx, s, seal, e); what.Do != "" {
				i.note(what, err)
			}
		}
		return nil
	})
}

// set does so for one connection; it says nothing of one that matches.
func (i *importer) set(ctx context.Context, s *store.Store, seal *store.Sealer, e connectionEntry) (step, error) {
	id := e.ID
	if here, ok := i.ids[id]; ok {
		id = here
	}
	what := step{Do: "change", Kind: "connection", Name: e.Name, Fields: []string{"key"}}
	key, err := opened(seal, e.ID, e.Sealed)
	if err != nil {
		return what, err
	}
	was, err := s.Connection(ctx, id)
	switch {
	case fault.Is(err, fault.Missing):
		what.Do, what.Fields = "create", nil
	case err != nil:
		return what, err
	case was.Organization != 0 && e.Organization != 0 && was.Organization != e.Organization:
		return what, fault.New(fault.Clash, "set the key of "+e.Name, "the file has one of organization %d, the connection here is of %d", e.Organization, was.Organization)
	default:
		if old, err := opened(seal, id, was.Sealed); err == nil && old == key {
			return step{}, nil
		}
	}
	i.ids[e.ID] = id
	if i.dry {
		return what, nil
	}
	sealed := ""
	if key != "" {
		if sealed, err = seal.Seal(id, key); err != nil {
			return what, err
		}
	}
	if what.Do == "create" {
		return what, s.AddConnection(ctx, store.Connection{
			ID: id, Kind: string(e.Kind), Name: e.Name, Organization: e.Organization, Domain: e.Domain, Sealed: sealed, Created: time.Now().UTC(),
		})
	}
	_, err = s.ChangeConnection(ctx, id, func(c *store.Connection) bool {
		c.Sealed = sealed
		return true
	})
	return what, err
}

// opened is a key; none is none.
func opened(seal *store.Sealer, id, sealed string) (string, error) {
	if sealed == "" {
		return "", nil
	}
	return seal.Open(id, sealed)
}
