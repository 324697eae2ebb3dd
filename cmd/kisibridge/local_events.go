package main

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
	"kisibridge/internal/store"
)

// eventID is how the stream names its events.
const eventID = `^[0-9]+(-[0-9]+)?$`

func (p *local) events() *cobra.Command {
	c := &cobra.Command{
		Use:     "events",
		Short:   "Print the audit trail as JSON lines, oldest first",
		Example: "  kisibridge local events --person ada@contoso.example",
		Args:    cobra.NoArgs,
	}
	after := c.Flags().String("after", "", "only what came after the event of this id, to go on where an export ended")
	integration := c.Flags().String("integration", "", "only events of this integration")
	person := c.Flags().String("person", "", "only events of this person, by Entra object id or email")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if ok, err := regexp.MatchString(eventID, *after); err != nil || *after != "" && !ok {
			return errors.Join(misused("--after %q: give the id of an event, as 1764000000000-0", *after), err)
		}
		return p.with(cmd.Context(), func(ctx context.Context, a *app.App) error {
			return p.export(ctx, a.Store(), *after, func(e store.Event) bool {
				return (*integration == "" || slices.Contains(e.Integrations, *integration)) &&
					(*person == "" || strings.EqualFold(e.Person, *person) || access.SameEmail(e.Email, *person))
			})
		})
	}
	return c
}

// export prints the events that match.
func (p *local) export(ctx context.Context, s *store.Store, after string, matches func(store.Event) bool) error {
	out := json.NewEncoder(p.out)
	var printing error
	err := s.EachEvent(ctx, after, func(e store.Event) bool {
		if matches(e) {
			printing = out.Encode(e)
		}
		return printing == nil
	})
	return errors.Join(err, printing)
}

func (p *local) syncPerson() *cobra.Command {
	return &cobra.Command{
		Use:     "sync-person ENTRA_ID",
		Short:   "Read one person from scratch, and bring every target into line for them now",
		Example: "  kisibridge local sync-person 9e0b1e00-22cc-4b1f-8e77-000000000017",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.Contains(args[0], "@") {
				return misused("sync-person %s: give the object id of the account in Entra; an email can move to somebody else", args[0])
			}
			c, err := p.config()
			if err != nil {
				return err
			}
			return p.with(cmd.Context(), func(ctx context.Context, a *app.App) error {
				return a.Engine().SyncPerson(ctx, c.TenantID, strings.ToLower(args[0]))
			})
		},
	}
}
