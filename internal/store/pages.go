package store

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// A Crowd is what is stored about some people of one integration, and about
// the groups that are read to fill its target.
type Crowd struct {
	Integration access.Integration
	Rules       *Rules
	Groups      map[access.Group]Membership
	Members     map[access.Group]map[string]bool
	Grants      map[string]access.Grant
	Verdicts    map[string]access.Verdict // of everybody
	Troubles    map[string]Trouble
	People      map[string]access.Person
	Drift       Drift
}

// Crowd reads about those people of an integration whom pick takes of the ids
// of all, which it is given sorted. It costs two round trips, and more only
// when an integration was changed since this process last looked.
func (s *Store) Crowd(ctx context.Context, integration string, pick func(all []string) []string) (Crowd, error) {
	op := "redis: read people of integration " + integration
	rules := s.rules.get()
	for range 5 {
		c := Crowd{Rules: rules}
		if rules != nil && c.find(integration) {
			ids, rev, err := s.crowdIDs(ctx, &c)
			if err != nil {
				return c, sorted(op, err)
			}
			if rev == rules.rev {
				return c, s.fill(ctx, &c, op, pick(ids))
			}
		}
		fresh, err := s.Rules(ctx)
		if err != nil {
			return c, err
		}
		if c.Rules = fresh; !c.find(integration) {
			return c, fault.New(fault.Missing, "integration "+integration, "there is none of that id")
		}
		rules = fresh
	}
	return Crowd{}, &fault.Error{Class: fault.Busy, Op: op, Hint: "integrations are changed all the time; try again"}
}

func (c *Crowd) find(integration string) bool {
	for _, i := range c.Rules.All {
		if i.ID == integration {
			c.Integration = i
			return true
		}
	}
	return false
}

// reads lists the groups that any integration of the target reads.
func (c *Crowd) reads() []access.Group {
	var all []access.Group
	for _, i := range c.Rules.OfTarget(c.Integration.Target) {
		for _, g := range c.Rules.Reads(i) {
			if !slices.Contains(all, g) {
				all = append(all, g)
			}
		}
	}
	return all
}

// crowdIDs lists everybody who holds something or is in a group. Groups within
// groups are among them, which nobody asks anything about.
func (s *Store) crowdIDs(ctx context.Context, c *Crowd) (ids []string, rev string, err error) {
	var get *redis.StringCmd
	var keys []*redis.StringSliceCmd
	_, err = s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		get = p.Get(ctx, rulesRevKey)
		keys = append(keys, p.HKeys(ctx, ledgerKey(c.Integration.Target)))
		for _, g := range c.reads() {
			keys = append(keys, p.HKeys(ctx, membersKey(g)))
		}
		return nil
	})
	if _, err := found(err); err != nil {
		return nil, "", err
	}
	seen := map[string]bool{}
	for _, k := range keys {
		for _, name := range k.Val() {
			seen[unpack(name)] = true
		}
	}
	return slices.Sorted(maps.Keys(seen)), get.Val(), nil
}

// A lot is what one round trip asks about some people.
type lot struct {
	names    []string
	rows     map[string]*[]*redis.SliceCmd // what → a piece for each few thousand
	states   map[access.Group]*redis.MapStringStringCmd
	verdicts *redis.MapStringStringCmd
	drift    *redis.StringCmd
}

func (s *Store) fill(ctx context.Context, c *Crowd, op string, ids []string) error {
	t := c.Integration.Target
	l := lot{names: ids, rows: map[string]*[]*redis.SliceCmd{}, states: map[access.Group]*redis.MapStringStringCmd{}}
	_, err := s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		l.verdicts, l.drift = p.HGetAll(ctx, verdictsKey(t)), p.Get(ctx, driftKey(t))
		for _, g := range c.reads() {
			l.states[g] = p.HGetAll(ctx, stateKey(g))
			l.ask(ctx, p, membersKey(g))
		}
		l.ask(ctx, p, ledgerKey(t))
		l.ask(ctx, p, troubleKey(t))
		for _, tenant := range c.tenants() {
			l.ask(ctx, p, peopleKey(tenant))
		}
		return nil
	})
	if _, err := found(err); err != nil {
		return sorted(op, err)
	}
	return c.take(&l)
}

func (c *Crowd) tenants() []string {
	var all []string
	for _, g := range c.reads() {
		if !slices.Contains(all, g.Connection) {
			all = append(all, g.Connection)
		}
	}
	return all
}

// ask reads what a hash holds about the people of a lot.
func (l *lot) ask(ctx context.Context, p redis.Pipeliner, key string) {
	pieces := &[]*redis.SliceCmd{}
	for chunk := range chunks(l.names, 5000) {
		*pieces = append(*pieces, p.HMGet(ctx, key, packAll(chunk)...))
	}
	l.rows[key] = pieces
}

// each visits what a hash holds about the people of a lot.
func (l *lot) each(key string, visit func(id, text string) error) error {
	at := 0
	for _, piece := range *l.rows[key] {
		for _, v := range piece.Val() {
			if text, ok := v.(string); ok {
				if err := visit(l.names[at], text); err != nil {
					return err
				}
			}
			at++
		}
	}
	return nil
}

// take reads what Redis answered.
func (c *Crowd) take(l *lot) error {
	t := c.Integration.Target
	c.Groups, c.Members = map[access.Group]Membership{}, map[access.Group]map[string]bool{}
	for g, h := range l.states {
		c.Groups[g] = readMembership(h.Val())
		c.Members[g] = map[string]bool{}
		err := l.each(membersKey(g), func(id, letter string) error {
			if kindOf(letter) == access.KindUser {
				c.Members[g][id] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	c.Verdicts = readVerdicts(l.verdicts.Val()).Of
	if text := l.drift.Val(); text != "" {
		if err := json.Unmarshal([]byte(text), &c.Drift); err != nil {
			return broken("drift of "+t.String(), err)
		}
	}
	c.Troubles = map[string]Trouble{}
	err := l.each(troubleKey(t), func(id, text string) error {
		var trouble Trouble
		if err := json.Unmarshal([]byte(text), &trouble); err != nil {
			return broken("trouble of "+id, err)
		}
		c.Troubles[id] = trouble
		return nil
	})
	if err != nil {
		return err
	}
	return c.takePeople(l)
}

func (c *Crowd) takePeople(l *lot) error {
	c.People, c.Grants = map[string]access.Person{}, map[string]access.Grant{}
	for _, tenant := range c.tenants() {
		err := l.each(peopleKey(tenant), func(id, text string) (err error) {
			c.People[id], err = readPerson(id, text)
			return err
		})
		if err != nil {
			return err
		}
	}
	return l.each(ledgerKey(c.Integration.Target), func(id, text string) error {
		g, err := readGrant(id, text)
		if err != nil {
			return broken("grant of "+id, err)
		}
		c.Grants[id] = g
		return nil
	})
}

// Events reads a page of the trail: at most n lines after the one named, or
// from a moment on when none is.
func (s *Store) Events(ctx context.Context, after string, since time.Time, n int) ([]Event, error) {
	from := "-"
	switch {
	case after != "":
		from = "(" + after
	case !since.IsZero():
		from = strconv.FormatInt(max(0, since.UnixMilli()), 10)
	}
	page, err := s.redis.XRangeN(ctx, eventsKey, from, "+", int64(n)).Result()
	if err != nil {
		return nil, sorted("redis: read the audit trail", err)
	}
	return readEvents(page)
}

// NewestEvents reads the last n lines of the trail, the newest first.
func (s *Store) NewestEvents(ctx context.Context, n int) ([]Event, error) {
	page, err := s.redis.XRevRangeN(ctx, eventsKey, "+", "-", int64(n)).Result()
	if err != nil {
		return nil, sorted("redis: read the end of the audit trail", err)
	}
	return readEvents(page)
}

func readEvents(page []redis.XMessage) ([]Event, error) {
	events := make([]Event, len(page))
	for k, m := range page {
		var err error
		if events[k], err = readEvent(m); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// Hooked lists the Kisi connections that have an event webhook.
func (s *Store) Hooked(ctx context.Context) (map[string]bool, error) {
	ids, err := s.redis.HKeys(ctx, hooksKey).Result()
	all := make(map[string]bool, len(ids))
	for _, id := range ids {
		all[id] = true
	}
	return all, sorted("redis: list the event webhooks", err)
}
