package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"kisibridge/internal/access"
)

// maxEvent bounds an event of Kisi; those seen have less than 1 KiB.
const maxEvent = 256 << 10

// A KisiSource is what is stored about the event webhooks of Kisi.
type KisiSource interface {
	// HookKey gives the signature key of a connection's event webhook; "" is
	// none, and so is a connection that does not exist.
	HookKey(ctx context.Context, connection string) (key string, err error)
	// FreshEvent notes that a body of this digest came; it is false when that
	// was noted in the last 24 hours already.
	FreshEvent(ctx context.Context, connection, digest string) (bool, error)
	// ForgetEvent takes the note back: the event was not acted on.
	ForgetEvent(ctx context.Context, connection, digest string) error
}

// kisi takes the events of Kisi. Each is a hint about one person; what is lost
// is found by the next sweep.
type kisi struct {
	source  KisiSource
	wake    func(ctx context.Context, wakes ...access.Wake) error
	log     *slog.Logger
	metrics *kisiMetrics
	nobody  []byte   // the key that stands in where there is none
	forged  minutely // warnings of wrong signatures
	failing minutely // warnings of answers 503
}

// newKisi is nil where events are not taken.
func newKisi(o Options) *kisi {
	if o.Kisi == nil {
		return nil
	}
	return &kisi{
		source: o.Kisi, wake: o.Wake, log: o.Log,
		metrics: newKisiMetrics(o.Metrics), nobody: []byte(rand.Text()),
	}
}

func (k *kisi) answer(c echo.Context, received time.Time) (int, error) {
	var body bytes.Buffer
	if code := read(c, &body, maxEvent); code != http.StatusOK {
		return empty(c, code)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), patience)
	defer cancel()
	connection := c.Param("connection")
	was, err := k.receive(ctx, connection, c.Request().Header.Get("X-Signature"), body.Bytes(), received)
	if err != nil {
		if k.failing.once(received) {
			k.log.WarnContext(ctx, "event of Kisi not stored", "error", err)
		}
		return empty(c, http.StatusServiceUnavailable)
	}
	k.metrics.outcomes[was].Inc()
	switch was {
	case eventForged:
		return empty(c, http.StatusUnauthorized)
	case eventMalformed:
		return empty(c, http.StatusBadRequest)
	}
	k.log.DebugContext(ctx, "event of Kisi received", "connection", connection, "outcome", was.String())
	return empty(c, http.StatusOK)
}

// receive stores the hint that a genuine event gives.
func (k *kisi) receive(ctx context.Context, connection, signature string, body []byte, received time.Time) (eventOutcome, error) {
	genuine, err := k.genuine(ctx, connection, signature, body, received)
	if err != nil || !genuine {
		return eventForged, err
	}
	target, user, was := hintOf(body)
	if was != eventAccepted {
		return was, nil
	}
	target.Connection = connection
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	if fresh, err := k.source.FreshEvent(ctx, connection, digest); err != nil || !fresh {
		return eventReplayed, err
	}
	if err := k.wake(ctx, access.HintOf(target, user, received)); err != nil {
		return 0, errors.Join(err, k.forget(ctx, connection, digest))
	}
	return eventAccepted, nil
}

// forget lets the event come again, even when the time for this one is up.
func (k *kisi) forget(ctx context.Context, connection, digest string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return k.source.ForgetEvent(ctx, connection, digest)
}

// genuine tells whether the body is signed with the connection's key. One is
// computed with where there is none too, so that neither the answer nor its
// time tells whether a connection exists.
func (k *kisi) genuine(ctx context.Context, connection, signature string, body []byte, now time.Time) (bool, error) {
	key, err := k.key(ctx, connection)
	if err != nil {
		return false, err
	}
	with := []byte(key)
	if key == "" {
		with = k.nobody
	}
	mac := hmac.New(sha256.New, with)
	mac.Write(body)
	equal := hmac.Equal(mac.Sum(nil), signatureOf(signature))
	if key != "" && !equal && k.forged.once(now) {
		k.log.WarnContext(ctx, "event of Kisi with a foreign signature ignored", "connection", connection)
	}
	return equal && key != "", nil
}

func (k *kisi) key(ctx context.Context, connection string) (string, error) {
	if !sane([]byte(connection)) {
		return "", nil
	}
	return k.source.HookKey(ctx, connection)
}

// signatureOf reads "sha256=HEX"; nil is none. Kisi's OpenAPI document has the
// prefix, its guides do not speak of it, so a bare one will do.
func signatureOf(header string) []byte {
	sum, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(header), "sha256="))
	if err != nil {
		return nil
	}
	return sum
}
