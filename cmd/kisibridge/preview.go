package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"kisibridge/api"
)

func (p *program) integrationsPreview() *cobra.Command {
	c := &cobra.Command{
		Use:   "preview [ID]",
		Short: "Show what an integration, or a change of one, would do; write nothing",
		Example: `  kisibridge integrations preview --entra-group 2e58… --kisi-group 45
  kisibridge integrations preview 01K5… --membership transitive`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: p.integrationIDs(),
	}
	between, rules := p.places(c), rulesOf(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		placed := cmd.Flags().Changed("entra-group")
		for _, t := range targets {
			placed = placed || cmd.Flags().Changed(t)
		}
		if placed == (len(args) == 1) {
			return misused("integrations preview: give the ID of an integration, or --entra-group and a target, as --kisi-group 45")
		}
		return p.over(func(ctx context.Context, r *remote, args []string) error {
			if len(args) == 1 {
				return r.previewChange(ctx, args[0], rules)
			}
			i, err := between(ctx, r)
			if err != nil {
				return err
			}
			i.Name = "preview" // a name can be found later
			if err := rules.create(&i); err != nil {
				return err
			}
			return r.preview(ctx, nil, i)
		})(cmd, args)
	}
	return c
}

// previewChange shows what an integration would do with other rules.
func (r *remote) previewChange(ctx context.Context, id string, rules rules) error {
	was, err := read[api.Integration](r.api.GetIntegration(ctx, id))
	if err != nil {
		return err
	}
	i, err := creation(was)
	if err != nil {
		return err
	}
	patch, _ := rules.patch(was.RemovalLimit)
	text, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &i); err != nil {
		return err
	}
	return r.preview(ctx, &api.PreviewIntegrationParams{Replaces: &id}, i)
}

// creation is how an integration would be made again: all of it that is not of
// the bridge's own knowing.
func creation(i api.Integration) (c api.IntegrationCreate, _ error) {
	text, err := json.Marshal(i)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(text, &c)
}

func (r *remote) preview(ctx context.Context, of *api.PreviewIntegrationParams, i api.IntegrationCreate) error {
	seen, err := read[api.Preview](r.api.PreviewIntegration(ctx, of, i))
	if err != nil {
		return err
	}
	return r.show(seen, func(w io.Writer) error { return writePreview(w, seen) })
}

func writePreview(w io.Writer, v api.Preview) error {
	for _, part := range []struct {
		what   string
		count  int
		people []api.PersonRef
	}{
		{"Would be granted", v.Counts.Add, v.Add},
		{"Have access already, which would be taken over", v.Counts.Adopt, v.Adopt},
		{"Have access already, which would be left alone", v.Counts.Preserve, v.Preserve},
		{"Would lose access", v.Counts.Remove, v.Remove},
		{"Would be skipped", v.Counts.Skip, nil},
	} {
		fmt.Fprintf(w, "%s: %d\n", part.what, part.count)
		for _, who := range part.people {
			fmt.Fprintln(w, "  "+somebody{Person: who.EntraUserID, Name: who.Name, Email: who.Email}.String())
		}
		if more := part.count - len(part.people); more > 0 && len(part.people) > 0 {
			fmt.Fprintf(w, "  … and %d more\n", more)
		}
	}
	for _, who := range v.Skip {
		fmt.Fprintln(w, "  "+somebody{Person: who.EntraUserID, Name: who.Name, Email: who.Email, Why: who.Why}.String())
	}
	if more := v.Counts.Skip - len(v.Skip); more > 0 {
		fmt.Fprintf(w, "  … and %d more\n", more)
	}
	if v.Held != "" {
		fmt.Fprintf(w, "The removals would wait for a person: %s\n", v.Held)
	}
	for _, warning := range v.Warnings {
		fmt.Fprintf(w, "Warning: %s\n", warning)
	}
	_, err := fmt.Fprintf(w, "Mails: %d. Calls to Kisi: %d at most, which take %s at the rate that is set. Nothing was written.\n",
		v.Mails, v.Calls, seconds(v.ETASeconds))
	return err
}
