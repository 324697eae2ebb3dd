package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
	"kisibridge/internal/bridge"
	"kisibridge/internal/store"
)

func (p *local) listIntegrations() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show the integrations at a glance",
		Args:  cobra.NoArgs,
		RunE: p.act(func(ctx context.Context, a *app.App, _ []string) error {
			all, err := a.Engine().Status(ctx)
			if err != nil {
				return err
			}
			w := p.table("ID", "NAME", "STATE", "MEMBERS", "HOLDERS", "DRIFT", "READ", "NOTIFIED", "WHY")
			for _, s := range all {
				row(w, s.Integration.ID, s.Integration.Name, state(s), s.Members, s.Holders, drifts(s.Drift),
					ago(s.Group.Pulled), notified(s.Subscription), why(s))
			}
			return w.Flush()
		}),
	}
}

// table begins a table on standard output.
func (p *local) table(heads ...any) *tabwriter.Writer {
	w := tabwriter.NewWriter(p.out, 0, 4, 2, ' ', 0)
	row(w, heads...)
	return w
}

func row(w *tabwriter.Writer, cells ...any) {
	texts := make([]string, len(cells))
	for k, c := range cells {
		texts[k] = fmt.Sprint(c)
	}
	fmt.Fprintln(w, strings.Join(texts, "\t"))
}

// state tells of a deletion how far it is.
func state(s bridge.Status) string {
	if s.Integration.State == access.Deleting {
		return fmt.Sprintf("deleting, %d left", s.Left)
	}
	return string(s.Integration.State)
}

// drifts counts what a look at Kisi found that the ledger does not say.
func drifts(d store.Drift) string {
	var parts []string
	for _, of := range []struct {
		n    int
		what string
	}{{len(d.Vanished), "vanished"}, {len(d.Strangers) + d.More, "by hand"}, {len(d.Locked), "locked out"}} {
		if of.n > 0 {
			parts = append(parts, fmt.Sprint(of.n, " ", of.what))
		}
	}
	switch {
	case d.Cut != "":
		parts = append(parts, "not compared")
	case d.At.IsZero():
		return "?"
	case len(parts) == 0:
		return "-"
	}
	return strings.Join(parts, ", ")
}

// why says what a person should know, and what to do about it.
func why(s bridge.Status) string {
	i := s.Integration
	switch n := len(s.Hold.People); {
	case n > 0:
		return fmt.Sprintf("removals wait: %d, %s (kisibridge local integrations hold %s, then approve or dismiss)", n, s.Hold.Why, i.ID)
	case i.Why == "" && i.Batched() && s.Members > i.FirstBatch:
		return fmt.Sprintf("a first batch of %d (kisibridge local integrations nod %s lets the others follow)", i.FirstBatch, i.ID)
	}
	return i.Why
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
