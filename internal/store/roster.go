package store

import (
	"context"
	"strconv"
	"time"

	"kisibridge/internal/access"
)

// rosterLife is how long a listing of what Kisi holds is believed. An import
// of 5,000 people takes half an hour at 5 calls a second.
const rosterLife = time.Hour

// SaveRoster stores who the users of an organization are, by folded email, and
// which of them had access to target at the same time. A roster replaces the
// one before it as a whole.
func (s *Store) SaveRoster(ctx context.Context, t access.Target, users map[string]int, holders []int) error {
	op := "redis: save roster of " + t.Connection
	next, key := rosterNewKey(t.Connection), rosterKey(t.Connection)
	if err := s.redis.Del(ctx, next).Err(); err != nil {
		return sorted(op, err)
	}
	// An organization without users must be told from one that was not listed.
	rows := []any{"", 0}
	for email, id := range users {
		rows = append(rows, email, id)
	}
	for chunk := range chunks(rows, 2000) {
		if err := s.redis.HSet(ctx, next, chunk...).Err(); err != nil {
			return sorted(op, err)
		}
	}
	if err := s.redis.Rename(ctx, next, key).Err(); err != nil {
		return sorted(op, err)
	}
	if err := s.redis.Expire(ctx, key, rosterLife).Err(); err != nil {
		return sorted(op, err)
	}
	return sorted(op, s.saveHolders(ctx, t, holders))
}

// saveHolders marks the target as listed; user 0 stands for "nobody else".
func (s *Store) saveHolders(ctx context.Context, t access.Target, holders []int) error {
	if err := s.redis.Del(ctx, listedKey(t)).Err(); err != nil {
		return err
	}
	members := []any{0}
	for _, user := range holders {
		members = append(members, user)
	}
	for chunk := range chunks(members, 2000) {
		if err := s.redis.SAdd(ctx, listedKey(t), chunk...).Err(); err != nil {
			return err
		}
	}
	return s.redis.Expire(ctx, listedKey(t), rosterLife).Err()
}

// HadAccess tells whether a user had access to target when it was listed.
func (s *Store) HadAccess(ctx context.Context, t access.Target, user int) (bool, error) {
	had, err := s.redis.SIsMember(ctx, listedKey(t), user).Result()
	return had, sorted("redis: read listing of "+t.String(), err)
}

// Listed tells whether what target held was listed within the hour.
func (s *Store) Listed(ctx context.Context, t access.Target) (bool, error) {
	n, err := s.redis.Exists(ctx, listedKey(t)).Result()
	return n == 1, sorted("redis: read listing of "+t.String(), err)
}

// RosterUser finds a user by email in the roster; user 0 with known says that
// the organization has none, without known that nobody listed it.
func (s *Store) RosterUser(ctx context.Context, kisi, email string) (user int, known bool, err error) {
	values, err := s.redis.HMGet(ctx, rosterKey(kisi), "", access.FoldEmail(email)).Result()
	if err != nil {
		return 0, false, sorted("redis: read roster of "+kisi, err)
	}
	if text, ok := values[1].(string); ok {
		user, err = strconv.Atoi(text)
	}
	return user, values[0] != nil, err
}

// AddToRoster tells the roster, if there is one, of a user made since.
func (s *Store) AddToRoster(ctx context.Context, kisi, email string, user int) error {
	err := s.run(ctx, "enroll", []string{rosterKey(kisi)}, access.FoldEmail(email), user).Err()
	return sorted("redis: add to roster of "+kisi, err)
}
