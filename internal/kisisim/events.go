package kisisim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// patience is how long a receiver may take.
const patience = 10 * time.Second

// Who changes things: the user whose key the client holds, or an administrator
// in Kisi's own pages.
type by int

const (
	callerID by = 71
	handID   by = 70
)

func (b by) name() string {
	if b == callerID {
		return "Kisi Bridge"
	}
	return "Kim Admin"
}

// webhookEvents are those that this stand-in sends.
func webhookEvents() []string {
	return []string{
		"user.create", "user.update", "user.destroy",
		"role_assignment.create", "role_assignment.update", "role_assignment.destroy",
		"team_membership.create", "team_membership.destroy",
	}
}

type event struct {
	UUID           string    `json:"uuid"`
	Type           string    `json:"type"`
	Success        bool      `json:"success"`
	ActorType      string    `json:"actor_type"`
	ActorID        by        `json:"actor_id"`
	ActorName      string    `json:"actor_name"`
	ObjectType     string    `json:"object_type"`
	ObjectID       int       `json:"object_id"`
	ObjectName     string    `json:"object_name"`
	OrganizationID any       `json:"organization_id"`
	PlaceID        *int      `json:"place_id"`
	ErrorCode      *string   `json:"error_code"`
	ErrorMessage   *string   `json:"error_message"`
	CreatedAt      time.Time `json:"created_at"`
}

// An object is what an event is about.
type object struct {
	kind string // "RoleAssignment"
	noun string // "role_assignment"
	id   int
	name string
}

func (u *User) object() object       { return object{"User", "user", u.ID, u.Name} }
func (a *Assignment) object() object { return object{"RoleAssignment", "role_assignment", a.ID, ""} }

func (m *Membership) object() object { return object{"TeamMembership", "team_membership", m.ID, ""} }

// tell queues an event for every webhook that wants it; s.mu is held.
func (s *Server) tell(who by, what string, o object) {
	if s.opts.Notify == nil {
		return
	}
	e := event{
		UUID: uuid(), Type: o.noun + "." + what, Success: true, ActorType: "User", ActorID: who, ActorName: who.name(),
		ObjectType: o.kind, ObjectID: o.id, ObjectName: o.name, OrganizationID: organization["id"], CreatedAt: time.Now(),
	}
	body, err := json.Marshal(e)
	if err != nil {
		s.violate("event %s: %v", e.Type, err)
		return
	}
	for _, id := range s.integrations.ids {
		i := s.integrations.rows[id]
		if i.kind != eventWebhook || !i.enabled || !slices.Contains(i.hook.EnabledEvents, e.Type) {
			continue
		}
		p := parcel{via: s.opts.Notify, url: i.hook.URL, key: i.hook.SignatureKey, body: body}
		s.outbox.put(p)
		if s.opts.RepeatEvents {
			s.outbox.put(p)
		}
	}
}

func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// A parcel is one event on its way to one webhook.
type parcel struct {
	via      http.RoundTripper
	url, key string
	body     []byte
}

// An outbox sends parcels one after the other. It has a goroutine only while
// there is something to send, so that a server need not be closed.
type outbox struct {
	work sync.WaitGroup

	mu        sync.Mutex // guards all below; never held while a parcel is on its way
	queue     []parcel
	sending   bool
	closed    bool
	delivered int
	failed    int
}

func (o *outbox) put(p parcel) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.queue = append(o.queue, p)
	if !o.sending {
		o.sending = true
		o.work.Go(o.send)
	}
}

func (o *outbox) send() {
	for {
		p, more := o.next()
		if !more {
			return
		}
		o.count(p.deliver())
	}
}

func (o *outbox) next() (parcel, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		o.sending = false
		return parcel{}, false
	}
	p := o.queue[0]
	o.queue = o.queue[1:]
	return p, true
}

// count keeps what became of a parcel. Whoever closes does not wait out a
// receiver that takes nothing, once for every parcel.
func (o *outbox) count(taken bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if taken {
		o.delivered++
		return
	}
	o.failed++
	if o.closed {
		o.failed += len(o.queue)
		o.queue = nil
	}
}

// deliver sends a parcel once: whether Kisi tries again is nowhere written.
func (p parcel) deliver() (taken bool) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(p.body))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(p.key))
	mac.Write(p.body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	res, err := p.via.RoundTrip(r)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)) // so that the connection can be used again
	return res.StatusCode/100 == 2
}

// Close sends no more events, and waits for those that are on their way.
func (s *Server) Close() {
	s.outbox.mu.Lock()
	s.outbox.closed = true
	s.outbox.mu.Unlock()
	s.outbox.work.Wait()
}

// Deliveries counts the events that webhooks took, and those that they did not.
func (s *Server) Deliveries() (taken, failed int) {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	return s.outbox.delivered, s.outbox.failed
}
