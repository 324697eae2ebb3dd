// Package graphsim stands in for Microsoft Graph and its login host.
//
// It is strict where Graph is strict, and stricter where a guess of ours could
// hide: an option, a field or a route that the contract does not name is
// answered 400 and kept as a violation. It imports nothing of ours, so that a
// misread contract cannot be wrong on both sides.
package graphsim

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// What a Server uses where Options say nothing.
const (
	DefaultTenant       = "7f3a2c10-5b9e-4d61-8c47-2e90d1b6a5f3"
	DefaultClientID     = "1d4e8b72-9a06-4f35-b2c8-6e5f70a91d34"
	DefaultClientSecret = "graphsim-secret"
)

// Options shape a Server; the zero value is a Graph that notifies nobody.
type Options struct {
	Tenant, ClientID, ClientSecret string

	Notify            http.RoundTripper // carries validations and notifications; nil: none arrives
	PageSize          int               // members in a delta page; 0: 100, so that groups are split
	Violation         func(string)      // told at once of every breach of the contract
	SubscriptionQuota int               // 0: 100, Graph's quota of an app in a tenant
	BaseURL           string            // begins every link; "": taken from each request
	AllowHTTP         bool              // lets notification URLs be plain http
}

func (o Options) withDefaults() Options {
	o.Tenant = orDefault(o.Tenant, DefaultTenant)
	o.ClientID = orDefault(o.ClientID, DefaultClientID)
	o.ClientSecret = orDefault(o.ClientSecret, DefaultClientSecret)
	o.PageSize = orDefault(o.PageSize, 100)
	o.SubscriptionQuota = orDefault(o.SubscriptionQuota, 100)
	return o
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// A Server is one tenant of Graph, its login host and its control, as an
// http.Handler. Its methods may be called at any time by anybody.
type Server struct {
	opts    Options
	routes  *http.ServeMux // /v1.0/… and the login host
	control *http.ServeMux // /_sim/…

	ctx  context.Context // ends at Close
	stop context.CancelFunc
	work sync.WaitGroup // deliveries under way

	calls  callLog
	faults faults
	outbox outbox

	breaches struct {
		sync.Mutex
		said []string
	}

	mu     sync.Mutex // guards all below; never held across a wait or a call
	closed bool
	dir    directory
	links  vault[*link]    // delta links
	pages  vault[*listing] // the rest of plain lists
	tokens vault[bool]     // access tokens
	subs   subscriptions
	mode   mode
}

// mode is how the tenant behaves at the moment.
type mode struct {
	deltaLag, memberLag time.Duration
	replay              bool
	hidePeople          bool
	hideDeleted         bool
	denySubscriptions   bool
	quota               int                 // of subscriptions
	falseLeaves         map[string][]string // by group
	falseMembers        map[string][]string // by group
}

// New returns an empty tenant. It must be closed.
func New(opts Options) *Server {
	s := &Server{opts: opts.withDefaults()}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.dir = newDirectory()
	s.mode = mode{quota: s.opts.SubscriptionQuota, falseLeaves: map[string][]string{}, falseMembers: map[string][]string{}}
	s.subs = newSubscriptions()
	s.links = newVault[*link](linkLife)
	s.pages = newVault[*listing](time.Hour)
	s.tokens = newVault[bool](tokenLife)
	s.outbox.slots = make(chan struct{}, deliverersAtOnce)
	s.calls.counts = map[string]int{}
	s.routes = s.newRoutes()
	s.control = s.newControl()
	return s
}

// Close stops all deliveries and waits for their goroutines.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.work.Wait()
}

// ServeHTTP answers for Graph, for the login host and for the control.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sim/") {
		s.control.ServeHTTP(w, r)
		return
	}
	call := s.calls.begin(r.Method, r.URL)
	seen := &statusWriter{ResponseWriter: w}
	defer func() { s.calls.end(call, seen.status) }()
	if isGraph(r) {
		w.Header().Set("request-id", newID())
		if p := s.authorize(r); p != nil {
			s.refuse(seen, r, p)
			return
		}
	}
	s.around(r.Method+" "+r.URL.Path, seen, r)
}

func isGraph(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/v1.0/") }

// Violations returns every breach of the contract so far, oldest first.
func (s *Server) Violations() []string {
	s.breaches.Lock()
	defer s.breaches.Unlock()
	return slices.Clone(s.breaches.said)
}

// violate records a breach. It calls out, so no lock may be held.
func (s *Server) violate(format string, args ...any) {
	said := fmt.Sprintf(format, args...)
	s.breaches.Lock()
	s.breaches.said = append(s.breaches.said, said)
	s.breaches.Unlock()
	if s.opts.Violation != nil {
		s.opts.Violation(said)
	}
}

// start runs f in a goroutine that Close waits for, unless the server is
// closed. s.mu must be held, so that Close cannot miss it.
func (s *Server) start(f func()) {
	if !s.closed {
		s.work.Go(f)
	}
}

// SetReplicationLag makes delta, and every read that goes through the index
// (casts, counts, transitive members), show changes only after lag.
func (s *Server) SetReplicationLag(lag time.Duration) { s.set(func(m *mode) { m.deltaLag = lag }) }

// SetMemberLag makes plain member lists show changes only after lag.
func (s *Server) SetMemberLag(lag time.Duration) { s.set(func(m *mode) { m.memberLag = lag }) }

// SetReplay makes each delta round tell the round before it once more.
func (s *Server) SetReplay(on bool) { s.set(func(m *mode) { m.replay = on }) }

// DenySubscriptions takes the permission to subscribe away.
func (s *Server) DenySubscriptions(on bool) { s.set(func(m *mode) { m.denySubscriptions = on }) }

// HidePeople takes User.Read.All away: people come as bare ids.
func (s *Server) HidePeople(on bool) { s.set(func(m *mode) { m.hidePeople = on }) }

// HideDeleted leaves soft-deleted people out of member lists. Graph's documents
// say that they keep their membership and are silent about the lists, so that
// a bridge must be right in both worlds.
func (s *Server) HideDeleted(on bool) { s.set(func(m *mode) { m.hideDeleted = on }) }

// SetQuota changes how many subscriptions the app may have. Those that are
// there stay: other apps may have used up what the tenant has.
func (s *Server) SetQuota(n int) { s.set(func(m *mode) { m.quota = n }) }

func (s *Server) set(change func(*mode)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.mode)
}
