package store

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// Grants reads the ledger of a target for some people, or for everybody when
// none are named. Who was never written of is absent.
func (s *Store) Grants(ctx context.Context, t access.Target, people ...string) (map[string]access.Grant, error) {
	texts, err := s.fields(ctx, "redis: read ledger of "+t.String(), ledgerKey(t), people)
	if err != nil {
		return nil, err
	}
	grants := make(map[string]access.Grant, len(texts))
	for person, text := range texts {
		g, err := readGrant(text)
		if err != nil {
			return nil, broken("grant of "+person, err)
		}
		grants[person] = g
	}
	return grants, nil
}

// readGrant splits "REVISION JSON".
func readGrant(text string) (access.Grant, error) {
	var g access.Grant
	rev, body, _ := strings.Cut(text, " ")
	if err := json.Unmarshal([]byte(body), &g); err != nil {
		return g, err
	}
	n, err := strconv.ParseInt(rev, 10, 64)
	g.Rev = n
	return g, err
}

// SaveGrant writes an entry if it still is the one that was read: g.Rev says
// which. It returns the entry with its new revision, or a clash.
func (s *Store) SaveGrant(ctx context.Context, t access.Target, g access.Grant) (access.Grant, error) {
	body, err := json.Marshal(g)
	if err != nil {
		return g, err
	}
	open := int64(0)
	if g.Intent != nil {
		open = g.Intent.At.UnixMilli()
	}
	holds := 0
	if g.Standing == access.Holds {
		holds = 1
	}
	op := "redis: save grant of " + g.Person + " in " + t.String()
	keys := []string{ledgerKey(t), holdersKey(t), openKey(t)}
	rev, err := s.run(ctx, "grant", keys, g.Person, g.Rev, body, holds, open).Int64()
	switch {
	case err != nil:
		return g, sorted(op, err)
	case rev == 0:
		return g, clash(op)
	}
	g.Rev = rev
	return g, nil
}

// Holders counts the people who hold a grant of ours on the target.
func (s *Store) Holders(ctx context.Context, t access.Target) (int, error) {
	n, err := s.redis.SCard(ctx, holdersKey(t)).Result()
	return int(n), sorted("redis: count holders of "+t.String(), err)
}

// Open lists the people whose intent was written before a time and is not settled.
func (s *Store) Open(ctx context.Context, t access.Target, before time.Time) ([]string, error) {
	ids, err := s.redis.ZRangeByScore(ctx, openKey(t), &redis.ZRangeBy{
		Min: "-inf", Max: strconv.FormatInt(before.UnixMilli(), 10),
	}).Result()
	return ids, sorted("redis: read open intents of "+t.String(), err)
}

// Hold reads the removals that wait for a person; the zero value is none.
func (s *Store) Hold(ctx context.Context, t access.Target) (access.Hold, error) {
	var h access.Hold
	text, err := s.redis.Get(ctx, holdKey(t)).Result()
	if there, err := found(err); !there {
		return h, sorted("redis: read hold of "+t.String(), err)
	}
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return h, broken("hold of "+t.String(), err)
	}
	return h, nil
}

// SaveHold writes the removals that wait, or forgets them when there are none.
func (s *Store) SaveHold(ctx context.Context, t access.Target, h access.Hold) error {
	op := "redis: save hold of " + t.String()
	if len(h.People) == 0 {
		return sorted(op, s.redis.Del(ctx, holdKey(t)).Err())
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return sorted(op, s.redis.Set(ctx, holdKey(t), text, 0).Err())
}

// broken says that what is stored cannot be read.
func broken(what string, err error) error {
	return &fault.Error{
		Class: fault.Bug, Op: "redis: read " + what, Err: err,
		Hint: "a newer kisibridge may have written it; run that version",
	}
}
