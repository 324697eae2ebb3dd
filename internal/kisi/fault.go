package kisi

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"kisibridge/internal/fault"
)

// Codes of Kisi's that say more than the status.
const (
	codeNoRoute  = "000404" // the endpoint itself is not there
	codeDisabled = "fcd8ff" // access disabled
)

const (
	// Kisi counts requests in a second and names no time to wait.
	minPause = time.Second
	// A proxy that asks for longer would shut revocations out for no reason of Kisi's.
	maxPause = time.Hour
	maxText  = 300
)

var errNoID = errors.New("the answer has no id")

// An APIError is what Kisi answered instead of what was asked for.
type APIError struct {
	Status int
	Code   string              // Kisi's own, as "fcd8ef"; may be empty
	Text   string              // may be empty
	Fields map[string][]string // what is wrong with each field, for a 422
}

// Error is the answer in one line, fields in order.
func (e *APIError) Error() string {
	parts := []string{fmt.Sprintf("Kisi answered %d", e.Status)}
	if e.Code != "" {
		parts[0] += " (" + e.Code + ")"
	}
	if e.Text != "" {
		parts = append(parts, e.Text)
	}
	for _, f := range slices.Sorted(maps.Keys(e.Fields)) {
		parts = append(parts, f+" "+strings.Join(e.Fields[f], ", "))
	}
	return strings.Join(parts, ": ")
}

// taken tells whether a validation failed because the thing exists already.
func (e *APIError) taken() bool {
	for _, texts := range e.Fields {
		for _, t := range texts {
			if t = strings.ToLower(t); strings.Contains(t, "taken") || strings.Contains(t, "already exist") {
				return true
			}
		}
	}
	return false
}

// apiError makes an APIError of an answer. Kisi documents {"code","error"} and
// {"errors":{field:[…]}}, but others were seen, and proxies answer in HTML.
func (c *Client) apiError(res *http.Response, body []byte) *APIError {
	e := &APIError{Status: res.StatusCode}
	var raw struct {
		Code    any             `json:"code"`
		Error   any             `json:"error"`
		Message any             `json:"message"`
		Errors  json.RawMessage `json:"errors"`
	}
	if json.Unmarshal(body, &raw) != nil {
		if len(bytes.TrimSpace(body)) > 0 {
			e.Text = "an answer that is not Kisi's"
		}
		return e
	}
	e.Code = c.clean(texts(raw.Code)...)
	e.Text = c.clean(texts(raw.Error)...)
	if e.Text == "" {
		e.Text = c.clean(texts(raw.Message)...)
	}
	var fields map[string]any
	if json.Unmarshal(raw.Errors, &fields) == nil {
		for name, v := range fields {
			for _, t := range texts(v) {
				e.add(c.clean(name), c.clean(t))
			}
		}
		return e
	}
	var list any
	if json.Unmarshal(raw.Errors, &list) == nil && e.Text == "" {
		e.Text = c.clean(texts(list)...)
	}
	return e
}

func (e *APIError) add(field, text string) {
	if e.Fields == nil {
		e.Fields = map[string][]string{}
	}
	e.Fields[field] = append(e.Fields[field], text)
}

// texts flattens what should be a text or a list of them.
func texts(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, w := range v {
			all = append(all, texts(w)...)
		}
		return all
	}
	return []string{fmt.Sprint(v)}
}

// clean makes one line of texts that somebody else wrote: it keeps the key and
// everything endless out of logs.
func (c *Client) clean(texts ...string) string {
	s := strings.Join(strings.Fields(strings.Join(texts, ", ")), " ")
	s = strings.ReplaceAll(s, c.key, "[key]")
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}

// refused sorts an answer that is not a success.
func (cl call) refused(e *APIError, h http.Header) error {
	f := cl.fail(fault.Bug, e)
	switch {
	case e.Status == http.StatusUnauthorized:
		f.Class, f.Hint = fault.Denied, "the API key is wrong or was revoked, or its user is no administrator any more: make a new one in Kisi under My Account, API"
	case e.Status == http.StatusForbidden && e.Code == codeDisabled:
		f.Class, f.Hint = fault.Denied, "the access of the key's user is disabled in Kisi: enable it"
	case e.Status == http.StatusForbidden:
		f.Class, f.Hint = fault.Denied, "make the key's user an owner or administrator of the organization; teams may need another plan"
	case e.Status == http.StatusNotFound && e.Code == codeNoRoute:
		f.Hint = "Kisi removed the endpoint: update kisibridge"
	case e.Status == http.StatusNotFound && cl.gone:
		f.Class = fault.Missing
	case e.Status == http.StatusConflict, e.Status == http.StatusUnprocessableEntity && cl.writes() && e.taken():
		f.Class = fault.Clash
	case e.Status == http.StatusBadRequest, e.Status == http.StatusUnprocessableEntity:
		f.Class = fault.Invalid
	case e.Status == http.StatusTooManyRequests:
		f.Class, f.After = fault.Busy, max(minPause, retryAfter(h))
		f.Hint = "let the bridge have a Kisi user of its own, if others use this one"
	case e.Status >= 500, e.Status == http.StatusRequestTimeout:
		f.Class, f.After = cl.lost(), retryAfter(h)
	case e.Status/100 == 3:
		f.Hint = "the URL of Kisi leads somewhere else: correct it"
	}
	return f
}

// throttled tells whether Kisi said 429.
func throttled(err error) bool {
	e, ok := errors.AsType[*APIError](err)
	return ok && e.Status == http.StatusTooManyRequests
}

// retryAfter reads seconds or a date; 0 when there is neither.
func retryAfter(h http.Header) time.Duration {
	s := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(s, 64); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, maxPause.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, min(time.Until(at), maxPause))
	}
	return 0
}

// lost is the class of a call whose answer did not come: a read may be made
// again, a write may have taken effect.
func (cl call) lost() fault.Class {
	if cl.writes() {
		return fault.Unknown
	}
	return fault.Busy
}

// unanswered sorts what went wrong on the way there or back.
func (cl call) unanswered(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // the URL holds an email
	}
	f := cl.fail(cl.lost(), err)
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		f.Class = fault.Busy // nothing was sent
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		f.Class, f.Hint = fault.Busy, "nothing was sent; trust the certificate's authority in KISIBRIDGE_CA_FILE if it is yours"
	}
	return f
}

// garbled is a success whose body tells nothing.
func (cl call) garbled(err error) error { return cl.fail(cl.lost(), err) }

// unsent is a call whose turn did not come. What the limiter sorted stays so.
func (cl call) unsent(err error) error {
	err = fmt.Errorf("wait for its turn: %w", err)
	f := cl.fail(fault.Busy, err)
	if e, ok := errors.AsType[*fault.Error](err); ok {
		f.Class, f.After = e.Class, e.After
	}
	return f
}

// misfit is a row that nobody asked for. Nothing may be concluded from a list
// that it stands in.
func (cl call) misfit(id int) error {
	return cl.fail(fault.Bug, fmt.Errorf("row %d is not among what was asked for: the filter was ignored", id))
}

func (cl call) fail(class fault.Class, err error) *fault.Error {
	return &fault.Error{Class: class, Op: "kisi: " + cl.op, Err: err}
}
