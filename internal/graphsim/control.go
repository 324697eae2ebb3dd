package graphsim

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// newControl knows how a person or a test looks at the tenant and changes it,
// without a token. Groups go by id or display name, people by id or user
// principal name.
func (s *Server) newControl() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, do := range map[string]func(*http.Request) (any, error){
		"GET /_sim/state":      s.showState,
		"GET /_sim/calls":      s.showCalls,
		"GET /_sim/violations": s.showViolations,

		"PUT /_sim/groups/{group}/members/{member}":    s.moveByHand(true),
		"DELETE /_sim/groups/{group}/members/{member}": s.moveByHand(false),
		"POST /_sim/groups":                            s.addGroupByHand,
		"DELETE /_sim/groups/{group}":                  s.deleteGroupByHand,
		"POST /_sim/groups/{group}/restore":            s.restoreGroupByHand,
		"POST /_sim/users":                             s.addUserByHand,
		"PATCH /_sim/users/{user}":                     s.updateUserByHand,
		"DELETE /_sim/users/{user}":                    s.deleteUserByHand,
		"POST /_sim/users/{user}/restore":              s.restoreUserByHand,

		"POST /_sim/faults":                       s.faultByHand,
		"DELETE /_sim/faults":                     s.clearFaultsByHand,
		"POST /_sim/delivery":                     s.deliveryByHand,
		"POST /_sim/lag":                          s.lagByHand,
		"POST /_sim/permissions":                  s.permissionsByHand,
		"POST /_sim/quota":                        s.quotaByHand,
		"POST /_sim/groups/{group}/lies":          s.lieByHand,
		"POST /_sim/links/expire":                 s.expireByHand,
		"DELETE /_sim/subscriptions/{id}":         s.removeSubscriptionByHand,
		"POST /_sim/subscriptions/{id}/lifecycle": s.lifecycleByHand,
	} {
		mux.HandleFunc(pattern, byHand(do))
	}
	mux.HandleFunc("/", byHand(func(r *http.Request) (any, error) {
		return nil, unknown("route %s %s", r.Method, r.URL.Path)
	}))
	return mux
}

// unknown is an error that says what there is not.
func unknown(format string, args ...any) error {
	return &problem{status: http.StatusNotFound, message: fmt.Sprintf("there is no "+format, args...)}
}

// byHand answers in plain JSON; what is wrong with a request is 400.
func byHand(do func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out, err := do(r)
		if err != nil {
			status := http.StatusBadRequest
			if p, ok := errors.AsType[*problem](err); ok {
				status = p.status
			}
			say(w, answer{status, map[string]any{"error": err.Error()}})
			return
		}
		say(w, answer{http.StatusOK, out})
	}
}

// read reads a body that may be sent by curl without a content type.
func read[T any](r *http.Request) (T, error) {
	var v T
	if err := decodeStrictly(r.Body, &v); err != nil {
		return v, fmt.Errorf("body: %w", err)
	}
	return v, nil
}

type shownGroup struct {
	ID          string   `json:"id"`
	DisplayName string   `json:"displayName"`
	Deleted     bool     `json:"deleted,omitempty"`
	Members     []string `json:"members"`
}

type shownUser struct {
	User
	Deleted bool `json:"deleted,omitempty"`
}

func (s *Server) showState(*http.Request) (any, error) {
	users, groups := []shownUser{}, []shownGroup{}
	s.mu.Lock()
	for _, r := range s.dir.all(userKind) {
		users = append(users, shownUser{r.user, r.state != live})
	}
	for _, r := range s.dir.all(groupKind) {
		members := append([]string{}, s.dir.membersOf(r.id)...)
		groups = append(groups, shownGroup{r.id, r.name, r.state != live, members})
	}
	s.mu.Unlock()
	subs := append([]Subscription{}, s.Subscriptions()...)
	return map[string]any{"users": users, "groups": groups, "subscriptions": subs}, nil
}

func (s *Server) showCalls(r *http.Request) (any, error) {
	prefix := r.URL.Query().Get("prefix")
	calls := []Call{}
	for _, c := range s.Log() {
		if strings.HasPrefix(c.Method+" "+c.Path, prefix) {
			calls = append(calls, c)
		}
	}
	return map[string]any{"count": s.Calls(prefix), "calls": calls}, nil
}

func (s *Server) showViolations(*http.Request) (any, error) {
	return map[string]any{"violations": append([]string{}, s.Violations()...)}, nil
}

// find returns the id of what is of kind k and called name, or an error that
// says so. Deleted objects go by id only.
func (s *Server) find(what, name string, k kind) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.dir.objects[name]; r.is(k) && r.state != purged {
		return r.id, nil
	}
	if r := s.dir.userByName(name); k == userKind && r != nil {
		return r.id, nil
	}
	for _, r := range s.dir.all(k) {
		if k != userKind && r.state == live && strings.EqualFold(r.name, name) {
			return r.id, nil
		}
	}
	return "", unknown("%s %q", what, name)
}

// findMember looks for a person first, then for anything else.
func (s *Server) findMember(name string) (string, error) {
	for _, k := range []kind{userKind, groupKind, deviceKind, principalKind} {
		if id, err := s.find("member", name, k); err == nil {
			return id, nil
		}
	}
	return "", unknown("person, group or device %q", name)
}

func (s *Server) moveByHand(join bool) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		group, err := s.find("group", r.PathValue("group"), groupKind)
		if err != nil {
			return nil, err
		}
		member, err := s.findMember(r.PathValue("member"))
		if err != nil {
			return nil, err
		}
		if err := s.move(group, []string{member}, join); err != nil {
			return nil, err
		}
		return map[string]any{"group": group, "member": member, "in": join}, nil
	}
}
