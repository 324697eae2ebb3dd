// Package kisisim stands in for Kisi's REST API.
//
// It imports nothing of ours, so that a misread contract cannot be wrong on
// both sides. It is strict where Kisi is, and polices: what the bridge must
// never do is a violation at the moment it happens.
package kisisim

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// DefaultAPIKey opens a server whose options name no other.
const DefaultAPIKey = "kisi-api-key-of-the-stand-in"

// Options are how the stand-in behaves; the zero value is a usual day.
type Options struct {
	APIKey            string
	Rate              int               // requests a second; 0: 5, negative: no limit
	TolerateRate      bool              // a request beyond the rate is answered 429 and is no violation
	DoubleAssignments bool              // a second POST makes a second assignment and a second mail, else 409
	SearchLag         time.Duration     // a new user is missing from lists and searches for so long
	IgnoreFilters     bool              // lists pay no heed to their filters
	RefuseBy422       bool              // an email that exists is answered 422 instead of 409
	Blacklist         []string          // emails that are refused
	Notify            http.RoundTripper // carries events to webhooks; nil: none is sent
	RepeatEvents      bool              // each event is sent twice
	Violation         func(string)      // told at once of every breach; nil: only kept
}

// A User is a person of the organization.
type User struct {
	ID                int
	Email, Name       string
	SendEmails        bool
	Confirm           bool
	AccessEnabled     bool
	ScimAccessEnabled bool
	Notes             *string
	Metadata          map[string]any
	CreatedAt         time.Time
}

// An Assignment gives a role to somebody in something.
type Assignment struct {
	ID            int        `json:"id"`
	RoleID        string     `json:"role_id"`
	AppliesToType string     `json:"applies_to_type"`
	AppliesToID   int        `json:"applies_to_id"`
	AssigneeType  string     `json:"assignee_type"`
	AssigneeID    int        `json:"assignee_id"`
	Notify        bool       `json:"notify"`
	CreatedByType string     `json:"created_by_type"`
	CreatedByID   int        `json:"created_by_id"`
	ValidFrom     *time.Time `json:"valid_from"`
	ValidUntil    *time.Time `json:"valid_until"`
	CreatedAt     time.Time  `json:"created_at"`
}

// A Mail was sent to a person about access.
type Mail struct {
	To    string    `json:"to"`
	About string    `json:"about"`
	At    time.Time `json:"at"`
}

// A Call is a request that was served.
type Call struct {
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Query  string    `json:"query"`
	At     time.Time `json:"at"`
	Status int       `json:"status"`
}

// A Server is one Kisi organization.
type Server struct {
	mux *http.ServeMux

	outbox outbox

	mu           sync.Mutex // guards all below; never held while a fault hangs
	opts         Options
	nextID       int
	users        *table[User]
	byEmail      map[string]int
	folded       map[int]string // what searches for a user look through
	groups       *table[place]
	teams        *table[place]
	assignments  *table[Assignment]
	memberships  *table[Membership]
	integrations *table[integration]
	protected    map[int]bool
	mails        []Mail
	log          []Call
	recent       []time.Time // authenticated requests of the last second
	refusals     int
	faults       []*Fault
	violations   []string
}

// New makes an empty organization.
func New(o Options) *Server {
	if o.APIKey == "" {
		o.APIKey = DefaultAPIKey
	}
	s := &Server{
		mux: http.NewServeMux(), opts: o, nextID: 100,
		users: newTable[User](nil), byEmail: map[string]int{}, folded: map[int]string{},
		groups: newTable[place](nil), teams: newTable[place](nil),
		assignments: newTable(assignmentKeys), memberships: newTable(membershipKeys),
		integrations: newTable[integration](nil), protected: map[int]bool{},
	}
	s.routes()
	s.control()
	return s
}

func (s *Server) routes() {
	for pattern, h := range map[string]handler{
		"GET /user":                     s.getCaller,
		"GET /users":                    s.listUsers,
		"POST /users":                   s.postUser,
		"GET /users/{id}":               s.getUser,
		"PATCH /users/{id}":             s.patchUser,
		"DELETE /users/{id}":            s.deleteUser,
		"GET /groups":                   s.listGroups,
		"GET /groups/{id}":              s.getGroup,
		"GET /teams":                    s.listTeams,
		"GET /teams/{id}":               s.getTeam,
		"GET /team_memberships":         s.listMemberships,
		"POST /team_memberships":        s.postMembership,
		"GET /team_memberships/{id}":    s.getMembership,
		"DELETE /team_memberships/{id}": s.deleteMembership,
		"GET /role_assignments":         s.listAssignments,
		"POST /role_assignments":        s.postAssignment,
		"GET /role_assignments/{id}":    s.getAssignment,
		"PATCH /role_assignments/{id}":  s.patchAssignment,
		"DELETE /role_assignments/{id}": s.deleteAssignment,
		"GET /integrations":             s.listIntegrations,
		"GET /integrations/{id}":        s.getIntegration,
		"POST /integrations":            s.postIntegration,
		"PATCH /integrations/{id}":      s.patchIntegration,
		"DELETE /integrations/{id}":     s.deleteIntegration,
	} {
		s.mux.HandleFunc(pattern, s.serve(h))
	}
	s.mux.HandleFunc("/", s.serve(func(*http.Request) (*answer, error) {
		return nil, &problem{404, "000404", "This endpoint does not exist.", nil}
	}))
}

// ServeHTTP answers as Kisi would.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// violate notes a breach of the contract; s.mu is held.
func (s *Server) violate(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.violations = append(s.violations, text)
	if s.opts.Violation != nil {
		s.opts.Violation(text)
	}
}

// Violations lists every breach so far.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.violations...)
}

// SetOptions changes how the stand-in behaves from now on.
func (s *Server) SetOptions(change func(*Options)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.opts)
}

func (s *Server) id() int {
	s.nextID++
	return s.nextID
}
