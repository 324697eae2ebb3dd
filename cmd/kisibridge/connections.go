package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"kisibridge/api"
)

func (p *program) connections() *cobra.Command {
	const entra, kisi = api.ConnectionKindEntra, api.ConnectionKindKisi
	return group("connections", "Show and change what the bridge is connected to",
		p.connectionsList(), p.connectionsGroups(), p.connectionsTeams(),
		p.addKisi(), p.authorize(), p.renameConnection(), p.rekeyConnection(), p.deleteConnection(), p.unwatch(),
		p.shows("get ID", "Show a connection", func(r *remote, ctx context.Context, id string) (*http.Response, error) {
			return r.api.GetConnection(ctx, id)
		}, entra, kisi),
		p.shows("check ID", "Try a connection now", func(r *remote, ctx context.Context, id string) (*http.Response, error) {
			return r.api.CheckConnection(ctx, id, nil)
		}, entra, kisi),
		p.shows("watch ID", "Let Kisi tell of changes by hand, so that they are seen within seconds",
			func(r *remote, ctx context.Context, id string) (*http.Response, error) {
				return r.api.WatchConnection(ctx, id, nil)
			}, kisi),
	)
}

// shows is a command whose answer is the connection of an id.
func (p *program) shows(use, short string, do func(r *remote, ctx context.Context, id string) (*http.Response, error), of ...api.ConnectionKind) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: p.connectionIDs(of...),
		RunE: p.over(func(ctx context.Context, r *remote, args []string) error {
			answer, err := do(r, ctx, args[0])
			return r.connection(answer, err)
		}),
	}
}

func (r *remote) connection(answer *http.Response, err error) error {
	c, err := read[api.Connection](answer, err)
	if err != nil {
		return err
	}
	return r.show(c, tableOfConnections(c))
}

func (r *remote) listConnections(ctx context.Context, limit int) ([]api.Connection, error) {
	return all[api.Connection](limit, func(size *int, cursor *string) (*http.Response, error) {
		return r.api.ListConnections(ctx, &api.ListConnectionsParams{Limit: size, Cursor: cursor})
	})
}

func (p *program) connectionsList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "Show the connections at a glance", Args: cobra.NoArgs}
	limit := limited(c)
	c.RunE = p.over(func(ctx context.Context, r *remote, _ []string) error {
		list, err := r.listConnections(ctx, *limit)
		if err != nil {
			return err
		}
		return r.show(list, tableOfConnections(list...))
	})
	return c
}

func tableOfConnections(list ...api.Connection) func(io.Writer) error {
	s := heads("ID", "KIND", "NAME", "OF", "INTEGRATIONS", "WATCHED", "CHECKED", "WHY")
	for _, c := range list {
		checked, why := "-", "-"
		if c.Check != nil {
			checked, why = moment(c.Check.At), text(c.Check.Detail)
			if c.Check.Hint != nil && *c.Check.Hint != "" {
				why += " (" + *c.Check.Hint + ")"
			}
		}
		s.add(c.ID, c.Kind, c.Name, ownerOf(c), c.Integrations, yes(c.Watched), checked, why)
	}
	return s.print
}

// ownerOf is whose tenant or organization it is.
func ownerOf(c api.Connection) string {
	switch {
	case c.Tenant != nil:
		return dash(c.Tenant.DisplayName)
	case c.Organization != nil:
		return dash(c.Organization.Name)
	}
	return "-"
}

// search is a command that looks places up in a connection.
func (p *program) search(use, short string, find func(r *remote, ctx context.Context, id string, search *string, size *int, cursor *string) (*http.Response, error)) *cobra.Command {
	c := &cobra.Command{Use: use + " ID", Short: short, Args: cobra.ExactArgs(1)}
	search := c.Flags().String("search", "", "only those whose name has this in it")
	limit := limited(c)
	c.RunE = p.over(func(ctx context.Context, r *remote, args []string) error {
		if *search == "" {
			search = nil
		}
		list, err := all[api.Place](*limit, func(size *int, cursor *string) (*http.Response, error) {
			return find(r, ctx, args[0], search, size, cursor)
		})
		if err != nil {
			return err
		}
		s := heads("ID", "NAME")
		for _, at := range list {
			s.add(at.ID, at.Name)
		}
		return r.show(list, s.print)
	})
	return c
}

func (p *program) connectionsGroups() *cobra.Command {
	c := p.search("groups", "Look groups up, of Entra or of Kisi",
		func(r *remote, ctx context.Context, id string, search *string, size *int, cursor *string) (*http.Response, error) {
			return r.api.ListConnectionGroups(ctx, id, &api.ListConnectionGroupsParams{Search: search, Limit: size, Cursor: cursor})
		})
	c.ValidArgsFunction = p.connectionIDs(api.ConnectionKindEntra, api.ConnectionKindKisi)
	return c
}

func (p *program) connectionsTeams() *cobra.Command {
	c := p.search("teams", "Look the teams of Kisi up",
		func(r *remote, ctx context.Context, id string, search *string, size *int, cursor *string) (*http.Response, error) {
			return r.api.ListConnectionTeams(ctx, id, &api.ListConnectionTeamsParams{Search: search, Limit: size, Cursor: cursor})
		})
	c.ValidArgsFunction = p.connectionIDs(api.ConnectionKindKisi)
	return c
}

// secret adds the flag that says where a key of Kisi stands: never in an
// argument, which other users of the machine can see.
func (p *program) secret(c *cobra.Command) func() (string, error) {
	file := c.Flags().String("api-key-file", "-", "file with the API key of Kisi; - is standard input")
	return func() (string, error) {
		from := p.in
		if *file != "-" {
			f, err := os.Open(*file)
			if err != nil {
				return "", misused("--api-key-file: %w", err)
			}
			defer f.Close()
			from = f
		} else if isTerminal(p.err) {
			fmt.Fprintln(p.err, "API key of Kisi, then Enter and Ctrl-D:")
		}
		key, err := io.ReadAll(io.LimitReader(from, 1000)) // twice as long as any
		if err == nil && len(strings.TrimSpace(string(key))) == 0 {
			err = misused("--api-key-file %s: there is no key in it", *file)
		}
		return strings.TrimSpace(string(key)), err
	}
}

func (p *program) addKisi() *cobra.Command {
	c := &cobra.Command{
		Use:     "add-kisi NAME",
		Short:   "Connect an organization of Kisi",
		Example: "  kisibridge connections add-kisi Contoso --api-key-file key.txt",
		Args:    cobra.ExactArgs(1),
	}
	secret := p.secret(c)
	c.RunE = p.over(func(ctx context.Context, r *remote, args []string) error {
		key, err := secret()
		if err != nil {
			return err
		}
		return r.connection(r.api.CreateConnection(ctx, nil, api.ConnectionCreate{Kind: api.ConnectionKindKisi, Name: args[0], APIKey: &key}))
	})
	return c
}

func (p *program) authorize() *cobra.Command {
	c := &cobra.Command{Use: "authorize", Short: "Connect a tenant of Entra: print the link for an administrator's browser", Args: cobra.NoArgs}
	name := c.Flags().String("name", "", "what you call it")
	c.RunE = p.over(func(ctx context.Context, r *remote, _ []string) error {
		asked := api.AuthorizationRequest{}
		if *name != "" {
			asked.Name = name
		}
		a, err := read[api.Authorization](r.api.AuthorizeEntra(ctx, nil, asked))
		if err != nil {
			return err
		}
		return r.show(a, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%s\nOpen it once, until %s.\n", a.AuthorizeURL, moment(a.ExpiresAt))
			return err
		})
	})
	return c
}

// change is a command that changes a connection as it was seen.
func (r *remote) change(ctx context.Context, id string, patch api.ConnectionPatch) error {
	_, etag, err := tagged[api.Connection](r.api.GetConnection(ctx, id))
	if err != nil {
		return err
	}
	return r.connection(r.api.UpdateConnection(ctx, id, &api.UpdateConnectionParams{IfMatch: match(etag)}, patch))
}

func (p *program) renameConnection() *cobra.Command {
	return &cobra.Command{
		Use: "rename ID NAME", Short: "Call a connection something else", Args: cobra.ExactArgs(2),
		ValidArgsFunction: p.connectionIDs(api.ConnectionKindEntra, api.ConnectionKindKisi),
		RunE: p.over(func(ctx context.Context, r *remote, args []string) error {
			return r.change(ctx, args[0], api.ConnectionPatch{Name: &args[1]})
		}),
	}
}

func (p *program) rekeyConnection() *cobra.Command {
	c := &cobra.Command{
		Use: "set-key ID", Short: "Give a connection another key of the same organization", Args: cobra.ExactArgs(1),
		ValidArgsFunction: p.connectionIDs(api.ConnectionKindKisi),
	}
	secret := p.secret(c)
	c.RunE = p.over(func(ctx context.Context, r *remote, args []string) error {
		key, err := secret()
		if err != nil {
			return err
		}
		return r.change(ctx, args[0], api.ConnectionPatch{APIKey: &key})
	})
	return c
}

func (p *program) deleteConnection() *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: "Forget a connection that no integration uses", Args: cobra.ExactArgs(1),
		ValidArgsFunction: p.connectionIDs(api.ConnectionKindEntra, api.ConnectionKindKisi),
		RunE: p.over(func(ctx context.Context, r *remote, args []string) error {
			return done(r.api.DeleteConnection(ctx, args[0], nil))
		}),
	}
}

func (p *program) unwatch() *cobra.Command {
	return &cobra.Command{
		Use: "unwatch ID", Short: "Take Kisi's event webhook back; the sweep finds changes by hand", Args: cobra.ExactArgs(1),
		ValidArgsFunction: p.connectionIDs(api.ConnectionKindKisi),
		RunE: p.over(func(ctx context.Context, r *remote, args []string) error {
			return done(r.api.UnwatchConnection(ctx, args[0]))
		}),
	}
}
