package store

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"kisibridge/internal/access"
)

// Meet remembers that a Kisi user is a person. Two people of Entra who share
// an address share a user, and so a grant.
func (s *Store) Meet(ctx context.Context, kisi string, user int, person string) error {
	err := s.run(ctx, "meet", []string{usersKey(kisi)}, user, pack(person)).Err()
	return sorted("redis: remember user of "+kisi, err)
}

// Met lists the people whom a Kisi user stands for, sorted.
func (s *Store) Met(ctx context.Context, kisi string, user int) ([]string, error) {
	text, err := s.redis.HGet(ctx, usersKey(kisi), strconv.Itoa(user)).Result()
	if there, err := found(err); !there {
		return nil, sorted("redis: look up user of "+kisi, err)
	}
	var people []string
	for name := range strings.FieldsSeq(text) {
		people = append(people, unpack(name))
	}
	slices.Sort(people)
	return people, nil
}

// A Drift is what a look at Kisi found beside what the ledger says.
type Drift struct {
	At        time.Time  `json:"at"`
	Vanished  []string   `json:"vanished,omitempty"`  // people whose grant was taken away by hand, and is put back
	Strangers []Stranger `json:"strangers,omitempty"` // access of people who were never in the group
	LockedAt  time.Time  `json:"locked_at,omitzero"`  // when it was last asked who is
	Locked    []string   `json:"locked,omitempty"`    // people to whom Kisi opens no door, whatever they hold
	More      int        `json:"more,omitempty"`      // strangers who are not listed here
	Cut       string     `json:"cut,omitempty"`       // why Kisi's list is not whole
}

// A Stranger has access that the bridge neither made nor took over.
type Stranger struct {
	User  int    `json:"user"`
	Row   int    `json:"row"`
	Email string `json:"email,omitempty"`
}

// SaveDrift writes what the last look found.
func (s *Store) SaveDrift(ctx context.Context, t access.Target, d Drift) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return sorted("redis: save drift of "+t.String(), s.redis.Set(ctx, driftKey(t), text, 0).Err())
}

// Drift reads what the last look found; its zero time says that none was made.
func (s *Store) Drift(ctx context.Context, t access.Target) (Drift, error) {
	var d Drift
	text, err := s.redis.Get(ctx, driftKey(t)).Result()
	if there, err := found(err); !there {
		return d, sorted("redis: read drift of "+t.String(), err)
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return d, broken("drift of "+t.String(), err)
	}
	return d, nil
}

// SaveHook remembers the event webhook of a Kisi connection; one without an
// id forgets it.
func (s *Store) SaveHook(ctx context.Context, kisi string, h access.Hook) error {
	op := "redis: save hook of " + kisi
	if h.ID == 0 {
		return sorted(op, s.redis.HDel(ctx, hooksKey, kisi).Err())
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return sorted(op, s.redis.HSet(ctx, hooksKey, kisi, text).Err())
}

// Hook reads the event webhook of a Kisi connection; its zero value is none.
func (s *Store) Hook(ctx context.Context, kisi string) (access.Hook, error) {
	var h access.Hook
	text, err := s.redis.HGet(ctx, hooksKey, kisi).Result()
	if there, err := found(err); !there {
		return h, sorted("redis: read hook of "+kisi, err)
	}
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return h, broken("hook of "+kisi, err)
	}
	return h, nil
}

// HookKey is what signs the events of a Kisi connection; "" is none.
func (s *Store) HookKey(ctx context.Context, kisi string) (string, error) {
	h, err := s.Hook(ctx, kisi)
	return h.Key, err
}

// FreshEvent tells whether a body was not seen within a day.
func (s *Store) FreshEvent(ctx context.Context, kisi, digest string) (bool, error) {
	fresh, err := s.redis.SetNX(ctx, seenKey(kisi, digest), 1, 24*time.Hour).Result()
	return fresh, sorted("redis: look whether an event was seen", err)
}

// ForgetEvent lets the same event come again: it was not acted on.
func (s *Store) ForgetEvent(ctx context.Context, kisi, digest string) error {
	return sorted("redis: forget an event", s.redis.Del(ctx, seenKey(kisi, digest)).Err())
}

// ownNews is how long Kisi may take to tell us of what we did ourselves.
const ownNews = time.Minute

// Wrote remembers for a while that we made or deleted a row of a target, or,
// of users only, a user: what Kisi tells of it is no news.
func (s *Store) Wrote(ctx context.Context, t access.Target, id int) error {
	return sorted("redis: remember what was written to "+t.String(), s.redis.Set(ctx, wroteKey(t, id), t.String(), ownNews).Err())
}

// WroteTo tells to which target we wrote the row of an id lately; only the
// connection and the type of t matter.
func (s *Store) WroteTo(ctx context.Context, t access.Target, id int) (to access.Target, lately bool, err error) {
	text, err := s.redis.Get(ctx, wroteKey(t, id)).Result()
	if lately, err = found(err); !lately {
		return to, false, sorted("redis: look what was written to "+t.Connection, err)
	}
	to, err = access.ParseTarget(text)
	if err != nil {
		return to, false, broken("what was written to "+t.Connection, err)
	}
	return to, true, nil
}

// Decided tells whether everybody of a target was decided about since anything
// changed that such a decision rests on, as its fingerprint tells.
func (s *Store) Decided(ctx context.Context, t access.Target, fingerprint string) (bool, error) {
	text, err := s.redis.Get(ctx, decidedKey(t)).Result()
	there, err := found(err)
	return there && text == fingerprint, sorted("redis: read decision of "+t.String(), err)
}

// SaveDecided says that a target is in line, which is believed until then; ""
// says that it may not be.
func (s *Store) SaveDecided(ctx context.Context, t access.Target, fingerprint string, until time.Time) error {
	op := "redis: save decision of " + t.String()
	if life := time.Until(until); fingerprint != "" && life > 0 {
		return sorted(op, s.redis.Set(ctx, decidedKey(t), fingerprint, life).Err())
	}
	return sorted(op, s.redis.Del(ctx, decidedKey(t)).Err())
}
