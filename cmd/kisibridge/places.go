package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"kisibridge/api"
	"kisibridge/internal/fault"
)

// targets are the flags of which one says what is filled.
var targets = []string{"kisi-group", "kisi-team", "users-only"}

// places adds the flags that say which group fills which target. What comes
// back reads them; where there is one connection of a kind, it need not be named.
func (p *program) places(c *cobra.Command) func(ctx context.Context, r *remote) (api.IntegrationCreate, error) {
	f := c.Flags()
	entra := f.String("entra-connection", "", "id or name of the tenant; needed where there are several")
	kisi := f.String("kisi-connection", "", "id or name of the organization; needed where there are several")
	from := f.String("entra-group", "", "object id of the Entra group")
	doors := f.Int("kisi-group", 0, "number of the Kisi group to fill")
	team := f.Int("kisi-team", 0, "number of the Kisi team to fill")
	users := f.Bool("users-only", false, "import people, silently, and give no access")
	c.MarkFlagsMutuallyExclusive(targets...)
	_ = c.RegisterFlagCompletionFunc("entra-connection", p.connectionIDs(api.ConnectionKindEntra)) // the flag is there
	_ = c.RegisterFlagCompletionFunc("kisi-connection", p.connectionIDs(api.ConnectionKindKisi))   // this one, too
	return func(ctx context.Context, r *remote) (i api.IntegrationCreate, err error) {
		i = api.IntegrationCreate{EntraGroupID: *from, Target: api.Target{Type: api.TargetTypeGroup, ID: *doors}}
		if f.Changed("kisi-team") {
			i.Target = api.Target{Type: api.TargetTypeTeam, ID: *team}
		}
		if *users {
			i.Target = api.Target{Type: api.TargetTypeUsersOnly}
		}
		list, err := r.listConnections(ctx, 0)
		if err != nil {
			return i, err
		}
		tenant, err := choice(list, api.ConnectionKindEntra, *entra)
		if err != nil {
			return i, err
		}
		organization, err := choice(list, api.ConnectionKindKisi, *kisi)
		i.EntraConnectionID, i.KisiConnectionID = tenant.ID, organization.ID
		return i, err
	}
}

// choice finds the connection of a kind that is meant, by id or name; the only
// one if nothing was said.
func choice(list []api.Connection, kind api.ConnectionKind, said string) (api.Connection, error) {
	var fit []api.Connection
	for _, c := range list {
		switch {
		case c.Kind != kind:
		case said != "" && c.ID == said:
			return c, nil
		case said == "" || strings.EqualFold(c.Name, said):
			fit = append(fit, c)
		}
	}
	switch len(fit) {
	case 1:
		return fit[0], nil
	case 0:
		return api.Connection{}, &fault.Error{
			Class: fault.Missing, Op: strings.TrimSpace(fmt.Sprintf("find the %s connection %s", kind, said)),
			Err: fmt.Errorf("there is none"), Hint: "see kisibridge connections list",
		}
	}
	var ids []string
	for _, c := range fit {
		ids = append(ids, c.ID+" ("+c.Name+")")
	}
	return api.Connection{}, misused("which %s connection is meant? name one with --%s-connection: %s", kind, kind, strings.Join(ids, ", "))
}
