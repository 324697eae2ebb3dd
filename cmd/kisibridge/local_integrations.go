package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
	"kisibridge/internal/bridge"
)

func (p *local) integrations() *cobra.Command {
	return group("integrations", "Show and change the integrations, through the Redis of serve",
		p.previewIntegration(), p.addIntegration(), p.updateIntegration(), p.listIntegrations(),
		p.people(), p.hold(), p.drift(), p.progress(), p.syncIntegration(),
		p.changeIntegration("pause", "Stop all writes, read on", (*bridge.Engine).Pause),
		p.changeIntegration("resume", "Apply what changed while it was paused", (*bridge.Engine).Resume),
		p.changeIntegration("approve", "Let the removals go that wait for a person", (*bridge.Engine).Approve),
		p.changeIntegration("dismiss", "Let the people keep their access whose removal waits", (*bridge.Engine).Dismiss),
		p.changeIntegration("nod", "Let a staged import go on after its first batch", (*bridge.Engine).Nod),
		p.changeIntegration("delete", "Give back its grants, keep the people", (*bridge.Engine).Delete),
	)
}

func (p *local) addIntegration() *cobra.Command {
	c := &cobra.Command{
		Use:     "add",
		Short:   "Fill a Kisi target from an Entra group, from now on",
		Example: `  kisibridge local integrations add --name "HQ doors" --entra-group 2e58… --kisi-group 45`,
		Args:    cobra.NoArgs,
	}
	between, choice := ends(c), choose(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		i, err := p.blank()
		if err != nil {
			return err
		}
		between(&i)
		choice.apply(&i)
		return p.with(cmd.Context(), func(ctx context.Context, a *app.App) error {
			made, err := a.Engine().Add(ctx, i)
			return p.shown(made, err)
		})
	}
	return c
}

// blank is an integration of the tenant that the settings name.
func (p *local) blank() (access.Integration, error) {
	c, err := p.config()
	return access.Integration{Group: access.Group{Connection: c.TenantID}}, err
}

func (p *local) shown(i access.Integration, err error) error {
	if err == nil {
		_, err = fmt.Fprintf(p.out, "%s  %s: group %s → %s\n", i.ID, i.Name, i.Group.ID, i.Target)
	}
	return err
}

func (p *local) updateIntegration() *cobra.Command {
	c := &cobra.Command{
		Use:     "update ID",
		Short:   "Change an integration; what no flag names stays",
		Example: "  kisibridge local integrations update 7k2m… --membership transitive --exclude ceo@contoso.example",
		Args:    cobra.ExactArgs(1),
	}
	choice := choose(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if !choice.given() {
			return misused("integrations update %s: no flag says what to change; give one, as --first-batch 10", args[0])
		}
		return p.with(cmd.Context(), func(ctx context.Context, a *app.App) error {
			changed, err := a.Engine().Update(ctx, args[0], choice.apply)
			return p.shown(changed, err)
		})
	}
	return c
}

func (p *local) changeIntegration(verb, short string, do func(*bridge.Engine, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " ID",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: p.act(func(ctx context.Context, a *app.App, args []string) error {
			return do(a.Engine(), ctx, args[0])
		}),
	}
}

func (p *local) syncIntegration() *cobra.Command {
	c := &cobra.Command{
		Use:   "sync ID",
		Short: "Read the group and the target now, and bring everybody into line",
		Args:  cobra.ExactArgs(1),
	}
	scratch := c.Flags().Bool("from-scratch", false, "read the whole group again, not only what changed")
	c.RunE = p.act(func(ctx context.Context, a *app.App, args []string) error {
		return a.Engine().Sync(ctx, args[0], *scratch)
	})
	return c
}
