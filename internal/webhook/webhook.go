// Package webhook takes Microsoft Graph's notifications, and loses none.
//
// A notification is a hint that something changed and never the authority for
// opening a door: all it can do is wake the work that reads the truth back.
// It is answered 202 when that wake is stored, and 503 when it is not, so
// that Graph tries again. The events of Kisi's own webhook are hints alike.
package webhook

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"kisibridge/internal/access"
)

const (
	maxBody = 4 << 20

	// patience is how long an answer may take once the body is here. Graph
	// counts answers over 3 s as slow (older text; 10 s today), and drops
	// notifications of an endpoint that is slow too often.
	patience = 2500 * time.Millisecond

	// keptBody is the largest buffer that is kept for the next request.
	keptBody = 1 << 20
)

// Options are what a Handler works with.
type Options struct {
	// Wake stores that work is to be done; nil means that it is safe.
	Wake func(ctx context.Context, wakes ...access.Wake) error
	// Subscriptions lists the subscription of every group, and those of all
	// groups and all people of a tenant (access.AllGroups, access.AllUsers).
	Subscriptions func(ctx context.Context) (map[access.Group]access.Subscription, error)
	// Known tells which groups some integration uses, and which people of a
	// tenant (a person is the Group of that Connection and ID) the bridge
	// knows. It is asked once for a body that tenant-wide subscriptions sent,
	// every id once, and answers in the same order. Nil: all of them.
	Known   func(ctx context.Context, groups, people []access.Group) (groupsUsed, peopleKnown []bool, err error)
	Kisi    KisiSource            // nil: Kisi's events are not taken
	Log     *slog.Logger          // nil: silent
	Metrics prometheus.Registerer // nil: counted for nobody
}

// A Handler answers the webhook endpoints.
type Handler struct {
	wake    func(ctx context.Context, wakes ...access.Wake) error
	known   knownFunc
	kisi    *kisi // nil: not taken
	table   *table
	log     *slog.Logger
	metrics *metrics
	batches sync.Pool // of *batch
	foreign minutely  // warnings of forged items
	failing minutely  // warnings of answers 503
}

// New makes a Handler. It asks for the subscriptions when it first needs them.
func New(o Options) *Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Known == nil {
		o.Known = everything
	}
	return &Handler{
		wake:    o.Wake,
		known:   o.Known,
		kisi:    newKisi(o),
		table:   newTable(o.Subscriptions, o.Log),
		log:     o.Log,
		metrics: newMetrics(o.Metrics),
		batches: sync.Pool{New: func() any { return newBatch() }},
	}
}

// Register adds POST /webhooks/graph and POST /webhooks/graph/lifecycle to e,
// and POST /webhooks/kisi/:connection where Kisi's events are taken. Both of
// Graph's take both kinds of items, since a subscription may name one address
// for the two.
func (h *Handler) Register(e *echo.Echo) {
	e.POST("/webhooks/graph", h.endpoint("notification", h.answer))
	e.POST("/webhooks/graph/lifecycle", h.endpoint("lifecycle", h.answer))
	if h.kisi != nil {
		e.POST("/webhooks/kisi/:connection", h.endpoint("kisi", h.kisi.answer))
	}
}

// endpoint counts and times the answers of one endpoint.
func (h *Handler) endpoint(name string, answer func(echo.Context, time.Time) (int, error)) echo.HandlerFunc {
	took := h.metrics.seconds.WithLabelValues(name)
	return func(c echo.Context) error {
		received := time.Now()
		code, err := answer(c, received)
		h.metrics.request(name, code)
		took.Observe(time.Since(received).Seconds())
		return err
	}
}

func (h *Handler) answer(c echo.Context, received time.Time) (int, error) {
	if c.Request().URL.RawQuery != "" {
		token, asked, code := validation(c.Request())
		if asked && code == http.StatusOK {
			return code, confirm(c, token)
		}
		if asked {
			return code, c.NoContent(code)
		}
	}
	return empty(c, h.receive(c, received))
}

// empty answers with nothing but the status.
func empty(c echo.Context, code int) (int, error) {
	if code == http.StatusServiceUnavailable {
		c.Response().Header().Set(echo.HeaderRetryAfter, "5")
	}
	return code, c.NoContent(code)
}

// receive stores what the items of a body call for and returns the status.
func (h *Handler) receive(c echo.Context, received time.Time) int {
	if !isJSON(c.Request().Header.Get(echo.HeaderContentType)) {
		return http.StatusUnsupportedMediaType
	}
	b := h.batches.Get().(*batch)
	defer h.release(b)

	b.mark, b.received = h.table.mark(), received
	if code := read(c, &b.body, maxBody); code != http.StatusOK {
		return code
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), patience)
	defer cancel()
	switch err := h.deliver(ctx, b); {
	case errors.Is(err, errBroken):
		return http.StatusBadRequest
	case err != nil:
		if h.failing.once(received) {
			h.log.WarnContext(ctx, "notifications not stored, Graph will try again", "error", err)
		}
		return http.StatusServiceUnavailable
	}
	return http.StatusAccepted
}

var errBroken = errors.New("the body is not JSON or has no array \"value\"")

// deliver judges the batch and wakes what it calls for, in one call. An item
// that cannot be told from a forgery may belong to a subscription that
// another process has just made, so those are judged by a newer table.
func (h *Handler) deliver(ctx context.Context, b *batch) error {
	known, err := h.table.current(ctx)
	if err != nil {
		return err
	}
	if !b.judge(known) {
		return errBroken
	}
	var unsure error
	if b.doubtful() {
		if known, unsure = h.table.newer(ctx, b.mark); unsure == nil {
			b.judge(known)
		}
	}
	unasked := b.ask(ctx, h.known) // what is sure is woken nevertheless
	if wakes := b.wakes(); len(wakes) > 0 {
		err = h.wake(ctx, wakes...)
	}
	if err = errors.Join(err, unsure, unasked); err == nil {
		h.count(ctx, b)
	}
	return err
}

// count tells of the outcomes once the batch is answered for good; one that
// Graph sends again is counted then.
func (h *Handler) count(ctx context.Context, b *batch) {
	for o, n := range b.outcomes {
		if n > 0 {
			h.metrics.outcomes[o].Add(float64(n))
		}
	}
	for _, lag := range b.lags {
		h.metrics.lag.Observe(lag.Seconds())
	}
	if b.suspect != nil && h.foreign.once(b.received) {
		h.log.WarnContext(ctx, "notification with a foreign client state ignored",
			"subscription", b.suspect.id, "group", b.suspect.group.String())
	}
	if h.log.Enabled(ctx, slog.LevelDebug) {
		h.log.DebugContext(ctx, "notifications received", "outcomes", b.outcomes.String())
	}
}

func (h *Handler) release(b *batch) {
	if b.body.Cap() <= keptBody {
		b.reset()
		h.batches.Put(b)
	}
}

// read takes in the body; anything but 200 ends the request.
func read(c echo.Context, into *bytes.Buffer, limit int64) int {
	r := c.Request()
	if r.ContentLength > limit {
		return http.StatusRequestEntityTooLarge
	}
	// A promised length is no reason to set aside much memory.
	into.Grow(int(min(max(r.ContentLength, 0), 64<<10)) + bytes.MinRead)
	_, err := into.ReadFrom(http.MaxBytesReader(c.Response(), r.Body, limit))
	if _, tooBig := errors.AsType[*http.MaxBytesError](err); tooBig {
		return http.StatusRequestEntityTooLarge
	}
	if err != nil {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// isJSON accepts any parameters: JSON has no other charset than UTF-8.
func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), echo.MIMEApplicationJSON)
}
