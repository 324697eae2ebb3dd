package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
	"kisibridge/internal/bridge"
)

func (p *program) integrations() *cobra.Command {
	c := &cobra.Command{Use: "integrations", Short: "Show and change the integrations, through the Redis of serve"}
	c.AddCommand(p.addIntegration(), p.listIntegrations(),
		p.changeIntegration("pause", "Stop all writes, read on", (*bridge.Engine).Pause),
		p.changeIntegration("resume", "Apply what changed while it was paused", (*bridge.Engine).Resume),
		p.changeIntegration("approve", "Let the removals go that wait for a person", (*bridge.Engine).Approve),
		p.changeIntegration("delete", "Give back its grants, keep the people", (*bridge.Engine).Delete),
	)
	return c
}

// engine opens what serve works on. What it wakes, serve carries out.
func (p *program) engine(ctx context.Context) (*app.App, error) {
	c, err := p.config()
	if err != nil {
		return nil, err
	}
	return app.New(ctx, app.Options{
		Config: c, NoListen: true, Version: version, Log: app.NewLog(p.err, "error"),
	})
}

// with opens what serve works on, for as long as do takes.
func (p *program) with(ctx context.Context, do func(a *app.App) error) error {
	a, err := p.engine(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(a), a.Close())
}

func (p *program) addIntegration() *cobra.Command {
	var i access.Integration
	c := &cobra.Command{
		Use:     "add",
		Short:   "Fill a Kisi target from an Entra group, from now on",
		Example: `  kisibridge integrations add --name "HQ doors" --entra-group 2e58… --kisi-group 45`,
		Args:    cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&i.Name, "name", "", "what you call it")
	f.StringVar(&i.Group.ID, "entra-group", "", "object id of the Entra group")
	group := f.Int("kisi-group", 0, "number of the Kisi group to fill")
	team := f.Int("kisi-team", 0, "number of the Kisi team to fill")
	users := f.Bool("users-only", false, "import people, silently, and give no access")
	f.StringVar(&i.EmailProperty, "email-property", "", "userPrincipalName (default) or mail")
	f.StringVar(&i.ExistingAccess, "existing-access", "", "adopt (default) or preserve")
	f.StringVar(&i.DisabledAccounts, "disabled-accounts", "", "revoke (default) or keep")
	f.IntVar(&i.RemovalLimit.Count, "removal-count", 25, "hold more removals at once than this…")
	f.IntVar(&i.RemovalLimit.Percent, "removal-percent", 20, "…and than this share of the grants")
	notify := f.Bool("notify", true, "Kisi mails people to whom access is given")
	mails := f.Bool("send-emails", true, "people made in Kisi get its mails; decided for good when they are made")
	c.MarkFlagsMutuallyExclusive("kisi-group", "kisi-team", "users-only")
	c.MarkFlagsOneRequired("kisi-group", "kisi-team", "users-only")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		i.Quiet, i.Silent = !*notify, !*mails
		i.Target = access.Target{Connection: app.KisiConnection, Type: access.TargetGroup, ID: *group}
		if *team != 0 {
			i.Target.Type, i.Target.ID = access.TargetTeam, *team
		}
		if *users {
			i.Target.Type = access.TargetUsers
		}
		return p.add(cmd.Context(), i)
	}
	return c
}

func (p *program) add(ctx context.Context, i access.Integration) error {
	c, err := p.config()
	if err != nil {
		return err
	}
	i.Group.Connection = c.TenantID
	return p.with(ctx, func(a *app.App) error {
		made, err := a.Engine().Add(ctx, i)
		if err == nil {
			fmt.Fprintf(p.out, "%s  %s: group %s → %s\n", made.ID, made.Name, made.Group.ID, made.Target)
		}
		return err
	})
}

func (p *program) listIntegrations() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show the integrations at a glance",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd.Context(), func(a *app.App) error {
				all, err := a.Engine().Status(cmd.Context())
				if err != nil {
					return err
				}
				return p.table(all)
			})
		},
	}
}

func (p *program) table(all []bridge.Status) error {
	w := tabwriter.NewWriter(p.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSTATE\tMEMBERS\tHOLDERS\tREAD\tNOTIFIED\tWHY")
	for _, s := range all {
		i := s.Integration
		why := i.Why
		if n := len(s.Hold.People); n > 0 && !s.Hold.Approved {
			why = fmt.Sprintf("%d removals wait: %s (kisibridge integrations approve %s)", n, s.Hold.Why, i.ID)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", i.ID, i.Name, i.State, s.Members, s.Holders,
			ago(s.Group.Pulled), notified(s.Subscription), why)
	}
	return w.Flush()
}

func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return time.Since(t).Round(time.Second).String() + " ago"
}

func notified(s access.Subscription) string {
	switch {
	case s.Healthy(time.Now()):
		return "until " + s.Expires.Format(time.DateOnly)
	case s.Refused != "":
		return "refused, swept every minute"
	}
	return "not yet, swept"
}

func (p *program) changeIntegration(verb, short string, do func(*bridge.Engine, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " ID",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd.Context(), func(a *app.App) error { return do(a.Engine(), cmd.Context(), args[0]) })
		},
	}
}
