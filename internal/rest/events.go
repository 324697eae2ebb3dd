package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"kisibridge/api"
	"kisibridge/internal/store"
)

const (
	bite = 500 // events that are read at once

	// mostBites bounds what a page looks at where few events match: it is
	// shorter then, and its cursor goes on.
	mostBites = 10

	// clocks is by how much the clocks of a process and of Redis may differ,
	// by which events are ordered.
	clocks = time.Minute
)

// A filter says which events are asked for.
type filter struct {
	integration, person string
	since               time.Time
}

func newFilter(integration, person *string, since *time.Time) filter {
	f := filter{integration: text(integration), person: text(person)}
	if since != nil {
		f.since = *since
	}
	return f
}

func (f filter) takes(e store.Event) bool {
	return (f.integration == "" || slices.Contains(e.Integrations, f.integration)) &&
		(f.person == "" || e.Person == f.person) && !e.At.Before(f.since)
}

// from is where to begin to look.
func (f filter) from() time.Time {
	if f.since.IsZero() {
		return f.since
	}
	return f.since.Add(-clocks)
}

func event(e store.Event) api.Event {
	return api.Event{
		ID: e.ID, At: e.At.UTC(), What: e.What, Integrations: e.Integrations, Target: e.Target, Group: e.Group,
		Person: e.Person, Email: e.Email, Cause: e.Cause, By: e.By, ToldAt: at(e.Told), LagSeconds: e.Lag.Seconds(),
		KisiUserID: e.User, KisiRowID: e.Row, Why: e.Why, Count: e.Count,
	}
}

// ListEvents reads the trail, the oldest first.
func (s *Server) ListEvents(ctx context.Context, r api.ListEventsRequestObject) (api.ListEventsResponseObject, error) {
	f := newFilter(r.Params.Integration, r.Params.Person, r.Params.Since)
	l := listOf(r.Params.Limit, r.Params.Cursor, "events", f.integration, f.person, f.since.UTC().Format(time.RFC3339Nano))
	after, err := l.after()
	if err != nil || after != "" && !isEventID(after) {
		return nil, badCursor()
	}
	items := []api.Event{}
	for range mostBites {
		events, err := s.Store.Events(ctx, after, f.from(), bite)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			if after = e.ID; f.takes(e) {
				items = append(items, event(e))
			}
			if len(items) == l.limit {
				return api.ListEvents200JSONResponse{Items: items, NextCursor: l.next(after)}, nil
			}
		}
		if len(events) < bite {
			return api.ListEvents200JSONResponse{Items: items, NextCursor: ""}, nil
		}
	}
	return api.ListEvents200JSONResponse{Items: items, NextCursor: l.next(after)}, nil
}

// isEventID knows the form of Redis: "MILLISECONDS-NUMBER".
func isEventID(id string) bool {
	ms, n, _ := strings.Cut(id, "-")
	_, errMs := strconv.ParseUint(ms, 10, 64)
	_, errN := strconv.ParseUint(n, 10, 64)
	return errMs == nil && (n == "" || errN == nil)
}

// ExportEvents writes the trail, a line each.
func (s *Server) ExportEvents(ctx context.Context, r api.ExportEventsRequestObject) (api.ExportEventsResponseObject, error) {
	x := export{Server: s, ctx: ctx, filter: newFilter(r.Params.Integration, r.Params.Person, r.Params.Since)}
	var err error
	x.events, err = s.Store.Events(ctx, "", x.from(), bite) // what goes wrong here can still be said
	return x, err
}

// An export is a trail that is written while it is read.
type export struct {
	*Server
	filter
	ctx    context.Context
	events []store.Event
}

// VisitExportEventsResponse writes it. What breaks off must not look whole.
func (x export) VisitExportEventsResponse(w http.ResponseWriter) error {
	unhurried(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	out := json.NewEncoder(w)
	for events := x.events; len(events) > 0; {
		for _, e := range events {
			if !x.takes(e) {
				continue
			}
			if err := out.Encode(event(e)); err != nil {
				return fmt.Errorf("export the audit trail: %w", err)
			}
		}
		if len(events) < bite {
			return nil
		}
		var err error
		if events, err = x.Store.Events(x.ctx, events[len(events)-1].ID, time.Time{}, bite); err != nil {
			x.Log.Warn("an export of the audit trail was cut off", "err", err)
			panic(http.ErrAbortHandler) // the one way to tell whoever reads
		}
	}
	return nil
}

// unhurried lets an answer take longer than others may.
func unhurried(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // what has no deadline needs none taken away
}
