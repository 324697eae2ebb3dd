package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"kisibridge/api"
)

const (
	lookEvery = time.Second      // for new events
	heartbeat = 15 * time.Second // proxies drop connections that are silent for longer
)

// StreamEvents follows the trail.
func (s *Server) StreamEvents(ctx context.Context, r api.StreamEventsRequestObject) (api.StreamEventsResponseObject, error) {
	after := text(r.Params.LastEventID)
	if after != "" && !isEventID(after) {
		return nil, malformed([]api.FieldProblem{{Field: "Last-Event-ID", Detail: "is no id of an event", Hint: orNil("leave it out to see only new events")}})
	}
	if after == "" {
		newest, err := s.Store.NewestEvents(ctx, 1)
		if err != nil {
			return nil, err
		}
		if len(newest) > 0 {
			after = newest[0].ID
		}
	}
	return stream{Server: s, filter: newFilter(r.Params.Integration, r.Params.Person, nil), ctx: ctx, after: after}, nil
}

// A stream tells of events as they come.
type stream struct {
	*Server
	filter
	ctx   context.Context
	after string
}

// VisitStreamEventsResponse writes until the caller goes, or the process ends.
// When Redis does not answer it ends too, and the caller resumes by the last
// id.
func (x stream) VisitStreamEventsResponse(w http.ResponseWriter) error {
	x.metrics.streams.Inc()
	defer x.metrics.streams.Dec()
	unhurried(w)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would keep it back
	w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(w)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	said := time.Now()
	for text := ": the audit trail\n\n"; ; {
		if text == "" && time.Since(said) >= heartbeat {
			text = ": still here\n\n"
		}
		if text != "" {
			if _, err := w.Write([]byte(text)); err != nil {
				return nil // nobody listens
			}
			_ = out.Flush() // what cannot flush, comes later
			said = time.Now()
		}
		select {
		case <-x.ctx.Done():
			return nil
		case <-look.C:
		}
		var err error
		if text, err = x.news(); err != nil {
			x.Log.Debug("a stream of events ends", "err", err)
			return nil
		}
	}
}

// news are the events since the last look.
func (x *stream) news() (string, error) {
	events, err := x.Store.Events(x.ctx, x.after, time.Time{}, bite)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	for _, e := range events {
		x.after = e.ID
		if !x.takes(e) {
			continue
		}
		data, err := json.Marshal(event(e))
		if err != nil {
			return "", err
		}
		text.WriteString("id: " + e.ID + "\ndata: " + string(data) + "\n\n")
	}
	return text.String(), nil
}
