package store

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
)

// A Membership is what is known of an Entra group as a whole.
type Membership struct {
	Link    string // the delta link to go on from; "" before the first read
	Rev     int64  // counts saves
	Edition string // another one whenever anything about the members changed
	Name    string
	Deleted string    // Graph's word for a group that was deleted
	Pulled  time.Time // when it was last read
	Others  int       // members that are neither people nor groups
	Listed  time.Time // when the member list was last read as well
	Ahead   time.Time // when the list last knew more than delta
}

// Membership reads a group's state; the zero value is one never read.
func (s *Store) Membership(ctx context.Context, g access.Group) (Membership, error) {
	h, err := s.redis.HGetAll(ctx, stateKey(g)).Result()
	if err != nil {
		return Membership{}, sorted("redis: read membership of "+g.String(), err)
	}
	return readMembership(h), nil
}

func readMembership(h map[string]string) Membership {
	rev, _ := strconv.ParseInt(h["rev"], 10, 64) // absent before the first save
	others, _ := strconv.Atoi(h["others"])
	return Membership{
		Link: h["link"], Rev: rev, Edition: h["edition"], Name: h["name"], Deleted: h["deleted"],
		Pulled: millis(h["pulled"]), Others: others, Listed: millis(h["listed"]), Ahead: millis(h["ahead"]),
	}
}

// SaveMembership changes the membership and the link together or not at all,
// and remembers whose membership changed until [Store.Woken] is told that they
// were woken. It gives a clash when rev is not the revision that is stored: a
// slow pull cannot overwrite a newer one. It returns the new revision.
func (s *Store) SaveMembership(ctx context.Context, g access.Group, rev int64, c access.Changes, now time.Time) (int64, error) {
	args := make([]any, 0, 8+2*len(c.Joined)+len(c.Left))
	args = append(args, rev, c.Link, c.Name, c.Deleted, now.UnixMilli(), flag(c.Compared), flag(c.Ahead), len(c.Joined))
	for _, m := range c.Joined {
		args = append(args, pack(m.ID), kindLetter(m.Kind))
	}
	for _, id := range c.Left {
		args = append(args, pack(id))
	}
	keys := []string{stateKey(g), membersKey(g), changedKey(g), innerKey(g)}
	got, err := s.run(ctx, "membership", keys, args...).Int64()
	if err != nil {
		return 0, sorted("redis: save membership of "+g.String(), err)
	}
	if got == 0 {
		return 0, clash("redis: save membership of " + g.String())
	}
	return got, nil
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}

func kindLetter(kind string) string {
	switch kind {
	case access.KindUser:
		return "u"
	case access.KindGroup:
		return "g"
	}
	return "o"
}

func kindOf(letter string) string {
	switch letter {
	case "u":
		return access.KindUser
	case "g":
		return access.KindGroup
	}
	return access.KindOther
}

// Members tells which of ids are people in the group; no ids means everybody.
func (s *Store) Members(ctx context.Context, g access.Group, ids ...string) (map[string]bool, error) {
	kinds, err := s.Kinds(ctx, g, ids...)
	people := make(map[string]bool, len(kinds))
	for id, kind := range kinds {
		if kind == access.KindUser {
			people[id] = true
		}
	}
	return people, err
}

// Kinds gives the members of a group, whatever they are, with their kind.
func (s *Store) Kinds(ctx context.Context, g access.Group, ids ...string) (map[string]string, error) {
	rows, err := s.fields(ctx, "redis: read members of "+g.String(), membersKey(g), ids)
	kinds := make(map[string]string, len(rows))
	for id, letter := range rows {
		kinds[id] = kindOf(letter)
	}
	return kinds, err
}

// Inner lists the groups that a group holds directly.
func (s *Store) Inner(ctx context.Context, g access.Group) ([]string, error) {
	ids, err := s.redis.SMembers(ctx, innerKey(g)).Result()
	for k, id := range ids {
		ids[k] = unpack(id)
	}
	slices.Sort(ids)
	return ids, sorted("redis: read inner groups of "+g.String(), err)
}

// MarkChanged says of those of ids who are in a group that their access is to
// be decided about anew, and tells in which of groups there are any.
func (s *Store) MarkChanged(ctx context.Context, groups []access.Group, ids []string) (in []access.Group, err error) {
	names := make([]any, len(ids))
	for k, id := range ids {
		names[k] = pack(id)
	}
	for _, g := range groups {
		n, err := s.run(ctx, "changed", []string{stateKey(g), membersKey(g), changedKey(g)}, names...).Int()
		if err != nil {
			return in, sorted("redis: mark changes in "+g.String(), err)
		}
		if n > 0 {
			in = append(in, g)
		}
	}
	return in, nil
}

// fields reads what a hash holds under the packed names of some ids, or all of
// it when none are named.
func (s *Store) fields(ctx context.Context, op, key string, ids []string) (map[string]string, error) {
	if len(ids) == 0 {
		rows, err := s.redis.HGetAll(ctx, key).Result()
		all := make(map[string]string, len(rows))
		for name, text := range rows {
			all[unpack(name)] = text
		}
		return all, sorted(op, err)
	}
	found := make(map[string]string, len(ids))
	for chunk := range chunks(ids, 5000) {
		values, err := s.redis.HMGet(ctx, key, packAll(chunk)...).Result()
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
		ids = append(ids, unpack(z.Member.(string)))
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
	if err := s.redis.SRem(ctx, groupsKey, g.String()).Err(); err != nil {
		return sorted("redis: forget "+g.String(), err)
	}
	err := s.redis.Del(ctx, stateKey(g), membersKey(g), changedKey(g), innerKey(g)).Err()
	return sorted("redis: forget "+g.String(), err)
}

// UseGroup says that changes of a group matter, from now on.
func (s *Store) UseGroup(ctx context.Context, groups ...access.Group) error {
	names := make([]any, len(groups))
	for k, g := range groups {
		names[k] = g.String()
	}
	return sorted("redis: use groups", s.redis.SAdd(ctx, groupsKey, names...).Err())
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
