package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kisibridge/api"
)

func (p *program) people() *cobra.Command {
	c := p.one("people", "Explain where people stand, since when, why, and what brought it about")
	state := c.Flags().String("state", "", "only people who are "+strings.Join(positions(), ", "))
	search := c.Flags().String("search", "", "only people whose name or address has this in it")
	limit := limited(c)
	_ = c.RegisterFlagCompletionFunc("state", oneOf(positions()...)) // the flag is there
	c.RunE = p.over(func(ctx context.Context, r *remote, args []string) error {
		only := api.ListPeopleParams{}
		if *state != "" {
			at := api.Position(*state)
			if !at.Valid() {
				return misused("--state: is %q; use one of %s", *state, strings.Join(positions(), ", "))
			}
			only.State = &at
		}
		if *search != "" {
			only.Search = search
		}
		list, err := all[api.Account](*limit, func(size *int, cursor *string) (*http.Response, error) {
			only.Limit, only.Cursor = size, cursor
			return r.api.ListPeople(ctx, args[0], &only)
		})
		if err != nil {
			return err
		}
		return r.show(list, tableOfPeople(list))
	})
	return c
}

func (p *program) person() *cobra.Command {
	c := p.one("person", "Show all that is known of one person")
	c.Use, c.Args = "person ID ENTRA_ID", cobra.ExactArgs(2)
	c.RunE = p.over(func(ctx context.Context, r *remote, args []string) error {
		if err := objectID(args[1]); err != nil {
			return err
		}
		a, err := read[api.Account](r.api.GetPerson(ctx, args[0], args[1]))
		if err != nil {
			return err
		}
		return r.show(a, sheetOfPerson(a).print)
	})
	return c
}

// objectID refuses what can move to somebody else.
func objectID(person string) error {
	if strings.Contains(person, "@") {
		return misused("%s: give the object id of the account in Entra; kisibridge integrations people ID --search %s finds it", person, person)
	}
	return nil
}

func (p *program) runs() *cobra.Command {
	c := p.one("runs", "List the passes over an integration, newest first")
	limit := c.Flags().Int("limit", 20, "list so many at most; 0 lists all")
	c.RunE = p.over(func(ctx context.Context, r *remote, args []string) error {
		list, err := all[api.Run](*limit, func(size *int, cursor *string) (*http.Response, error) {
			return r.api.ListRuns(ctx, args[0], &api.ListRunsParams{Limit: size, Cursor: cursor})
		})
		if err != nil {
			return err
		}
		return r.show(list, tableOfRuns(list...))
	})
	return c
}

func (p *program) drift() *cobra.Command {
	c := p.one("drift", "Show what was changed by hand in Kisi")
	c.RunE = p.over(func(ctx context.Context, r *remote, args []string) error {
		d, err := read[api.Drift](r.api.GetDrift(ctx, args[0]))
		if err != nil {
			return err
		}
		return r.show(d, func(w io.Writer) error { return writeDrift(w, args[0], d) })
	})
	return c
}

func writeDrift(w io.Writer, id string, d api.Drift) error {
	if d.At == nil {
		_, err := fmt.Fprintf(w, "It was not compared yet (kisibridge integrations sync %s)\n", id)
		return err
	}
	fmt.Fprintf(w, "Compared %s\n", moment(*d.At))
	if d.Incomplete != "" {
		fmt.Fprintf(w, "It was not compared whole: %s\n", d.Incomplete)
	}
	fmt.Fprintf(w, "Lost access by hand, which is put back: %d\n", len(d.Vanished))
	writePeople(w, d.Vanished)
	fmt.Fprintf(w, "Were given access by hand, which is not touched: %d\n", len(d.Strangers)+d.MoreStrangers)
	for _, s := range d.Strangers {
		fmt.Fprintf(w, "  %s (Kisi user %d, row %d)\n", dash(s.Email), s.KisiUserID, s.KisiRowID)
	}
	if d.MoreStrangers > 0 {
		fmt.Fprintf(w, "  … and %d more\n", d.MoreStrangers)
	}
	_, err := fmt.Fprintf(w, "Hold access, and are locked out in Kisi: %d\n", len(d.Locked))
	writePeople(w, d.Locked)
	return err
}

func writePeople(w io.Writer, people []api.PersonRef) {
	for _, who := range people {
		fmt.Fprintln(w, "  "+somebody{Person: who.EntraUserID, Name: who.Name, Email: who.Email}.String())
	}
}

func (p *program) syncPerson() *cobra.Command {
	c := &cobra.Command{
		Use:     "sync-person ENTRA_ID",
		Short:   "Read one person from scratch, and bring every target into line for them now",
		Example: "  kisibridge sync-person 9e0b1e00-22cc-4b1f-8e77-000000000017",
		Args:    cobra.ExactArgs(1),
	}
	entra := c.Flags().String("entra-connection", "", "id or name of the tenant; needed where there are several")
	_ = c.RegisterFlagCompletionFunc("entra-connection", p.connectionIDs(api.ConnectionKindEntra)) // the flag is there
	wait := waiting(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if err := objectID(args[0]); err != nil {
			return err
		}
		return p.over(func(ctx context.Context, r *remote, args []string) error {
			list, err := r.listConnections(ctx, 0)
			if err != nil {
				return err
			}
			tenant, err := choice(list, api.ConnectionKindEntra, *entra)
			if err != nil {
				return err
			}
			answer, err := r.api.SyncPerson(ctx, args[0], nil, api.PersonSync{EntraConnectionID: tenant.ID})
			return r.accepted(ctx, *wait, answer, err)
		})(cmd, args)
	}
	return c
}

// ofEvent is one event in a line for people.
func ofEvent(e api.Event) string {
	parts := []string{moment(e.At), fmt.Sprintf("%-22s", e.What)}
	who := cmp.Or(e.Email, e.Person)
	for _, part := range []string{who, e.Target, e.Cause, e.By, e.Why} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if e.Count > 0 {
		parts = append(parts, fmt.Sprint(e.Count))
	}
	if e.LagSeconds > 0 {
		parts = append(parts, time.Duration(e.LagSeconds*float64(time.Second)).Round(time.Millisecond).String())
	}
	return strings.Join(parts, "  ")
}
