package store

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
)

// A Membership is what is known of an Entra group as a whole.
type Membership struct {
	Link    string // the delta link to go on from; "" before the first read
	Rev     int64  // counts saves
	Name    string
	Deleted string    // Graph's word for a group that was deleted
	Pulled  time.Time // when it was last read
	Others  int       // members that are no people
}

// Membership reads a group's state; the zero value is one never read.
func (s *Store) Membership(ctx context.Context, g access.Group) (Membership, error) {
	h, err := s.redis.HGetAll(ctx, stateKey(g)).Result()
	if err != nil {
		return Membership{}, sorted("redis: read membership of "+g.String(), err)
	}
	rev, _ := strconv.ParseInt(h["rev"], 10, 64) // absent before the first save
	others, _ := strconv.Atoi(h["others"])
	return Membership{
		Link: h["link"], Rev: rev, Name: h["name"], Deleted: h["deleted"],
		Pulled: millis(h["pulled"]), Others: others,
	}, nil
}

// SaveMembership changes the membership and the link together or not at all,
// and remembers whose membership changed until [Store.Woken] is told that they
// were woken. It gives a clash when rev is not the revision that is stored: a
// slow pull cannot overwrite a newer one. It returns the new revision.
func (s *Store) SaveMembership(ctx context.Context, g access.Group, rev int64, c access.Changes, now time.Time) (int64, error) {
	args := make([]any, 0, 6+2*len(c.Joined)+len(c.Left))
	args = append(args, rev, c.Link, c.Name, c.Deleted, now.UnixMilli(), len(c.Joined))
	for _, m := range c.Joined {
		args = append(args, m.ID, m.Kind)
	}
	for _, id := range c.Left {
		args = append(args, id)
	}
	keys := []string{stateKey(g), membersKey(g), changedKey(g)}
	got, err := s.run(ctx, "membership", keys, args...).Int64()
	if err != nil {
		return 0, sorted("redis: save membership of "+g.String(), err)
	}
	if got == 0 {
		return 0, clash("redis: save membership of " + g.String())
	}
	return got, nil
}

// Members tells which of ids are people in the group; no ids means everybody.
func (s *Store) Members(ctx context.Context, g access.Group, ids ...string) (map[string]bool, error) {
	kinds, err := s.Kinds(ctx, g, ids...)
	for id, kind := range kinds {
		if kind != access.KindUser {
			delete(kinds, id)
		}
	}
	people := make(map[string]bool, len(kinds))
	for id := range kinds {
		people[id] = true
	}
	return people, err
}

// Kinds gives the members of a group, whatever they are, with their kind.
func (s *Store) Kinds(ctx context.Context, g access.Group, ids ...string) (map[string]string, error) {
	return s.fields(ctx, "redis: read members of "+g.String(), membersKey(g), ids)
}

// fields reads some fields of a hash, or all of them when none are named.
func (s *Store) fields(ctx context.Context, op, key string, names []string) (map[string]string, error) {
	if len(names) == 0 {
		all, err := s.redis.HGetAll(ctx, key).Result()
		return all, sorted(op, err)
	}
	found := make(map[string]string, len(names))
	for chunk := range chunks(names, 1000) {
		values, err := s.redis.HMGet(ctx, key, chunk...).Result()
		if err != nil {
			return nil, sorted(op, err)
		}
		for k, v := range values {
			if text, ok := v.(string); ok {
				found[chunk[k]] = text
			}
		}
	}
	return found, nil
}

// Changed lists the people whose membership changed and who were not woken
// yet, with the revision up to which that holds.
func (s *Store) Changed(ctx context.Context, g access.Group) (ids []string, rev int64, err error) {
	rows, err := s.redis.ZRangeWithScores(ctx, changedKey(g), 0, -1).Result()
	for _, z := range rows {
		ids = append(ids, z.Member.(string))
		rev = max(rev, int64(z.Score))
	}
	return ids, rev, sorted("redis: read changes of "+g.String(), err)
}

// Woken forgets the changes up to rev.
func (s *Store) Woken(ctx context.Context, g access.Group, rev int64) error {
	err := s.redis.ZRemRangeByScore(ctx, changedKey(g), "-inf", strconv.FormatInt(rev, 10)).Err()
	return sorted("redis: settle changes of "+g.String(), err)
}

// ForgetGroup drops a group that no integration uses any more.
func (s *Store) ForgetGroup(ctx context.Context, g access.Group) error {
	err := s.redis.Del(ctx, stateKey(g), membersKey(g), changedKey(g)).Err()
	return sorted("redis: forget "+g.String(), err)
}

// SavePeople stores the details of people of a tenant.
func (s *Store) SavePeople(ctx context.Context, tenant string, people []access.Person) error {
	for chunk := range chunks(people, 1000) {
		args := make([]any, 0, 2*len(chunk))
		for _, p := range chunk {
			text, err := json.Marshal(p)
			if err != nil {
				return err
			}
			args = append(args, p.ID, text)
		}
		if err := s.redis.HSet(ctx, peopleKey(tenant), args...).Err(); err != nil {
			return sorted("redis: save people", err)
		}
	}
	return nil
}

// People reads the details of those of ids who are known.
func (s *Store) People(ctx context.Context, tenant string, ids []string) (map[string]access.Person, error) {
	people := make(map[string]access.Person, len(ids))
	if len(ids) == 0 {
		return people, nil
	}
	texts, err := s.fields(ctx, "redis: read people", peopleKey(tenant), ids)
	if err != nil {
		return nil, err
	}
	for id, text := range texts {
		var p access.Person
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return nil, broken("person "+id, err)
		}
		people[id] = p
	}
	return people, nil
}

// chunks cuts a list into pieces of at most n.
func chunks[T any](all []T, n int) func(yield func([]T) bool) {
	return func(yield func([]T) bool) {
		for len(all) > 0 {
			k := min(n, len(all))
			if !yield(all[:k]) {
				return
			}
			all = all[k:]
		}
	}
}

func millis(s string) time.Time {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil || ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// found turns "there is none" into its own answer.
func found(err error) (bool, error) {
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, err
}
