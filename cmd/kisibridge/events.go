package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"kisibridge/api"
	"kisibridge/internal/fault"
)

// Wanted are the events that the flags ask for.
type wantedEvents struct {
	integration, person *string
	since               *time.Time
	limit               int
}

func (p *program) events() *cobra.Command {
	c := &cobra.Command{
		Use:     "events",
		Short:   "Print the audit trail, oldest first; as JSON, one event a line",
		Example: "  kisibridge events --since 2026-01-31T08:00:00Z --follow -o json",
		Args:    cobra.NoArgs,
	}
	f := c.Flags()
	integration := f.String("integration", "", "only events of this integration")
	person := f.String("person", "", "only events of this person, by Entra object id")
	since := f.String("since", "", "only events from then on, as 2026-01-31T08:00:00Z, or 24h for the last day")
	follow := f.Bool("follow", false, "go on with what happens; without --since, print only that")
	limit := limited(c)
	c.MarkFlagsMutuallyExclusive("follow", "limit")
	_ = c.RegisterFlagCompletionFunc("integration", p.integrationIDs()) // the flag is there
	c.RunE = func(cmd *cobra.Command, args []string) error {
		w := wantedEvents{limit: *limit}
		if *integration != "" {
			w.integration = integration
		}
		if *person != "" {
			w.person = person
		}
		var err error
		if w.since, err = from(*since); err == nil {
			err = objectID(*person)
		}
		if err != nil {
			return err
		}
		return p.over(func(ctx context.Context, r *remote, _ []string) error {
			last, err := "", error(nil)
			if !*follow || w.since != nil {
				last, err = r.printEvents(ctx, w)
			}
			if err != nil || !*follow {
				return err
			}
			return r.followEvents(ctx, w, last)
		})(cmd, args)
	}
	return c
}

// from reads a time, or how long ago it is.
func from(text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if ago, wrong := time.ParseDuration(text); wrong == nil && ago > 0 {
		t, err = time.Now().Add(-ago).UTC(), nil
	}
	if err != nil {
		return nil, misused("--since: is %q; use a time, as 2026-01-31T08:00:00Z, or 24h for the last day", text)
	}
	return &t, nil
}

// printEvents prints page by page, for a trail can be long, and gives the id of
// the last one.
func (r *remote) printEvents(ctx context.Context, w wantedEvents) (last string, _ error) {
	left := w.limit
	for cursor := (*string)(nil); ; {
		size := most
		if left > 0 {
			size = min(most, left)
		}
		got, err := read[page[api.Event]](r.api.ListEvents(ctx, &api.ListEventsParams{
			Integration: w.integration, Person: w.person, Since: w.since, Limit: &size, Cursor: cursor,
		}))
		if err != nil {
			return last, err
		}
		for _, e := range got.Items {
			if err := r.printEvent(e); err != nil {
				return last, err
			}
			last = e.ID
		}
		left -= len(got.Items)
		if got.Next == "" || w.limit > 0 && left <= 0 {
			return last, nil
		}
		cursor = &got.Next
	}
}

func (r *remote) printEvent(e api.Event) error {
	if r.output == "table" {
		_, err := fmt.Fprintln(r.out, ofEvent(e))
		return err
	}
	line, err := json.Marshal(e)
	if err == nil && r.output == "yaml" {
		if line, err = yaml.JSONToYAML(line); err == nil {
			line = append([]byte("---\n"), line...)
		}
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(r.out, strings.TrimRight(string(line), "\n"))
	return err
}

// followEvents prints what happens, and goes on after the last event when the
// line breaks. It ends when it is told to.
func (r *remote) followEvents(ctx context.Context, w wantedEvents, last string) error {
	for {
		err := r.stream(ctx, w, &last)
		switch {
		case ctx.Err() != nil:
			return nil // Ctrl-C is how it ends
		case err != nil && status(err) != exitBusy:
			return err
		case err != nil:
			fmt.Fprintln(r.err, err)
		}
		if pause(ctx, glance) != nil {
			return nil
		}
	}
}

// stream follows one connection until it breaks.
func (r *remote) stream(ctx context.Context, w wantedEvents, last *string) error {
	after := api.StreamEventsParams{Integration: w.integration, Person: w.person}
	if *last != "" {
		after.LastEventID = last
	}
	answer, err := r.api.StreamEvents(ctx, &after)
	if err != nil {
		return unreached(err)
	}
	if answer.StatusCode != http.StatusOK {
		return done(answer, nil)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20) // an event is a few hundred bytes
	for lines.Scan() {
		data, is := strings.CutPrefix(lines.Text(), "data:")
		if !is {
			continue // the id is in the event, too; others are signs of life
		}
		var e api.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return fault.New(fault.Bug, asked(answer), "%w in %s", err, data)
		}
		if err := r.printEvent(e); err != nil {
			return err
		}
		*last = e.ID
	}
	return broken(lines.Err())
}

// broken is why a stream ended; that the bridge closed it is no error.
func broken(err error) error {
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return unreached(err)
}
