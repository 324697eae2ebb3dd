package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"kisibridge/api"
)

func (p *program) integrations() *cobra.Command {
	return group("integrations", "Show and change the integrations",
		p.integrationsList(), p.integrationsGet(), p.integrationsCreate(), p.integrationsUpdate(), p.integrationsPreview(),
		p.integrationsPause(), p.integrationsSync(),
		p.begins("delete", "Give back its grants, keep the people", (*remote).deleteIntegration),
		p.begins("resume", "Apply what changed while it was paused, and go on", func(r *remote, ctx context.Context, id string) (*http.Response, error) {
			return r.api.ResumeIntegration(ctx, id, nil)
		}),
		p.begins("nod", "Let a staged import go on after its first batch", func(r *remote, ctx context.Context, id string) (*http.Response, error) {
			return r.api.NodIntegration(ctx, id, nil)
		}),
		p.hold(), p.approve(), p.dismiss(), p.people(), p.person(), p.drift(), p.runs(),
	)
}

// limited adds the flag that ends a list early.
func limited(c *cobra.Command) *int {
	return c.Flags().Int("limit", 0, "list so many at most; 0 lists all")
}

// one is a command about the integration of an id.
func (p *program) one(verb, short string) *cobra.Command {
	return &cobra.Command{Use: verb + " ID", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: p.integrationIDs()}
}

// begins is a command that begins a run of an integration.
func (p *program) begins(verb, short string, do func(r *remote, ctx context.Context, id string) (*http.Response, error)) *cobra.Command {
	c := p.one(verb, short)
	wait := waiting(c)
	c.RunE = p.over(func(ctx context.Context, r *remote, args []string) error {
		answer, err := do(r, ctx, args[0])
		return r.accepted(ctx, *wait, answer, err)
	})
	return c
}

func (r *remote) listIntegrations(ctx context.Context, limit int) ([]api.Integration, error) {
	return all[api.Integration](limit, func(size *int, cursor *string) (*http.Response, error) {
		return r.api.ListIntegrations(ctx, &api.ListIntegrationsParams{Limit: size, Cursor: cursor})
	})
}

func (p *program) integrationsList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "Show the integrations at a glance", Args: cobra.NoArgs}
	limit := limited(c)
	c.RunE = p.over(func(ctx context.Context, r *remote, _ []string) error {
		list, err := r.listIntegrations(ctx, *limit)
		if err != nil {
			return err
		}
		return r.show(list, tableOfIntegrations(list))
	})
	return c
}

func (p *program) integrationsGet() *cobra.Command {
	c := p.one("get", "Show all of an integration")
	c.RunE = p.over(func(ctx context.Context, r *remote, args []string) error {
		i, err := read[api.Integration](r.api.GetIntegration(ctx, args[0]))
		if err != nil {
			return err
		}
		return r.show(i, sheetOfIntegration(i).print)
	})
	return c
}

func (p *program) integrationsCreate() *cobra.Command {
	c := &cobra.Command{
		Use:     "create",
		Short:   "Fill a Kisi target from an Entra group, from now on",
		Example: `  kisibridge integrations create --name "HQ doors" --entra-group 2e58… --kisi-group 45`,
		Args:    cobra.NoArgs,
	}
	between, rules, wait := p.places(c), rulesOf(c), waiting(c)
	c.MarkFlagsOneRequired(targets...)
	_ = c.MarkFlagRequired("name")        // the flag is there
	_ = c.MarkFlagRequired("entra-group") // this one, too
	c.RunE = p.over(func(ctx context.Context, r *remote, _ []string) error {
		i, err := between(ctx, r)
		if err != nil {
			return err
		}
		if err := rules.create(&i); err != nil {
			return err
		}
		made, err := read[api.Integration](r.api.CreateIntegration(ctx, nil, i))
		if err == nil && *wait {
			err = r.firstRun(ctx, made.ID)
		}
		if err != nil {
			return err
		}
		return r.show(made, sheetOfIntegration(made).print)
	})
	return c
}

// looks is how often a new integration is asked for its first run.
const looks = 30

// firstRun waits for the first run of a new integration, and for its end.
func (r *remote) firstRun(ctx context.Context, id string) error {
	one := 1
	for range looks {
		got, err := read[page[api.Run]](r.api.ListRuns(ctx, id, &api.ListRunsParams{Limit: &one}))
		if err != nil {
			return err
		}
		if len(got.Items) > 0 {
			_, err := r.follow(ctx, got.Items[0])
			return err
		}
		if err := pause(ctx, glance); err != nil {
			return err
		}
	}
	return fmt.Errorf("integration %s is made, and no run of it has begun yet; see kisibridge integrations runs %s", id, id)
}

func (p *program) integrationsUpdate() *cobra.Command {
	c := p.one("update", "Change an integration; what no flag names stays")
	c.Example = "  kisibridge integrations update 01K5… --membership transitive --exclude ceo@contoso.example"
	rules := rulesOf(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if _, given := rules.patch(api.RemovalLimit{}); !given {
			return misused("integrations update %s: no flag says what to change; give one, as --first-batch 10", args[0])
		}
		return p.over(func(ctx context.Context, r *remote, args []string) error {
			was, etag, err := tagged[api.Integration](r.api.GetIntegration(ctx, args[0]))
			if err != nil {
				return err
			}
			patch, _ := rules.patch(was.RemovalLimit)
			i, err := read[api.Integration](r.api.UpdateIntegration(ctx, args[0], &api.UpdateIntegrationParams{IfMatch: match(etag)}, patch))
			if err != nil {
				return err
			}
			return r.show(i, sheetOfIntegration(i).print)
		})(cmd, args)
	}
	return c
}

// match is an If-Match of what was seen; nil where nothing was.
func match(etag string) *string {
	if etag == "" {
		return nil
	}
	return &etag
}

func (r *remote) deleteIntegration(ctx context.Context, id string) (*http.Response, error) {
	return r.api.DeleteIntegration(ctx, id, nil)
}

func (p *program) integrationsPause() *cobra.Command {
	c := p.one("pause", "Stop all writes, read on")
	c.RunE = p.over(func(ctx context.Context, r *remote, args []string) error {
		i, err := read[api.Integration](r.api.PauseIntegration(ctx, args[0], nil))
		if err != nil {
			return err
		}
		return r.show(i, tableOfIntegrations([]api.Integration{i}))
	})
	return c
}

func (p *program) integrationsSync() *cobra.Command {
	var scratch bool
	c := p.begins("sync", "Read the group and the target now, and bring everybody into line",
		func(r *remote, ctx context.Context, id string) (*http.Response, error) {
			return r.api.SyncIntegration(ctx, id, &api.SyncIntegrationParams{FromScratch: &scratch})
		})
	c.Flags().BoolVar(&scratch, "from-scratch", false, "read the whole group again, not only what changed")
	return c
}
