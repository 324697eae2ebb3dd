package store

import (
	"context"
	"strconv"
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
		g, err := readGrant(person, text)
		if err != nil {
			return nil, broken("grant of "+person, err)
		}
		grants[person] = g
	}
	return grants, nil
}

// SaveGrant writes an entry if it still is the one that was read: g.Rev says
// which. It returns the entry with its new revision, or a clash.
func (s *Store) SaveGrant(ctx context.Context, t access.Target, g access.Grant) (access.Grant, error) {
	body, err := writeGrant(g)
	if err != nil {
		return g, err
	}
	open := int64(0)
	if g.Intent != nil {
		open = g.Intent.At.UnixMilli()
	}
	op := "redis: save grant of " + g.Person + " in " + t.String()
	keys := []string{ledgerKey(t), countKey(t), openKey(t)}
	rev, err := s.run(ctx, "grant", keys, pack(g.Person), g.Rev, body, open).Int64()
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
	n, err := s.redis.Get(ctx, countKey(t)).Int()
	_, err = found(err)
	return n, sorted("redis: count holders of "+t.String(), err)
}

// Open lists the people whose intent was written before a time and is not settled.
func (s *Store) Open(ctx context.Context, t access.Target, before time.Time) ([]string, error) {
	ids, err := s.redis.ZRangeByScore(ctx, openKey(t), &redis.ZRangeBy{
		Min: "-inf", Max: strconv.FormatInt(before.UnixMilli(), 10),
	}).Result()
	for k, id := range ids {
		ids[k] = unpack(id)
	}
	return ids, sorted("redis: read open intents of "+t.String(), err)
}

// broken says that what is stored cannot be read.
func broken(what string, err error) error {
	return &fault.Error{
		Class: fault.Bug, Op: "redis: read " + what, Err: err,
		Hint: "a newer kisibridge may have written it; run that version",
	}
}
