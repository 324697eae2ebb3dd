package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
	"kisibridge/internal/bridge"
	"kisibridge/internal/fault"
)

func (p *local) hold() *cobra.Command {
	return &cobra.Command{
		Use:   "hold ID",
		Short: "List the people whose removal waits",
		Args:  cobra.ExactArgs(1),
		RunE: p.act(func(ctx context.Context, a *app.App, args []string) error {
			i, err := a.Store().Integration(ctx, args[0])
			if err != nil {
				return err
			}
			v, err := a.Store().Verdicts(ctx, i.Target)
			if err != nil {
				return err
			}
			hold := v.Hold()
			if len(hold.People) == 0 {
				_, err := fmt.Fprintln(p.out, "No removal waits.")
				return err
			}
			fmt.Fprintf(p.out, "Removals that wait: %d, since %s: %s\n", len(hold.People), moment(hold.Since), hold.Why)
			if err := p.name(ctx, a.Engine(), i.ID, hold.People); err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.out, "Let them go: kisibridge local integrations approve %s. Let them stay: kisibridge local integrations dismiss %s.\n", i.ID, i.ID)
			return err
		}),
	}
}

// name prints people with what they are called, in the order of their ids.
func (p *local) name(ctx context.Context, e *bridge.Engine, id string, people []string) error {
	if len(people) == 0 {
		return nil
	}
	all, err := e.Explain(ctx, id, people...)
	if err != nil && !fault.Is(err, fault.Missing) {
		return err
	}
	known := map[string]bridge.Account{}
	for _, at := range all {
		known[at.Person.ID] = at
	}
	w := p.table("  PERSON", "NAME", "EMAIL")
	for _, who := range people {
		row(w, "  "+who, dash(known[who].Person.Name), address(known[who]))
	}
	return w.Flush()
}

func (p *local) drift() *cobra.Command {
	return &cobra.Command{
		Use:   "drift ID",
		Short: "Show what was changed by hand in Kisi",
		Args:  cobra.ExactArgs(1),
		RunE: p.act(func(ctx context.Context, a *app.App, args []string) error {
			i, err := a.Store().Integration(ctx, args[0])
			if err != nil {
				return err
			}
			return p.strays(ctx, a, i)
		}),
	}
}

// strays prints both directions of drift, and who is locked out.
func (p *local) strays(ctx context.Context, a *app.App, i access.Integration) error {
	d, err := a.Store().Drift(ctx, i.Target)
	switch {
	case err != nil:
		return err
	case d.At.IsZero():
		_, err := fmt.Fprintf(p.out, "%s was not compared yet (kisibridge local integrations sync %s)\n", i.Target, i.ID)
		return err
	}
	fmt.Fprintf(p.out, "%s, compared %s\n", i.Target, moment(d.At))
	if d.Cut != "" {
		fmt.Fprintf(p.out, "It was not compared whole: %s\n", d.Cut)
	}
	fmt.Fprintf(p.out, "Lost access by hand, which is put back: %d\n", len(d.Vanished))
	if err := p.name(ctx, a.Engine(), i.ID, d.Vanished); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "Were given access by hand, which is not touched: %d\n", len(d.Strangers)+d.More)
	for _, s := range d.Strangers {
		fmt.Fprintf(p.out, "  %s (Kisi user %d, row %d)\n", dash(s.Email), s.User, s.Row)
	}
	if d.More > 0 {
		fmt.Fprintf(p.out, "  … and %d more\n", d.More)
	}
	fmt.Fprintf(p.out, "Hold access, and are locked out in Kisi: %d\n", len(d.Locked))
	return p.name(ctx, a.Engine(), i.ID, d.Locked)
}

func (p *local) progress() *cobra.Command {
	return &cobra.Command{
		Use:   "progress ID",
		Short: "Say how much is still to be done, and how long that takes",
		Args:  cobra.ExactArgs(1),
		RunE: p.act(func(ctx context.Context, a *app.App, args []string) error {
			left, err := a.Engine().Progress(ctx, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(p.out, left)
			return err
		}),
	}
}
