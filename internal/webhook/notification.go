package webhook

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"kisibridge/internal/access"
)

// maxLag is the oldest time of an event that is believed. Graph tries a
// notification again for 4 hours.
const maxLag = 24 * time.Hour

// A notice is one item of a body; its texts are parts of that body.
type notice struct {
	subscription []byte
	clientState  []byte
	tenant       []byte
	resource     []byte
	event        []byte // lifecycleEvent; nil for a change of the group
	eventTime    []byte // seen in captures, promised nowhere
	malformed    bool
}

// A due is what a subscription's group, or tenant, is woken for.
type due struct {
	sub        *ours
	keep, pull access.Cause
	since      time.Time
}

// A batch is one body and what has become of it.
type batch struct {
	body     bytes.Buffer
	mark     int64 // the newest table that may be older than the request
	received time.Time

	// What judge found.
	outcomes outcomes
	lags     []time.Duration
	suspect  *ours // a subscription for which somebody used another client state
	dues     []due
	at       map[*ours]int // where a subscription stands in dues

	groups, people asked // what tenant-wide subscriptions tell of
}

func newBatch() *batch { return &batch{at: map[*ours]int{}} }

// reset forgets everything but the memory.
func (b *batch) reset() {
	b.body.Reset()
	b.forget()
}

// forget drops what an earlier judgement found.
func (b *batch) forget() {
	b.outcomes, b.suspect, b.lags = outcomes{}, nil, b.lags[:0]
	clear(b.dues)
	b.dues = b.dues[:0]
	clear(b.at)
	b.groups.forget()
	b.people.forget()
}

// judge decides about every item by what is known of the subscriptions. It
// is false when the body is broken. The items are not kept: in 4 MiB, there
// is room for a million empty ones.
func (b *batch) judge(known *snapshot) bool {
	b.forget()
	return parse(b.body.Bytes(), func(n *notice) {
		b.outcomes[b.one(n, known)]++
	})
}

// doubtful tells whether an item would be ours if the table were too old.
func (b *batch) doubtful() bool {
	return b.outcomes[unknownSubscription]+b.outcomes[foreignState] > 0
}

// one decides about an item. Everybody's client state is hashed and compared,
// so that neither its length nor whether the subscription is known shows in
// the time that takes.
func (b *batch) one(n *notice, known *snapshot) outcome {
	if n.malformed || len(n.subscription) == 0 {
		return malformed
	}
	sub := known.find(n.subscription)
	sum := sha256.Sum256(n.clientState)
	genuine := subtle.ConstantTimeCompare(sum[:], sub.state[:]) == 1
	switch {
	case sub == known.nobody:
		return unknownSubscription
	case !genuine:
		b.suspect = sub
		return foreignState
	// A tenant or resource that is not told speaks against nothing.
	case len(n.tenant) > 0 && !same(n.tenant, sub.tenant):
		return otherTenant
	case len(n.event) > 0:
		return b.lived(n, sub)
	case sub.covers != "":
		return b.mention(n, sub)
	case len(n.resource) > 0 && !about(n.resource, sub.groupID):
		return otherGroup
	}
	b.call(sub, 0, access.ByNotice, b.since(n))
	return accepted
}

func (b *batch) lived(n *notice, sub *ours) outcome {
	keep, pull, known := lifecycleOf(sub, n.event)
	if !known {
		return unknownEvent
	}
	b.call(sub, keep, pull, b.received)
	return accepted
}

// since is when the event happened, where that is told and can be true.
func (b *batch) since(n *notice) time.Time {
	if len(n.eventTime) == 0 {
		return b.received
	}
	at, err := time.Parse(time.RFC3339, string(n.eventTime))
	lag := b.received.Sub(at)
	if err != nil || lag < 0 || lag > maxLag {
		return b.received
	}
	b.lags = append(b.lags, lag)
	return at
}

// call folds what is asked for the same group, with the earliest time.
func (b *batch) call(sub *ours, keep, pull access.Cause, since time.Time) {
	k, ok := b.at[sub]
	if !ok {
		k = len(b.dues)
		b.at[sub] = k
		b.dues = append(b.dues, due{sub: sub, since: since})
	}
	d := &b.dues[k]
	d.keep |= keep
	d.pull |= pull
	if since.Before(d.since) {
		d.since = since
	}
}

// wakes lists what the batch calls for, each once. A pull is as urgent as a
// revocation, for it may find one.
func (b *batch) wakes() []access.Wake {
	wakes := make([]access.Wake, 0, len(b.dues)) // not kept in b: it goes to others
	for _, d := range b.dues {
		if d.keep != 0 {
			wakes = append(wakes, access.KeepOf(d.sub.group, d.keep, d.since))
		}
		if d.pull != 0 {
			wakes = append(wakes, d.sub.reading(d.pull, d.since))
		}
	}
	return b.wakesOf(wakes)
}

// The kinds of resource that notices are about.
const (
	ofGroups = "groups"
	ofUsers  = "users"
)

// idOf finds the id in "Groups/ID" or "groups/ID/members", if the resource is
// of that kind.
func idOf(kind string, resource []byte) (id []byte, ok bool) {
	is, rest, _ := bytes.Cut(bytes.TrimPrefix(resource, []byte("/")), []byte("/"))
	if !bytes.EqualFold(is, []byte(kind)) {
		return nil, false
	}
	id, _, _ = bytes.Cut(rest, []byte("/"))
	return id, true
}

// about tells whether a resource is in the group of that id.
func about(resource, group []byte) bool {
	id, ok := idOf(ofGroups, resource)
	return ok && same(id, group)
}

// same compares ids without case; nearly always they are the same bytes.
func same(a, b []byte) bool { return bytes.Equal(a, b) || bytes.EqualFold(a, b) }
