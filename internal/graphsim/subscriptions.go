package graphsim

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	listsAllowed = 40 // list calls of an app in a tenant, in listWindow
	listWindow   = 20 * time.Second
	listPage     = 50
)

// A Subscription is what an app asked to be told about.
type Subscription struct {
	ID                       string    `json:"id"`
	Resource                 string    `json:"resource"`
	ChangeType               string    `json:"changeType"`
	NotificationURL          string    `json:"notificationUrl"`
	LifecycleNotificationURL string    `json:"lifecycleNotificationUrl"`
	ClientState              string    `json:"clientState"`
	Expires                  time.Time `json:"expires"`
}

func (sub *Subscription) covers(resources []string, changeType string) bool {
	return slices.Contains(strings.Split(sub.ChangeType, ","), changeType) &&
		slices.ContainsFunc(resources, sub.isOf)
}

func (sub *Subscription) isOf(resource string) bool {
	return strings.EqualFold(strings.TrimPrefix(sub.Resource, "/"), resource)
}

// twin tells whether two subscriptions are one too many for Graph.
func (sub *Subscription) twin(other *Subscription) bool {
	return sub.isOf(strings.TrimPrefix(other.Resource, "/")) && sameTypes(sub.ChangeType, other.ChangeType)
}

func sameTypes(a, b string) bool {
	sorted := func(s string) []string { return slices.Sorted(slices.Values(strings.Split(s, ","))) }
	return slices.Equal(sorted(a), sorted(b))
}

type subscriptions struct {
	byID   map[string]*Subscription
	listed []time.Time // list calls of the last listWindow
}

func newSubscriptions() subscriptions { return subscriptions{byID: map[string]*Subscription{}} }

// living drops what has expired and returns the rest, sorted by id.
func (t *subscriptions) living() []*Subscription {
	now := time.Now()
	maps.DeleteFunc(t.byID, func(_ string, sub *Subscription) bool { return !now.Before(sub.Expires) })
	return slices.SortedFunc(maps.Values(t.byID), func(a, b *Subscription) int { return cmp.Compare(a.ID, b.ID) })
}

// get returns a subscription that has not expired, or nil.
func (t *subscriptions) get(id string) *Subscription {
	if sub := t.byID[id]; sub != nil && time.Now().Before(sub.Expires) {
		return sub
	}
	return nil
}

// mayList keeps Graph's limit on listing.
func (t *subscriptions) mayList() bool {
	now := time.Now()
	t.listed = slices.DeleteFunc(t.listed, func(at time.Time) bool { return now.Sub(at) >= listWindow })
	if len(t.listed) >= listsAllowed {
		return false
	}
	t.listed = append(t.listed, now)
	return true
}

func (s *Server) createSubscription(r *http.Request) (answer, error) {
	sub, err := s.readSubscription(r)
	if err != nil {
		return answer{}, err
	}
	if err := s.admit(sub, false); err != nil {
		return answer{}, err
	}
	if err := s.validate(r.Context(), sub.NotificationURL, sub.LifecycleNotificationURL); err != nil {
		return answer{}, err
	}
	if err := s.admit(sub, true); err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, s.describe(sub, sub.ClientState)}, nil
}

// admit looks at everything that depends on what there is already, once before
// the URLs are validated and once after, when it also keeps the subscription.
func (s *Server) admit(sub *Subscription, keep bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.permitted(sub); err != nil {
		return err
	}
	if err := s.subject(sub); err != nil {
		return err
	}
	living := s.subs.living()
	for _, other := range living {
		if sub.twin(other) {
			return &problem{
				status: http.StatusConflict, code: "Conflict",
				message: "subscription " + other.ID + " exists already for this resource and changeType",
			}
		}
	}
	if len(living) >= s.mode.quota {
		return &problem{status: http.StatusForbidden, code: "ExtensionError", message: "Operation: Create; the quota of subscriptions is used up"}
	}
	if keep {
		stored := *sub
		s.subs.byID[sub.ID] = &stored
	}
	return nil
}

func (s *Server) permitted(sub *Subscription) error {
	people := strings.HasPrefix(strings.ToLower(strings.TrimPrefix(sub.Resource, "/")), "users")
	if s.mode.denySubscriptions || people && s.mode.hidePeople {
		return denied("the app lacks the permission to subscribe to " + sub.Resource)
	}
	return nil
}

// subject wants what is subscribed to to exist.
func (s *Server) subject(sub *Subscription) error {
	parts := strings.Split(strings.TrimPrefix(sub.Resource, "/"), "/")
	if len(parts) < 2 {
		return nil
	}
	k := userKind
	if strings.EqualFold(parts[0], "groups") {
		k = groupKind
	}
	if !s.dir.objects[parts[1]].alive(k) {
		return missing("resource", sub.Resource)
	}
	return nil
}

func (s *Server) listSubscriptions(r *http.Request) (answer, error) {
	opts, err := options(r, "$skiptoken")
	if err != nil {
		return answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.subs.mayList() {
		return answer{}, &problem{status: http.StatusTooManyRequests, code: "TooManyRequests", message: "subscriptions are listed too often", retryAfter: 5}
	}
	page := map[string]any{"@odata.context": s.base(r) + "/v1.0/$metadata#subscriptions"}
	lines := []any{}
	for _, sub := range s.subs.living() {
		if sub.ID <= opts["$skiptoken"] { // the token is the last id of the page before
			continue
		}
		if len(lines) == listPage {
			last := lines[listPage-1].(map[string]any)["id"].(string)
			page["@odata.nextLink"] = s.base(r) + "/v1.0/subscriptions?$skiptoken=" + last
			break
		}
		lines = append(lines, s.describe(sub, nil))
	}
	page["value"] = lines
	return ok(page)
}

func (s *Server) getSubscription(r *http.Request) (answer, error) {
	if _, err := options(r); err != nil {
		return answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subs.get(r.PathValue("id"))
	if sub == nil {
		return answer{}, missing("subscription", r.PathValue("id"))
	}
	return ok(s.describe(sub, nil))
}

// renewSubscription validates a new notification URL before it is taken.
func (s *Server) renewSubscription(r *http.Request) (answer, error) {
	expires, target, err := s.readRenewal(r)
	if err != nil {
		return answer{}, err
	}
	if target != "" {
		if err := s.validate(r.Context(), target); err != nil {
			return answer{}, err
		}
	}
	return s.changeSubscription(r, func(sub *Subscription) (answer, error) {
		sub.Expires = expires
		sub.NotificationURL = orDefault(target, sub.NotificationURL)
		return ok(s.describe(sub, nil))
	})
}

func (s *Server) reauthorize(r *http.Request) (answer, error) {
	return s.changeSubscription(r, func(*Subscription) (answer, error) {
		return answer{status: http.StatusNoContent}, nil
	})
}

func (s *Server) changeSubscription(r *http.Request, change func(*Subscription) (answer, error)) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subs.get(r.PathValue("id"))
	if sub == nil {
		return answer{}, missing("subscription", r.PathValue("id"))
	}
	if err := s.permitted(sub); err != nil {
		return answer{}, err
	}
	return change(sub)
}

func (s *Server) deleteSubscription(r *http.Request) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.PathValue("id")
	if s.subs.get(id) == nil {
		return answer{}, missing("subscription", id)
	}
	delete(s.subs.byID, id)
	return answer{status: http.StatusNoContent}, nil
}

// describe renders a subscription; Graph tells clientState only to its maker.
func (s *Server) describe(sub *Subscription, clientState any) map[string]any {
	return map[string]any{
		"id": sub.ID, "resource": sub.Resource, "changeType": sub.ChangeType,
		"applicationId": s.opts.ClientID, "creatorId": s.opts.ClientID,
		"notificationUrl": sub.NotificationURL, "lifecycleNotificationUrl": nullable(sub.LifecycleNotificationURL),
		"clientState": clientState, "includeResourceData": nil, "latestSupportedTlsVersion": "v1_2",
		"expirationDateTime": sub.Expires.UTC().Format(time.RFC3339Nano),
	}
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// Subscriptions returns those that have not expired, sorted by resource.
func (s *Server) Subscriptions() []Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	var subs []Subscription
	for _, sub := range s.subs.living() {
		subs = append(subs, *sub)
	}
	slices.SortStableFunc(subs, func(a, b Subscription) int { return cmp.Compare(a.Resource, b.Resource) })
	return subs
}
