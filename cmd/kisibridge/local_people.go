package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
	"kisibridge/internal/bridge"
	"kisibridge/internal/fault"
)

// positions are the states that --state knows.
func positions() []string {
	return []string{
		access.Granted, access.Pending, access.Moving, access.Skipped, access.RefusedBy, access.LeftAlone,
		access.OffLimits, access.Leaving, access.Waiting, access.Remaining, access.Nothing,
	}
}

func (p *local) people() *cobra.Command {
	c := &cobra.Command{
		Use:   "people ID [PERSON]",
		Short: "Explain where people stand, since when, why, and what brought it about",
		Long:  "Explain where people stand in an integration, since when, why, and what brought it about.\nPERSON is an Entra object id or an email.",
		Args:  cobra.RangeArgs(1, 2),
	}
	only := c.Flags().String("state", "", "only people who are "+strings.Join(positions(), ", "))
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if *only != "" && !slices.Contains(positions(), *only) {
			return misused("--state %q: use one of %s", *only, strings.Join(positions(), ", "))
		}
		return p.with(cmd.Context(), func(ctx context.Context, a *app.App) error {
			all, err := explain(ctx, a.Engine(), args[0], args[1:]...)
			if err != nil {
				return err
			}
			all = slices.DeleteFunc(all, func(at bridge.Account) bool { return *only != "" && at.State != *only })
			if len(args) == 2 && len(all) == 1 {
				return p.account(all[0])
			}
			return p.accounts(all)
		})
	}
	return c
}

// explain also finds a person by email.
func explain(ctx context.Context, e *bridge.Engine, id string, person ...string) ([]bridge.Account, error) {
	if len(person) == 0 || !strings.Contains(person[0], "@") {
		return e.Explain(ctx, id, person...)
	}
	all, err := e.Explain(ctx, id)
	all = slices.DeleteFunc(all, func(at bridge.Account) bool {
		return !access.SameEmail(person[0], at.Person.UPN) && !access.SameEmail(person[0], at.Person.Mail) && !access.SameEmail(person[0], at.Grant.Email)
	})
	if err == nil && len(all) == 0 {
		err = fault.New(fault.Missing, "person "+person[0], "is not known in integration %s", id)
	}
	return all, err
}

func (p *local) accounts(all []bridge.Account) error {
	w := p.table("PERSON", "NAME", "EMAIL", "STATE", "SINCE", "TRIGGER", "WHY")
	for _, at := range all {
		row(w, at.Person.ID, at.Person.Name, address(at), stands(at), moment(at.Since), dash(at.Trigger), dash(reason(at)))
	}
	return w.Flush()
}

// account shows all that is known of one person.
func (p *local) account(at bridge.Account) error {
	w := tabwriter.NewWriter(p.out, 0, 4, 2, ' ', 0)
	row(w, "person", at.Person.ID)
	row(w, "name", dash(at.Person.Name))
	row(w, "email", address(at))
	row(w, "state", stands(at))
	row(w, "since", moment(at.Since))
	row(w, "why", dash(at.Why))
	row(w, "trigger", dash(at.Trigger))
	if at.Grant.User != 0 {
		row(w, "kisi user", at.Grant.User)
	}
	if t := at.Trouble; t != nil {
		row(w, "trouble", t.Class+": "+t.Err)
		row(w, "last try", moment(t.At))
		row(w, "next try", nextTry(at))
	}
	return w.Flush()
}

func address(at bridge.Account) string {
	for _, email := range []string{at.Grant.Email, at.Person.UPN, at.Person.Mail} {
		if email != "" {
			return email
		}
	}
	return "-"
}

// stands is the state, and whether Kisi opens no door all the same.
func stands(at bridge.Account) string {
	if at.Locked {
		return at.State + ", locked out in Kisi"
	}
	return at.State
}

// reason is why somebody stands there, and what went wrong at last.
func reason(at bridge.Account) string {
	if at.Trouble == nil {
		return at.Why
	}
	trouble := fmt.Sprintf("%s; next try: %s", at.Trouble.Err, nextTry(at))
	if at.Why == "" {
		return trouble
	}
	return at.Why + "; " + trouble
}

func nextTry(at bridge.Account) string {
	if at.Trouble.Next.IsZero() {
		return "with the next sweep"
	}
	return moment(at.Trouble.Next)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
