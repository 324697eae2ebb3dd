package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"kisibridge/api"
)

// A held is a hold with all its people, and with what says that it was seen.
type held struct {
	Count  int             `json:"count"`
	Why    string          `json:"why"`
	Since  string          `json:"since,omitempty"`
	Seen   string          `json:"seen"`
	People []api.PersonRef `json:"people"`
}

func (p *program) hold() *cobra.Command {
	c := p.one("hold", "List the people whose removal waits")
	c.RunE = p.over(func(ctx context.Context, r *remote, args []string) error {
		h, err := r.readHold(ctx, args[0])
		if err != nil {
			return err
		}
		return r.show(h, func(w io.Writer) error { return writeHold(w, args[0], h) })
	})
	return c
}

// readHold reads all pages. The ETag is that of the first: what changes meanwhile
// makes it stale.
func (r *remote) readHold(ctx context.Context, id string) (h held, _ error) {
	size := most
	for cursor := (*string)(nil); ; {
		got, etag, err := tagged[api.Hold](r.api.GetHold(ctx, id, &api.GetHoldParams{Limit: &size, Cursor: cursor}))
		if err != nil {
			return h, err
		}
		if cursor == nil {
			h = held{Count: got.Count, Why: got.Why, Seen: strings.Trim(etag, `"`), People: []api.PersonRef{}}
			if got.Since != nil {
				h.Since = moment(*got.Since)
			}
		}
		h.People = append(h.People, got.People...)
		if got.NextCursor == "" {
			return h, nil
		}
		cursor = &got.NextCursor
	}
}

func writeHold(w io.Writer, id string, h held) error {
	if h.Count == 0 {
		_, err := fmt.Fprintln(w, "No removal waits.")
		return err
	}
	fmt.Fprintf(w, "Removals that wait: %d, since %s: %s\n", h.Count, dash(h.Since), h.Why)
	writePeople(w, h.People)
	_, err := fmt.Fprintf(w, "Let them go: kisibridge integrations approve %s --seen %s. Let them stay: kisibridge integrations dismiss %s --seen %s.\n",
		id, h.Seen, id, h.Seen)
	return err
}

func (p *program) approve() *cobra.Command {
	return p.answers("approve", "Let the removals go that wait for a person",
		func(r *remote, ctx context.Context, id string, seen *string) (*http.Response, error) {
			return r.api.ApproveHold(ctx, id, &api.ApproveHoldParams{IfMatch: seen})
		})
}

func (p *program) dismiss() *cobra.Command {
	return p.answers("dismiss", "Let the people keep their access whose removal waits",
		func(r *remote, ctx context.Context, id string, seen *string) (*http.Response, error) {
			return r.api.DismissHold(ctx, id, &api.DismissHoldParams{IfMatch: seen})
		})
}

// answers is a command that answers a hold, as it was seen.
func (p *program) answers(verb, short string, do func(r *remote, ctx context.Context, id string, seen *string) (*http.Response, error)) *cobra.Command {
	var seen string
	c := p.begins(verb, short, func(r *remote, ctx context.Context, id string) (*http.Response, error) {
		return do(r, ctx, id, match(quoted(seen)))
	})
	c.Flags().StringVar(&seen, "seen", "", "only if nobody was added since hold printed this")
	return c
}

// quoted is an ETag as HTTP writes it.
func quoted(seen string) string {
	if seen == "" || strings.Contains(seen, `"`) {
		return seen
	}
	return `"` + seen + `"`
}
