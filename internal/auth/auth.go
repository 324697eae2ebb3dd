// Package auth tells who is calling, and what they may do.
//
// A caller shows an API key, the bootstrap token, or the cookie of a session
// that one of the two sign-ins began. Secrets are compared and stored as
// digests; none of them is ever in an error or a log line.
package auth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// leastToken is how many signs the bootstrap token has at least: it can be
// tried at the door of every replica.
const leastToken = 20

// Options are what a Gate works with.
type Options struct {
	Store      *store.Store
	AdminToken string // lets the first admin in; "": nobody
	PublicURL  string // where browsers reach us; needed for OIDC
	OIDC       OIDCOptions
	// Address tells where a request comes from, behind whatever proxies stand
	// before us. Nil: the other end of the connection.
	Address func(*http.Request) string
	Log     *slog.Logger          // nil: silent
	Metrics prometheus.Registerer // nil: counted for nobody
}

// A Gate knows who is calling. It is safe for concurrent use.
type Gate struct {
	store   *store.Store
	token   []byte // digest of the bootstrap token; nil when there is none
	oidc    *provider
	roles   map[string]Role
	address func(*http.Request) string
	log     *slog.Logger
	metrics *metrics
}

// New makes a Gate. It calls nobody: the provider is asked when somebody
// first signs in, so that the bridge starts while Entra is down.
func New(o Options) (*Gate, error) {
	if err := o.check(); err != nil {
		return nil, &fault.Error{Class: fault.Invalid, Op: "auth: settings", Err: err}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Address == nil {
		o.Address = func(r *http.Request) string { return r.RemoteAddr }
	}
	g := &Gate{
		store: o.Store, address: o.Address,
		log: o.Log, metrics: newMetrics(o.Metrics),
	}
	if o.AdminToken != "" {
		sum := sha256.Sum256([]byte(o.AdminToken))
		g.token = sum[:]
	}
	if o.OIDC.Issuer != "" {
		g.oidc, g.roles = newProvider(o.OIDC, o.PublicURL), o.OIDC.Roles
	}
	return g, nil
}

// check names every mistake at once.
func (o *Options) check() error {
	var wrong []error
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if o.Store == nil {
		complain("a store is needed")
	}
	if n := len(o.AdminToken); n > 0 && n < leastToken {
		complain("the admin token has %d signs; it needs at least %d, such as `openssl rand -base64 24` prints", n, leastToken)
	}
	if strings.HasPrefix(o.AdminToken, keyMark) {
		complain("the admin token begins with %q as API keys do; take another", keyMark)
	}
	if o.OIDC.Issuer != "" {
		wrong = append(wrong, o.OIDC.check(o.PublicURL)...)
	}
	return errors.Join(wrong...)
}

func (o *OIDCOptions) check(public string) []error {
	var wrong []error
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if !isSafe(o.Issuer) {
		complain("the OIDC issuer is %q; an https URL is expected, such as https://login.microsoftonline.com/TENANT/v2.0", o.Issuer)
	}
	if o.ClientID == "" {
		complain("the OIDC client id is missing; it is the application (client) id of the app registration")
	}
	if o.ClientSecret == "" {
		complain("the OIDC client secret is missing; make one under Certificates & secrets of the app registration")
	}
	if !isSafe(public) {
		complain("the public URL is %q; sign-in with OIDC needs the https URL at which browsers reach the bridge", public)
	}
	if len(o.Roles) == 0 {
		complain("no app role or group has a role; without one nobody could sign in")
	}
	for name, role := range o.Roles {
		if name == "" || !role.Allows(Viewer) {
			complain("%q has the role %q; viewer, operator or admin is expected, for an app role or the id of a group", name, role)
		}
	}
	return wrong
}

// isSafe tells whether text is a URL that secrets may be sent to.
func isSafe(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && u.Hostname() == "localhost"
}

// client gives calls to the provider an end, and no redirect to follow: what
// is posted there holds our secret.
func client(base *http.Client) *http.Client {
	c := http.Client{}
	if base != nil {
		c = *base
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}
