package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"kisibridge/api"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

func (p *program) keys() *cobra.Command {
	return group("keys", "Show and change the API keys; rotate the key that seals secrets",
		p.keysList(), p.keysCreate(), p.keysDelete(), p.keysRotate())
}

func tableOfKeys(list ...api.Key) *sheet {
	s := heads("ID", "NAME", "ROLE", "BEGINS", "MADE", "BY", "EXPIRES", "USED")
	for _, k := range list {
		s.add(k.ID, k.Name, k.Role, k.Prefix, moment(k.CreatedAt), dash(k.CreatedBy), when(k.ExpiresAt), when(k.LastUsedAt))
	}
	return s
}

func (r *remote) listKeys(ctx context.Context, limit int) ([]api.Key, error) {
	return all[api.Key](limit, func(size *int, cursor *string) (*http.Response, error) {
		return r.api.ListKeys(ctx, &api.ListKeysParams{Limit: size, Cursor: cursor})
	})
}

func (p *program) keysList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the API keys, without their secrets", Args: cobra.NoArgs}
	limit := limited(c)
	c.RunE = p.over(func(ctx context.Context, r *remote, _ []string) error {
		list, err := r.listKeys(ctx, *limit)
		if err != nil {
			return err
		}
		return r.show(list, tableOfKeys(list...).print)
	})
	return c
}

func (p *program) keysCreate() *cobra.Command {
	c := &cobra.Command{
		Use:     "create NAME",
		Short:   "Make an API key, and print its secret this once",
		Example: "  kisibridge keys create grafana --role viewer --expires-in 8760h",
		Args:    cobra.ExactArgs(1),
	}
	role := c.Flags().String("role", "", "viewer, operator or admin")
	life := c.Flags().Duration("expires-in", 0, "how long it is good, as 720h; 0: for ever")
	_ = c.MarkFlagRequired("role") // the flag is there
	_ = c.RegisterFlagCompletionFunc("role", oneOf("viewer", "operator", "admin"))
	c.RunE = func(cmd *cobra.Command, args []string) error {
		asked := api.KeyCreate{Name: args[0], Role: api.Role(*role)}
		switch {
		case !asked.Role.Valid():
			return misused("--role: is %q; use viewer, operator or admin", *role)
		case *life < 0:
			return misused("--expires-in: is %s; use a time to come, as 720h", *life)
		case *life > 0:
			end := time.Now().Add(*life).UTC().Truncate(time.Second)
			asked.ExpiresAt = &end
		}
		return p.over(func(ctx context.Context, r *remote, _ []string) error {
			made, err := read[api.KeyCreated](r.api.CreateKey(ctx, nil, asked))
			if err != nil {
				return err
			}
			return r.show(made, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "Shown this once: %s\n", made.Secret)
				return errors.Join(tableOfKeys(made.Key).print(w), err)
			})
		})(cmd, args)
	}
	return c
}

func (p *program) keysDelete() *cobra.Command {
	c := &cobra.Command{Use: "delete ID", Short: "Revoke an API key, at once", Args: cobra.ExactArgs(1)}
	c.ValidArgsFunction = p.ids(func(ctx context.Context, r *remote) (map[string]string, error) {
		names := map[string]string{}
		list, err := r.listKeys(ctx, 0)
		for _, k := range list {
			names[k.ID] = k.Name
		}
		return names, err
	})
	c.RunE = p.over(func(ctx context.Context, r *remote, args []string) error {
		return done(r.api.DeleteKey(ctx, args[0]))
	})
	return c
}

func (p *program) keysRotate() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Seal the stored keys of Kisi with the first key of KISIBRIDGE_SECRET_KEY",
		Long: `Seal the stored keys of Kisi with the first key of KISIBRIDGE_SECRET_KEY.

It works on the Redis of serve, with the settings of serve. To change the key:
put the new one before the old one, with a comma between, and start all of serve
so; run keys rotate; take the old one out, and start all of serve again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.config()
			if err != nil {
				return err
			}
			seal, err := c.Sealer()
			if err != nil {
				return err
			}
			return p.stored(cmd.Context(), func(s *store.Store) error { return p.rotate(cmd.Context(), s, seal) })
		},
	}
}

// rotate seals again what the first key did not seal. One that cannot be opened
// is told of, and the others are sealed all the same.
func (p *program) rotate(ctx context.Context, s *store.Store, seal *store.Sealer) error {
	list, err := s.Connections(ctx)
	if err != nil {
		return err
	}
	var again, fresh int
	var all []error
	for _, c := range list {
		switch {
		case c.Sealed == "":
		case seal.Fresh(c.Sealed):
			fresh++
		default:
			if err := reseal(ctx, s, seal, c.ID); err != nil {
				all = append(all, fmt.Errorf("connection %s (%s): %w", c.ID, c.Name, err))
				continue
			}
			again++
		}
	}
	_, err = fmt.Fprintf(p.out, "Sealed again: %d. Sealed with the first key already: %d. Cannot be opened: %d.\n", again, fresh, len(all))
	return errors.Join(append(all, err)...)
}

func reseal(ctx context.Context, s *store.Store, seal *store.Sealer, id string) error {
	var wrong error
	_, err := s.ChangeConnection(ctx, id, func(c *store.Connection) bool {
		if wrong = nil; c.Sealed == "" || seal.Fresh(c.Sealed) { // somebody else was faster
			return false
		}
		var key string
		if key, wrong = seal.Open(id, c.Sealed); wrong == nil {
			c.Sealed, wrong = seal.Seal(id, key)
		}
		return wrong == nil
	})
	if fault.Is(err, fault.Missing) {
		err = nil // deleted meanwhile
	}
	return errors.Join(wrong, err)
}
