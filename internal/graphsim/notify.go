package graphsim

import (
	"encoding/json"
	"slices"
	"time"
)

// maxPost bounds a body; what is more goes into another POST.
const maxPost = 1 << 20

// A notification is one item of a body, as Graph writes it.
type notification struct {
	SubscriptionID string         `json:"subscriptionId"`
	Expires        string         `json:"subscriptionExpirationDateTime"`
	ClientState    string         `json:"clientState"`
	ChangeType     string         `json:"changeType,omitempty"`
	LifecycleEvent string         `json:"lifecycleEvent,omitempty"`
	TenantID       string         `json:"tenantId"`
	Resource       string         `json:"resource,omitempty"`
	ResourceData   map[string]any `json:"resourceData,omitempty"`
}

// A pushedMember is a line of members@delta in a notification, where removal
// is a string and there is no type, other than in a delta query.
type pushedMember struct {
	ID      string `json:"id"`
	Removed string `json:"@removed,omitempty"`
}

// The three below tell of a change; s.mu must be held.

func (s *Server) tellUser(id, changeType string) {
	s.tell([]string{"users", "users/" + id}, changeType, "Users/"+id, map[string]any{
		"@odata.type": "#Microsoft.Graph.User", "id": id,
	})
}

func (s *Server) tellGroup(id, changeType string) {
	s.tell([]string{"groups", "groups/" + id}, changeType, "Groups/"+id, map[string]any{
		"@odata.type": "#Microsoft.Graph.Group", "id": id,
	})
}

func (s *Server) tellMembers(group string, moved []string, joined bool) {
	if len(moved) == 0 || !s.dir.objects[group].alive(groupKind) {
		return
	}
	removed := ""
	if !joined {
		removed = "deleted"
	}
	lines := make([]pushedMember, 0, len(moved))
	for _, id := range moved {
		lines = append(lines, pushedMember{ID: id, Removed: removed})
	}
	heard := []string{"groups", "groups/" + group, "groups/" + group + "/members"}
	s.tell(heard, "updated", "Groups/"+group, map[string]any{
		"@odata.type": "#Microsoft.Graph.Group", "id": group, "members@delta": lines,
	})
}

// tell sends a change to everybody who subscribed to one of resources.
func (s *Server) tell(resources []string, changeType, name string, data map[string]any) {
	data["@odata.id"] = name
	data["organizationId"] = s.opts.Tenant
	var parcels []*parcel
	for _, sub := range s.subs.living() {
		if sub.covers(resources, changeType) {
			n := s.newNotification(sub)
			n.ChangeType, n.Resource, n.ResourceData = changeType, name, data
			parcels = pack(parcels, sub.NotificationURL, n)
		}
	}
	for _, p := range parcels {
		s.dispatch(p)
	}
}

func (s *Server) newNotification(sub *Subscription) notification {
	return notification{
		SubscriptionID: sub.ID,
		Expires:        sub.Expires.UTC().Format(time.RFC3339),
		ClientState:    sub.ClientState,
		TenantID:       s.opts.Tenant,
	}
}

// pack puts a notification beside others for the same URL.
func pack(parcels []*parcel, target string, n notification) []*parcel {
	text, _ := json.Marshal(n) // of strings and lists of them: cannot fail
	i := slices.IndexFunc(parcels, func(p *parcel) bool { return p.target == target && p.size+len(text) <= maxPost })
	if i < 0 {
		i = len(parcels)
		parcels = append(parcels, &parcel{target: target})
	}
	parcels[i].items = append(parcels[i].items, parcelItem{subscription: n.SubscriptionID, text: text})
	parcels[i].size += len(text)
	return parcels
}

// RemoveSubscription drops a subscription as Graph may at any time, and tells
// its lifecycle URL if asked to.
func (s *Server) RemoveSubscription(id string, sendLifecycle bool) {
	s.mu.Lock()
	sub := s.subs.get(id)
	delete(s.subs.byID, id)
	if sub != nil && sendLifecycle {
		s.sendLifecycle(sub, "subscriptionRemoved")
	}
	s.mu.Unlock()
	if sub == nil {
		s.violate("graphsim: removal of subscription %s, which does not exist", id)
	}
}

// SendLifecycle sends reauthorizationRequired, subscriptionRemoved or missed.
func (s *Server) SendLifecycle(id, event string) {
	s.mu.Lock()
	sub := s.subs.get(id)
	if sub != nil {
		s.sendLifecycle(sub, event)
	}
	s.mu.Unlock()
	if sub == nil {
		s.violate("graphsim: %s for subscription %s, which does not exist", event, id)
	}
}

func (s *Server) sendLifecycle(sub *Subscription, event string) {
	if sub.LifecycleNotificationURL == "" {
		return
	}
	n := s.newNotification(sub)
	n.LifecycleEvent = event
	for _, p := range pack(nil, sub.LifecycleNotificationURL, n) {
		p.always = true
		s.dispatch(p)
	}
}
