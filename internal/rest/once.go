package rest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/oklog/ulid/v2"

	"kisibridge/api"
	"kisibridge/internal/auth"
	"kisibridge/internal/store"
)

const headerIdempotency = "Idempotency-Key"

type seedKey struct{}

// seed names what a call makes; the same in every try under one
// Idempotency-Key.
func seed(ctx context.Context) string {
	if s, ok := ctx.Value(seedKey{}).(string); ok {
		return s
	}
	return ulid.Make().String()
}

// isAgain tells whether this try may follow one that was cut off.
func isAgain(ctx context.Context) bool { return ctx.Value(seedKey{}) != nil }

// once carries out a POST once for each Idempotency-Key of a caller, and gives
// the first answer again. What failed may be tried again.
func (s *Server) once(op *operation, caller auth.Caller, c echo.Context, next echo.HandlerFunc) error {
	r := c.Request()
	name := r.Header.Get(headerIdempotency)
	if op.route.Method != http.MethodPost || name == "" {
		return next(c)
	}
	digest, err := digestOf(r)
	if err != nil {
		return err
	}
	call := call{s, r.Context(), sum(caller.Kind, caller.ID), sum(name), credential(r, caller)}
	turn, err := s.Store.BeginReply(call.ctx, call.caller, call.name, digest, ulid.Make().String())
	switch {
	case err != nil:
		return err
	case turn.Other:
		detail := "was used for another request within the last 24 hours"
		return &refusal{
			status: http.StatusUnprocessableEntity, detail: headerIdempotency + ": " + detail, hint: "choose another key",
			fields: []api.FieldProblem{{Field: headerIdempotency, Detail: detail}},
		}
	case turn.Busy:
		return &refusal{status: http.StatusConflict, detail: "the same call is being carried out", hint: "try again in a moment", after: time.Second}
	case !turn.Go:
		return call.again(c, turn.Answer)
	}
	c.SetRequest(r.WithContext(context.WithValue(r.Context(), seedKey{}, turn.Seed)))
	return call.first(c, next)
}

// A call is one that may be made again.
type call struct {
	*Server
	ctx          context.Context
	caller, name string
	credential   string
}

// An answer is what was answered, to be given again.
type answer struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
}

// kept are the headers that belong to an answer.
var kept = []string{echo.HeaderContentType, echo.HeaderLocation, "ETag"}

// first carries a call out, and keeps the answer before it is given.
func (k call) first(c echo.Context, next echo.HandlerFunc) error {
	w := c.Response().Writer
	rec := &recorder{header: w.Header()}
	c.Response().Writer = rec
	err := next(c)
	c.Response().Writer = w
	ctx := context.WithoutCancel(k.ctx) // whoever went away may come again
	if err != nil {
		if free := k.Store.FreeReply(ctx, k.caller, k.name); free != nil {
			k.Log.Debug("an Idempotency-Key is taken until its call times out", "err", free)
		}
		return err
	}
	a := answer{rec.status, http.Header{}, rec.body.Bytes()}
	for _, h := range kept {
		if v := rec.header.Get(h); v != "" {
			a.Header.Set(h, v)
		}
	}
	if err := k.keep(ctx, a); err != nil {
		k.Log.Warn("an answer is not kept for whoever calls again", "err", err)
	}
	w.WriteHeader(rec.status)
	_, err = w.Write(a.Body)
	return err
}

// keep seals an answer with the caller's own secret: it may hold a new key,
// which nobody else shall read in Redis.
func (k call) keep(ctx context.Context, a answer) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	sealer, err := store.NewSealer([]byte(k.credential))
	if err != nil {
		return err
	}
	sealed, err := sealer.Seal(k.name, string(text))
	if err != nil {
		return err
	}
	return k.Store.SaveReply(ctx, k.caller, k.name, sealed)
}

// again gives the answer of the first call.
func (k call) again(c echo.Context, sealed string) error {
	sealer, err := store.NewSealer([]byte(k.credential))
	if err != nil {
		return err
	}
	text, err := sealer.Open(k.name, sealed)
	if err != nil {
		return &refusal{
			status: http.StatusConflict, detail: "it was done, and only the session that did it can read the answer",
			hint: "look at what there is now; to do it once more, choose another " + headerIdempotency,
		}
	}
	var a answer
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return err
	}
	maps.Copy(c.Response().Header(), a.Header)
	c.Response().WriteHeader(a.Status)
	_, err = c.Response().Write(a.Body)
	return err
}

// digestOf tells one request from another.
func digestOf(r *http.Request) (string, error) {
	var body []byte
	if r.GetBody != nil { // which the validator made
		b, err := r.GetBody()
		if err != nil {
			return "", err
		}
		if body, err = io.ReadAll(b); err != nil {
			return "", err
		}
	}
	return sum(r.Method, r.URL.Path, r.URL.RawQuery, string(body)), nil
}

// credential is a key that follows from what the caller showed: of a session,
// its CSRF token stands for its id.
func credential(r *http.Request, caller auth.Caller) string {
	shown := caller.CSRF
	if shown == "" {
		shown = r.Header.Get(echo.HeaderAuthorization)
	}
	key := sha256.Sum256([]byte("kisibridge answers\x00" + shown))
	return string(key[:])
}

func sum(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		one := sha256.Sum256([]byte(p))
		h.Write(one[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// A recorder takes an answer that is not given yet.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is that of the answer to come.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader notes the status.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write notes a part of the body.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		return 0, errors.New("a body without a status")
	}
	return r.body.Write(p)
}
