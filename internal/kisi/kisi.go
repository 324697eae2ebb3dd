// Package kisi knows people and their access in Kisi, inside Kisi's rate.
//
// Every call waits for its turn, is made once, and comes back with an error
// whose class says what to do: this package repeats nothing, for whether a
// lost POST may be sent again is decided by whoever keeps the ledger.
package kisi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

const (
	defaultURL = "https://api.kisi.io"
	// Kisi's own client gives up after 5 s; a write that is given up on has to
	// be looked for, so this waits longer.
	defaultTimeout = 20 * time.Second
	maxBody        = 16 << 20 // a full page of 250 assignments is under 1 MiB
)

// A Limiter spreads calls over time; the store's is shared by all replicas.
type Limiter interface {
	// Wait returns when one call may be made.
	Wait(ctx context.Context, u access.Urgency) error
	// Slow tells that Kisi said 429: everybody waits for after, and goes
	// slower for a while.
	Slow(ctx context.Context, after time.Duration)
}

// Options are what a Client is made of.
type Options struct {
	URL       string                // zero: https://api.kisi.io
	APIKey    string                // of a Kisi user that nobody else uses
	Transport http.RoundTripper     // nil: a new one
	Limiter   Limiter               // nil: no limit
	Timeout   time.Duration         // of one call, after its wait; zero: 20 s
	Version   string                // of the bridge, as Kisi sees it
	Metrics   prometheus.Registerer // nil: unregistered
	Log       *slog.Logger          // nil: silent
}

// A Client calls Kisi as one user of one organization. It is safe for
// concurrent use.
type Client struct {
	base    string
	key     string
	agent   string
	http    *http.Client
	limiter Limiter
	timeout time.Duration
	metrics *metrics
	log     *slog.Logger

	mu   sync.Mutex
	told map[string]bool // guarded by mu: the deprecated routes that the log knows of
}

// New makes a client. It makes no call; [Client.Whoami] tries the key.
func New(o Options) (*Client, error) {
	o.URL = strings.TrimRight(cmp.Or(o.URL, defaultURL), "/")
	if err := errors.Join(checkURL(o.URL), checkKey(o.APIKey)); err != nil {
		return nil, &fault.Error{Class: fault.Invalid, Op: "kisi: settings", Err: err}
	}
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	if o.Limiter == nil {
		o.Limiter = unlimited{}
	}
	return &Client{
		base:  o.URL,
		key:   o.APIKey,
		agent: "kisibridge/" + cmp.Or(o.Version, "devel"),
		http: &http.Client{
			Transport: o.Transport,
			// A POST that is sent elsewhere becomes a GET, and the key goes with it.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		limiter: o.Limiter,
		timeout: cmp.Or(o.Timeout, defaultTimeout),
		metrics: newMetrics(o.Metrics),
		log:     cmp.Or(o.Log, slog.New(slog.DiscardHandler)),
		told:    map[string]bool{},
	}, nil
}

// checkURL never repeats the URL whole: there may be a password in it.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("URL: is no URL; use one like " + defaultURL)
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return fmt.Errorf("URL: is %q; use one like %s", u.Redacted(), defaultURL)
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return fmt.Errorf("URL: is %q; leave out everything but scheme, host and path, as in %s", u.Redacted(), defaultURL)
	}
	return nil
}

func checkKey(key string) error {
	if key == "" {
		return errors.New("APIKey: is empty; make one in Kisi under My Account, API, as an administrator of the organization")
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return errors.New("APIKey: has a blank, a line break or another character that no key has; copy it again")
	}
	return nil
}

// newTransport keeps as many connections as workers may call at once.
func newTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        16,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     90 * time.Second,
	}
}

type unlimited struct{}

func (unlimited) Wait(ctx context.Context, _ access.Urgency) error { return ctx.Err() }
func (unlimited) Slow(context.Context, time.Duration)              {}

// A call is one request to Kisi, before it is made.
type call struct {
	name   string // as metrics spell it
	op     string // what is tried, on what
	method string
	route  string // as Kisi documents it, for the log
	path   string // empty: the same as route
	query  url.Values
	body   any  // sent as JSON; nil: none
	gone   bool // a 404 means that what the call is about does not exist
}

// writes tells whether the call changes anything in Kisi.
func (cl call) writes() bool { return cl.method != http.MethodGet }

// do waits for its turn, makes the call once, and decodes the answer into out.
// The time allowed for the call does not begin before the wait is over.
func (c *Client) do(ctx context.Context, u access.Urgency, cl call, out any) (http.Header, error) {
	began := time.Now()
	err := c.limiter.Wait(ctx, u)
	c.metrics.waited(u, time.Since(began))
	if err != nil {
		return nil, cl.unsent(err)
	}
	began = time.Now()
	header, err := c.exchange(ctx, cl, out)
	c.metrics.called(cl.name, err, time.Since(began))
	if throttled(err) {
		c.limiter.Slow(ctx, fault.After(err))
	}
	return header, err
}

func (c *Client) exchange(ctx context.Context, cl call, out any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := c.request(ctx, cl)
	if err != nil {
		return nil, cl.fail(fault.Bug, err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, cl.unanswered(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	c.deprecated(cl, res.Header)
	switch {
	case res.StatusCode/100 != 2:
		return nil, cl.refused(c.apiError(res, body), res.Header)
	case err != nil:
		return nil, cl.unanswered(err)
	}
	if err := decode(body, out); err != nil {
		return nil, cl.garbled(err)
	}
	return res.Header, nil
}

func (c *Client) request(ctx context.Context, cl call) (*http.Request, error) {
	var body io.Reader
	if cl.body != nil {
		b, err := json.Marshal(cl.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	target := c.base + cmp.Or(cl.path, cl.route)
	if len(cl.query) > 0 {
		target += "?" + cl.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, cl.method, target, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "KISI-LOGIN "+c.key)
	req.Header.Set("User-Agent", c.agent)
	req.Header.Set("X-Kisi-Integration-Identifier", c.agent)
	return req, nil
}

// decode reads an answer whole. An out of nil wants nothing, and still does
// not take a proxy's page for Kisi's word.
func decode(body []byte, out any) error {
	switch body = bytes.TrimSpace(body); {
	case len(body) > maxBody:
		return fmt.Errorf("the answer is longer than %d MiB", maxBody>>20)
	case out == nil && len(body) == 0:
		return nil
	case out == nil:
		out = new(json.RawMessage)
	case len(body) == 0:
		return errors.New("the answer is empty")
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the answer is not what Kisi documents: %w", err)
	}
	return nil
}

// deprecated logs, once a route, that Kisi is going to remove it.
func (c *Client) deprecated(cl call, h http.Header) {
	deprecation, sunset := h.Get("Deprecation"), h.Get("Sunset")
	if deprecation == "" && sunset == "" {
		return
	}
	route := cl.method + " " + cl.route
	c.mu.Lock()
	known := c.told[route]
	c.told[route] = true
	c.mu.Unlock()
	if !known {
		c.log.Warn("kisi is going to remove a route: update kisibridge",
			"route", route, "deprecation", deprecation, "sunset", sunset)
	}
}

// A Caller is the Kisi user whose key the bridge holds.
type Caller struct {
	ID           int
	Email        string
	Name         string
	Organization Organization
}

// An Organization is what a key opens.
type Organization struct {
	ID     int
	Name   string
	Domain string
}

// Whoami tells whose key this is, which also tries it.
func (c *Client) Whoami(ctx context.Context, u access.Urgency) (Caller, error) {
	cl := call{name: "whoami", op: "ask whose key this is", method: http.MethodGet, route: "/user"}
	var caller Caller
	_, err := c.do(ctx, u, cl, &caller)
	if err == nil && caller.ID == 0 {
		err = cl.garbled(errNoID)
	}
	return caller, err
}
