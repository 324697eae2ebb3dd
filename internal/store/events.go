package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
)

// An Event is one line of the audit trail.
type Event struct {
	ID           string        `json:"id,omitempty"` // the stream's; orders events
	At           time.Time     `json:"at"`
	What         string        `json:"what"`
	Integrations []string      `json:"integrations,omitempty"`
	Target       string        `json:"target,omitempty"`
	Group        string        `json:"group,omitempty"`
	Person       string        `json:"person,omitempty"`
	Email        string        `json:"email,omitempty"`
	Cause        string        `json:"cause,omitempty"`
	By           string        `json:"by,omitempty"`    // who clicked
	Told         time.Time     `json:"told,omitzero"`   // when the change, or word of it, was first heard of
	Lag          time.Duration `json:"lag_ns,omitzero"` // from then to Kisi's answer
	User         int           `json:"kisi_user,omitempty"`
	Row          int           `json:"kisi_row,omitempty"`
	Why          string        `json:"why,omitempty"`
	Count        int           `json:"count,omitempty"`
}

// keptEvents bounds the trail; at 300 bytes each it stays under 40 MB.
const keptEvents = 100_000

// AddEvent writes to the trail.
func (s *Store) AddEvent(ctx context.Context, e Event) error {
	e.ID = ""
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	err = s.redis.XAdd(ctx, &redis.XAddArgs{Stream: eventsKey, MaxLen: keptEvents, Approx: true, Values: []any{"e", text}}).Err()
	return sorted("redis: write the audit trail", err)
}

// EachEvent visits the trail from the oldest event after the one named (""
// from the beginning), page by page, until visit says no.
func (s *Store) EachEvent(ctx context.Context, after string, visit func(Event) bool) error {
	from := "-"
	for {
		if after != "" {
			from = "(" + after
		}
		page, err := s.redis.XRangeN(ctx, eventsKey, from, "+", 500).Result()
		if err != nil {
			return sorted("redis: read the audit trail", err)
		}
		for _, m := range page {
			e, err := readEvent(m)
			if err != nil {
				return err
			}
			if !visit(e) {
				return nil
			}
			after = m.ID
		}
		if len(page) < 500 {
			return nil
		}
	}
}

func readEvent(m redis.XMessage) (Event, error) {
	var e Event
	text, _ := m.Values["e"].(string)
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return e, broken("event "+m.ID, err)
	}
	e.ID = m.ID
	return e, nil
}

// A Trouble is the last error of the work on a person, until it goes well.
type Trouble struct {
	Class string    `json:"class"`
	Err   string    `json:"err"`
	At    time.Time `json:"at"`
	Next  time.Time `json:"next,omitzero"` // when it is tried again; zero: at the next sweep
}

// SaveTrouble writes the last error of a person in a target; nil forgets it.
func (s *Store) SaveTrouble(ctx context.Context, t access.Target, person string, trouble *Trouble) error {
	op := "redis: save trouble in " + t.String()
	if trouble == nil {
		return sorted(op, s.redis.HDel(ctx, troubleKey(t), pack(person)).Err())
	}
	text, err := json.Marshal(trouble)
	if err != nil {
		return err
	}
	return sorted(op, s.redis.HSet(ctx, troubleKey(t), pack(person), text).Err())
}

// Troubles reads the last errors in a target, of some people or of all.
func (s *Store) Troubles(ctx context.Context, t access.Target, people ...string) (map[string]Trouble, error) {
	rows, err := s.fields(ctx, "redis: read trouble in "+t.String(), troubleKey(t), people)
	all := make(map[string]Trouble, len(rows))
	for id, text := range rows {
		var trouble Trouble
		if err := json.Unmarshal([]byte(text), &trouble); err != nil {
			return nil, broken("trouble of "+id, err)
		}
		all[id] = trouble
	}
	return all, err
}
