package store

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
)

// SavePeople stores the details of people of a tenant, once for all groups,
// unless they were read again, or changed, after this reading began. Those are
// returned: what is known of them may be newer, and must be read anew.
func (s *Store) SavePeople(ctx context.Context, tenant string, people []access.Person, began time.Time) (refused []string, err error) {
	keys := []string{peopleKey(tenant), touchedKey(tenant)}
	for chunk := range chunks(people, 1000) {
		args := make([]any, 0, 1+2*len(chunk))
		args = append(args, began.UnixMilli())
		for _, p := range chunk {
			id := p.ID
			p.ID = "" // it is the field
			text, err := json.Marshal(p)
			if err != nil {
				return nil, err
			}
			args = append(args, pack(id), text)
		}
		names, err := s.run(ctx, "people", keys, args...).StringSlice()
		if err != nil {
			return nil, sorted("redis: save people", err)
		}
		for _, name := range names {
			refused = append(refused, unpack(name))
		}
	}
	return refused, nil
}

// touchedFor is how long it is remembered that somebody unknown changed; no
// reading of a group takes longer.
const touchedFor = time.Hour

// Touch remembers that people changed of whom nothing is known: a reading that
// is under way may have seen them as they were.
func (s *Store) Touch(ctx context.Context, tenant string, ids []string, now time.Time) error {
	rows := make([]redis.Z, len(ids))
	for k, id := range ids {
		rows[k] = redis.Z{Score: float64(now.UnixMilli()), Member: pack(id)}
	}
	_, err := s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for chunk := range chunks(rows, 1000) {
			p.ZAdd(ctx, touchedKey(tenant), chunk...)
		}
		p.ZRemRangeByScore(ctx, touchedKey(tenant), "-inf", strconv.FormatInt(now.Add(-touchedFor).UnixMilli(), 10))
		return nil
	})
	return sorted("redis: remember changes of people", err)
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
		if people[id], err = readPerson(id, text); err != nil {
			return nil, err
		}
	}
	return people, nil
}

// readPerson splits "TIME JSON".
func readPerson(id, text string) (access.Person, error) {
	var p access.Person
	_, details, _ := strings.Cut(text, " ")
	if err := json.Unmarshal([]byte(details), &p); err != nil {
		return p, broken("person "+id, err)
	}
	p.ID = id
	return p, nil
}

// EachKnown visits the ids of everybody who is known in a tenant, page by page.
func (s *Store) EachKnown(ctx context.Context, tenant string, visit func(ids []string) error) error {
	var cursor uint64
	for {
		rows, next, err := s.redis.HScan(ctx, peopleKey(tenant), cursor, "", 2000).Result()
		if err != nil {
			return sorted("redis: list people of "+tenant, err)
		}
		ids := make([]string, 0, len(rows)/2)
		for k := 0; k < len(rows); k += 2 {
			ids = append(ids, unpack(rows[k]))
		}
		if len(ids) > 0 {
			if err := visit(ids); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// Known tells, in one round trip, which groups some integration uses, and
// which people (named as groups are) the bridge knows.
func (s *Store) Known(ctx context.Context, groups, people []access.Group) (used, known []bool, err error) {
	var uses *redis.BoolSliceCmd
	var knows []*redis.BoolCmd
	_, err = s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		if len(groups) > 0 {
			names := make([]any, len(groups))
			for k, g := range groups {
				names[k] = g.String()
			}
			uses = p.SMIsMember(ctx, groupsKey, names...)
		}
		for _, who := range people {
			knows = append(knows, p.HExists(ctx, peopleKey(who.Connection), pack(who.ID)))
		}
		return nil
	})
	if err != nil {
		return nil, nil, sorted("redis: look whom notifications are about", err)
	}
	if uses != nil {
		used = uses.Val()
	}
	for _, k := range knows {
		known = append(known, k.Val())
	}
	return used, known, nil
}

// ProfileLink is the delta link of the people of a tenant; "" before the first.
func (s *Store) ProfileLink(ctx context.Context, tenant string) (string, error) {
	link, err := s.redis.HGet(ctx, profilesKey, tenant).Result()
	_, err = found(err)
	return link, sorted("redis: read profile link of "+tenant, err)
}

// SaveProfileLink writes the link from which to go on. A slow reader that
// overwrites a newer link makes changes be read twice, which does no harm.
func (s *Store) SaveProfileLink(ctx context.Context, tenant, link string) error {
	return sorted("redis: save profile link of "+tenant, s.redis.HSet(ctx, profilesKey, tenant, link).Err())
}
