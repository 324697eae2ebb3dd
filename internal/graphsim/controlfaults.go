package graphsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// A span is a duration as people write it: "1m30s".
type span time.Duration

func (d *span) UnmarshalJSON(text []byte) error {
	var said string
	if err := json.Unmarshal(text, &said); err != nil {
		return fmt.Errorf(`a duration is a string such as "1m30s": %w`, err)
	}
	parsed, err := time.ParseDuration(said)
	*d = span(parsed)
	return err
}

func done() (any, error) { return map[string]any{"ok": true}, nil }

func (s *Server) faultByHand(r *http.Request) (any, error) {
	f, err := read[struct {
		Route      string `json:"route"`
		Status     int    `json:"status"`
		RetryAfter int    `json:"retryAfter"`
		Times      int    `json:"times"`
		Skip       int    `json:"skip"`
		Hang       span   `json:"hang"`
		Lost       bool   `json:"lost"`
		HTML       bool   `json:"html"`
	}](r)
	if err != nil {
		return nil, err
	}
	if f.Status != 0 && (f.Status < 400 || f.Status > 599) {
		return nil, fmt.Errorf("status must be 400 to 599, not %d", f.Status)
	}
	s.SetFault(Fault{
		Route: f.Route, Status: f.Status, RetryAfter: f.RetryAfter, Times: f.Times, Skip: f.Skip,
		Hang: time.Duration(f.Hang), Lost: f.Lost, HTML: f.HTML,
	})
	return done()
}

func (s *Server) clearFaultsByHand(*http.Request) (any, error) {
	s.ClearFaults()
	return done()
}

func (s *Server) deliveryByHand(r *http.Request) (any, error) {
	d, err := read[struct {
		Delay     span `json:"delay"`
		Drop      bool `json:"drop"`
		Duplicate bool `json:"duplicate"`
		Reorder   bool `json:"reorder"`
	}](r)
	if err != nil {
		return nil, err
	}
	s.SetDelivery(Delivery{Delay: time.Duration(d.Delay), Drop: d.Drop, Duplicate: d.Duplicate, Reorder: d.Reorder})
	return done()
}

func (s *Server) lagByHand(r *http.Request) (any, error) {
	lag, err := read[struct {
		Delta   span `json:"delta"`
		Members span `json:"members"`
	}](r)
	if err != nil {
		return nil, err
	}
	s.SetReplicationLag(time.Duration(lag.Delta))
	s.SetMemberLag(time.Duration(lag.Members))
	return done()
}

func (s *Server) permissionsByHand(r *http.Request) (any, error) {
	p, err := read[struct {
		DenySubscriptions bool `json:"denySubscriptions"`
		HidePeople        bool `json:"hidePeople"`
	}](r)
	if err != nil {
		return nil, err
	}
	s.DenySubscriptions(p.DenySubscriptions)
	s.HidePeople(p.HidePeople)
	return done()
}

func (s *Server) quotaByHand(r *http.Request) (any, error) {
	q, err := read[struct {
		Quota *int `json:"quota"`
	}](r)
	if err != nil {
		return nil, err
	}
	if q.Quota == nil || *q.Quota < 0 {
		return nil, fmt.Errorf("quota is needed, such as 100")
	}
	s.SetQuota(*q.Quota)
	return done()
}

// lieByHand takes {"left":[…],"missing":[…]}; who is left out is not lied about.
func (s *Server) lieByHand(r *http.Request) (any, error) {
	group, err := s.find("group", r.PathValue("group"), groupKind)
	if err != nil {
		return nil, err
	}
	lies, err := read[struct {
		Left    []string `json:"left"`
		Missing []string `json:"missing"`
	}](r)
	if err != nil {
		return nil, err
	}
	for _, names := range [][]string{lies.Left, lies.Missing} {
		for i, name := range names {
			if names[i], err = s.findMember(name); err != nil {
				return nil, err
			}
		}
	}
	s.SetFalseLeave(group, lies.Left...)
	s.SetFalseMembers(group, lies.Missing...)
	return done()
}

// expireByHand takes {"status":400} where 410, the default, is not meant. The
// body may be left out.
func (s *Server) expireByHand(r *http.Request) (any, error) {
	how := struct {
		Status int `json:"status"`
	}{http.StatusGone}
	if r.ContentLength != 0 {
		if err := decodeStrictly(r.Body, &how); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
	}
	if how.Status != http.StatusGone && how.Status != http.StatusBadRequest {
		return nil, fmt.Errorf("status must be 410 or 400, not %d", how.Status)
	}
	s.expireLinks(how.Status)
	return done()
}

func (s *Server) removeSubscriptionByHand(r *http.Request) (any, error) {
	if err := s.mustSubscribe(r.PathValue("id")); err != nil {
		return nil, err
	}
	s.RemoveSubscription(r.PathValue("id"), r.URL.Query().Get("lifecycle") == "true")
	return done()
}

func (s *Server) lifecycleByHand(r *http.Request) (any, error) {
	event, err := read[struct {
		Event string `json:"event"`
	}](r)
	if err != nil {
		return nil, err
	}
	if err := s.mustSubscribe(r.PathValue("id")); err != nil {
		return nil, err
	}
	s.SendLifecycle(r.PathValue("id"), event.Event)
	return done()
}

func (s *Server) mustSubscribe(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subs.get(id) == nil {
		return unknown("subscription %q", id)
	}
	return nil
}
