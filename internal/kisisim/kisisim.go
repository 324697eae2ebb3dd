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
	Rate              int           // requests a second; 0: 5, negative: no limit
	TolerateRate      bool          // a request beyond the rate is answered 429 and is no violation
	DoubleAssignments bool          // a second POST makes a second assignment and a second mail, else 409
	SearchLag         time.Duration // a new user is missing from lists and searches for so long
	IgnoreFilters     bool          // lists pay no heed to their filters
	RefuseBy422       bool          // an email that exists is answered 422 instead of 409
	Blacklist         []string      // emails that are refused
	Violation         func(string)  // told at once of every breach; nil: only kept
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
	ID            int
	RoleID        string
	AppliesToType string
	AppliesToID   int
	AssigneeType  string
	AssigneeID    int
	Notify        bool
	CreatedByType string
	CreatedByID   int
	ValidFrom     *time.Time
	ValidUntil    *time.Time
	CreatedAt     time.Time
}

// A Membership puts somebody into a team.
type Membership struct {
	ID, TeamID int
	MemberType string
	MemberID   int
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

type place struct {
	id      int
	name    string
	created time.Time
}

type pair struct {
	assignee int
	group    int
}

// A Server is one Kisi organization.
type Server struct {
	mux *http.ServeMux

	mu          sync.Mutex // guards all below; never held while a fault hangs
	opts        Options
	nextID      int
	users       map[int]*User
	userIDs     []int // in the order they came
	byEmail     map[string]int
	groups      map[int]place
	groupIDs    []int
	teams       map[int]place
	teamIDs     []int
	assignments *table[Assignment]
	rowsOf      map[pair][]int // group_basic of users
	memberships *table[Membership]
	imports     []integration
	protected   map[int]bool
	mails       []Mail
	log         []Call
	recent      []time.Time // authenticated requests of the last second
	refusals    int
	faults      []*Fault
	violations  []string
}

// New makes an empty organization.
func New(o Options) *Server {
	if o.APIKey == "" {
		o.APIKey = DefaultAPIKey
	}
	s := &Server{
		mux: http.NewServeMux(), opts: o, nextID: 100,
		users: map[int]*User{}, byEmail: map[string]int{}, groups: map[int]place{}, teams: map[int]place{},
		assignments: newTable[Assignment](), rowsOf: map[pair][]int{}, memberships: newTable[Membership](),
		protected: map[int]bool{},
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
		"DELETE /role_assignments/{id}": s.deleteAssignment,
		"GET /integrations":             s.listIntegrations,
		"GET /integrations/{id}":        s.getIntegration,
		"POST /integrations":            s.postIntegration,
	} {
		s.mux.HandleFunc(pattern, s.serve(h))
	}
	s.mux.HandleFunc("/", s.serve(func(r *http.Request) (*answer, error) {
		for _, old := range []string{"/members", "/shares"} {
			if r.URL.Path == old {
				s.violate("%s %s: deprecated", r.Method, r.URL.Path)
			}
		}
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
