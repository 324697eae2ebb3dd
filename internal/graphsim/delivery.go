package graphsim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	deliverersAtOnce = 32            // POSTs under way
	retriesEnd       = 4 * time.Hour // after the first attempt
	firstRetry       = 2 * time.Second
	longestRetry     = 15 * time.Minute
	overtaken        = 2 * time.Second // by what Reorder holds a delivery back
)

// A Delivery says how notifications travel; the zero value: at once, and once.
type Delivery struct {
	Delay     time.Duration
	Drop      bool // none arrives, and nobody is told
	Duplicate bool // each arrives twice
	Reorder   bool // every other one is overtaken by those after it
}

// A parcel is the body of one POST.
type parcel struct {
	target string
	items  []parcelItem
	size   int
	always bool // goes out even when the subscription has ended
}

type parcelItem struct {
	subscription string
	text         json.RawMessage
}

type outbox struct {
	slots chan struct{} // taken by POSTs under way

	mu         sync.Mutex // guards all below
	delivery   Delivery
	sent       int
	ok, failed int
}

// SetDelivery changes how notifications travel from now on.
func (s *Server) SetDelivery(d Delivery) {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	s.outbox.delivery = d
}

// Deliveries returns how many POSTs were answered 2xx in time, and how many
// were not.
func (s *Server) Deliveries() (ok, failed int) {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	return s.outbox.ok, s.outbox.failed
}

// dispatch sends a parcel in the background; s.mu must be held.
func (s *Server) dispatch(p *parcel) {
	if s.opts.Notify == nil {
		return
	}
	times, delay := s.outbox.plan()
	for range times {
		s.start(func() { s.deliver(p, delay) })
	}
}

// plan says how often the next parcel goes out, and when.
func (o *outbox) plan() (times int, delay time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent++
	delay = o.delivery.Delay
	if o.delivery.Reorder && o.sent%2 == 1 {
		delay += overtaken
	}
	switch {
	case o.delivery.Drop:
		return 0, 0
	case o.delivery.Duplicate:
		return 2, delay
	}
	return 1, delay
}

// deliver tries until the other side takes the parcel, the subscriptions end,
// or four hours are over.
func (s *Server) deliver(p *parcel, delay time.Duration) {
	if !s.pause(s.ctx, delay) {
		return
	}
	end := time.Now().Add(retriesEnd)
	for wait := firstRetry; ; wait = min(2*wait, longestRetry) {
		text := s.wanted(p)
		if text == nil || s.post(p.target, text) {
			return
		}
		if time.Now().Add(wait).After(end) || !s.pause(s.ctx, wait) {
			return
		}
	}
}

// wanted renders what is still subscribed to, or nil.
func (s *Server) wanted(p *parcel) []byte {
	var items []json.RawMessage
	s.mu.Lock()
	for _, it := range p.items {
		if p.always || s.subs.get(it.subscription) != nil {
			items = append(items, it.text)
		}
	}
	s.mu.Unlock()
	if len(items) == 0 {
		return nil
	}
	text, _ := json.Marshal(map[string]any{"value": items}) // of valid JSON: cannot fail
	return text
}

// post makes one attempt and counts it.
func (s *Server) post(target string, text []byte) bool {
	select {
	case s.outbox.slots <- struct{}{}:
		defer func() { <-s.outbox.slots }()
	case <-s.ctx.Done():
		return false
	}
	taken := s.send(target, text)
	if s.ctx.Err() != nil {
		return taken // an attempt that Close cut short says nothing
	}
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	if taken {
		s.outbox.ok++
	} else {
		s.outbox.failed++
	}
	return taken
}

func (s *Server) send(target string, text []byte) bool {
	ctx, cancel := context.WithTimeout(s.ctx, answerDeadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(text))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := s.opts.Notify.RoundTrip(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, expectedAnswers))
	return err == nil && resp.StatusCode >= 200 && resp.StatusCode < 300
}
