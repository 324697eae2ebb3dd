package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/fault"
)

const (
	replyLife = 24 * time.Hour

	// replyPatience is how long a call may take before the next one of its key
	// is let go: its process died.
	replyPatience = 2 * time.Minute

	askedLife = 7 * 24 * time.Hour
)

// A Turn is what is to be done about a call that may have been made before.
type Turn struct {
	Go     bool   // it is to be carried out
	Seed   string // the same in every try, to name what is made
	Other  bool   // the key was used for something else
	Busy   bool   // the same call is being carried out
	Answer string // what was answered, as it was saved
}

// BeginReply asks whose turn it is; digest tells one request from another.
func (s *Store) BeginReply(ctx context.Context, caller, key, digest, seed string) (Turn, error) {
	const op = "redis: look up an Idempotency-Key"
	say, err := s.run(ctx, "reply", []string{replyKey(caller, key)}, digest, seed, replyPatience.Milliseconds(), replyLife.Milliseconds()).StringSlice()
	if err != nil {
		return Turn{}, sorted(op, err)
	}
	switch say[0] {
	case "go":
		return Turn{Go: true, Seed: say[1]}, nil
	case "other":
		return Turn{Other: true}, nil
	case "busy":
		return Turn{Busy: true}, nil
	}
	return Turn{Answer: say[1]}, nil
}

// SaveReply keeps an answer for whoever calls again.
func (s *Store) SaveReply(ctx context.Context, caller, key, answer string) error {
	name := replyKey(caller, key)
	_, err := s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, name, "answer", answer)
		p.PExpire(ctx, name, replyLife)
		return nil
	})
	return sorted("redis: keep an answer", err)
}

// FreeReply lets a call be made again that had no answer worth keeping.
func (s *Store) FreeReply(ctx context.Context, caller, key string) error {
	return sorted("redis: free an Idempotency-Key", s.redis.HSet(ctx, replyKey(caller, key), "until", 0).Err())
}

// An Asked is a run that somebody asked for.
type Asked struct {
	ID          string    `json:"id"`
	Integration string    `json:"integration,omitempty"`
	Person      string    `json:"person,omitempty"`
	What        string    `json:"what"` // the operation
	By          string    `json:"by"`
	At          time.Time `json:"at"`
	Total       int       `json:"total,omitempty"` // grants that there were
}

// SaveAsked remembers for a week that a run was asked for.
func (s *Store) SaveAsked(ctx context.Context, a Asked) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return sorted("redis: save run "+a.ID, s.redis.Set(ctx, runKey(a.ID), text, askedLife).Err())
}

// Asked reads a run that was asked for, or says Missing.
func (s *Store) Asked(ctx context.Context, id string) (Asked, error) {
	var a Asked
	text, err := s.redis.Get(ctx, runKey(id)).Result()
	if there, err := found(err); err != nil {
		return a, sorted("redis: read run "+id, err)
	} else if !there {
		return a, fault.New(fault.Missing, "run "+id, "there is none of that id")
	}
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return a, broken("run "+id, err)
	}
	return a, nil
}
