package store

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// Rules are all integrations at one moment, found by what they serve. They
// are shared and never change.
type Rules struct {
	All []access.Integration // by id

	rev    string
	nested map[access.Group][]access.Group // root → groups within
	lost   map[access.Group]map[access.Group]bool
	uses   map[access.Group][]int // group → integrations, through nesting too
	fills  map[access.Target][]int
	live   map[string][]access.Group // tenant → groups that are needed, sorted
}

// OfGroup lists the integrations that a group serves, directly or as an inner
// group of a transitive one.
func (r *Rules) OfGroup(g access.Group) []access.Integration { return r.some(r.uses[g]) }

// OfTarget lists the integrations that fill a target.
func (r *Rules) OfTarget(t access.Target) []access.Integration { return r.some(r.fills[t]) }

func (r *Rules) some(at []int) []access.Integration {
	of := make([]access.Integration, len(at))
	for k, n := range at {
		of[k] = r.All[n]
	}
	return of
}

// Groups lists every group that an integration reads, inner ones included.
func (r *Rules) Groups() []access.Group {
	return slices.SortedFunc(maps.Keys(r.uses), func(a, b access.Group) int { return strings.Compare(a.String(), b.String()) })
}

// Live lists the groups of a tenant that an integration needs which stays.
func (r *Rules) Live(tenant string) []access.Group { return r.live[tenant] }

// Targets lists every target that an integration fills.
func (r *Rules) Targets() []access.Target {
	return slices.SortedFunc(maps.Keys(r.fills), func(a, b access.Target) int { return strings.Compare(a.String(), b.String()) })
}

// Reads lists the groups whose people an integration calls for.
func (r *Rules) Reads(i access.Integration) []access.Group {
	all := []access.Group{i.Group}
	if i.Membership == access.Transitive {
		all = append(all, r.nested[i.Group]...)
	}
	return all
}

// Nested tells which groups lie within root, and whether that was ever read.
func (r *Rules) Nested(root access.Group) ([]access.Group, bool) {
	inner, known := r.nested[root]
	return inner, known
}

// Lost tells whether a group lies within root only through one that is deleted.
func (r *Rules) Lost(root, g access.Group) bool { return r.lost[root][g] }

// cache keeps the rules that were read last. Every change counts up a revision
// beside them, so that a look at that number tells whether they still hold.
type cache struct {
	mu    sync.Mutex // guards rules
	rules *Rules
}

func (c *cache) get() *Rules {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rules
}

func (c *cache) put(r *Rules) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rules = r
}

// Rules reads all integrations; where nothing changed since the last time,
// that costs a look at a number.
func (s *Store) Rules(ctx context.Context) (*Rules, error) {
	rev, err := s.redis.Get(ctx, rulesRevKey).Result()
	if _, err := found(err); err != nil {
		return nil, sorted("redis: read the revision of the integrations", err)
	}
	if r := s.rules.get(); r != nil && r.rev == rev {
		return r, nil
	}
	var get *redis.StringCmd
	var rows, inner *redis.MapStringStringCmd
	_, err = s.redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		get, rows, inner = p.Get(ctx, rulesRevKey), p.HGetAll(ctx, integrationsKey), p.HGetAll(ctx, nestedKey)
		return nil
	})
	if _, err := found(err); err != nil {
		return nil, sorted("redis: read the integrations", err)
	}
	r, err := newRules(get.Val(), rows.Val(), inner.Val())
	if err == nil {
		s.rules.put(r)
	}
	return r, err
}

func newRules(rev string, rows, inner map[string]string) (*Rules, error) {
	r := &Rules{rev: rev, nested: map[access.Group][]access.Group{}, lost: map[access.Group]map[access.Group]bool{}, uses: map[access.Group][]int{}, fills: map[access.Target][]int{}, live: map[string][]access.Group{}}
	for name, text := range inner {
		root, err := access.ParseGroup(name)
		if err != nil {
			return nil, broken("inner groups of "+name, err)
		}
		if _, r.nested[root], r.lost[root], err = readNested(root, text); err != nil {
			return nil, err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		i, err := readIntegration(id, rows[id])
		if err != nil {
			return nil, err
		}
		n := len(r.All)
		r.All = append(r.All, i)
		r.fills[i.Target] = append(r.fills[i.Target], n)
		for _, g := range r.Reads(i) {
			r.uses[g] = append(r.uses[g], n)
		}
	}
	for _, g := range r.Groups() {
		if slices.ContainsFunc(r.uses[g], func(n int) bool { return r.All[n].State != access.Deleting }) {
			r.live[g.Connection] = append(r.live[g.Connection], g)
		}
	}
	return r, nil
}

// lostMark stands before a group that lies within only through a deleted one.
const lostMark = "-"

// readNested splits "REVISION ID -ID …".
func readNested(root access.Group, text string) (rev int64, inner []access.Group, lost map[access.Group]bool, err error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return 0, nil, nil, broken("inner groups of "+root.String(), strconv.ErrSyntax)
	}
	rev, err = strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		return 0, nil, nil, broken("inner groups of "+root.String(), err)
	}
	inner, lost = []access.Group{}, map[access.Group]bool{}
	for _, word := range words[1:] {
		id, is := strings.CutPrefix(word, lostMark)
		g := access.Group{Connection: root.Connection, ID: id}
		inner = append(inner, g)
		if is {
			lost[g] = true
		}
	}
	return rev, inner, lost, nil
}

// NestedRev is the revision of the inner groups of root, to be read before
// they are gathered anew; 0 says that they never were.
func (s *Store) NestedRev(ctx context.Context, root access.Group) (int64, error) {
	text, err := s.redis.HGet(ctx, nestedKey, root.String()).Result()
	if there, err := found(err); !there {
		return 0, sorted("redis: read inner groups of "+root.String(), err)
	}
	rev, _, _, err := readNested(root, text)
	return rev, err
}

// SaveNested writes which groups lie within root, and which of them only
// through a deleted one, or gives a clash when somebody else did since rev was
// read.
func (s *Store) SaveNested(ctx context.Context, root access.Group, rev int64, inner []string, lost map[string]bool) error {
	op := "redis: save inner groups of " + root.String()
	old := ""
	if rev > 0 {
		var err error
		if old, err = s.redis.HGet(ctx, nestedKey, root.String()).Result(); err != nil {
			return sorted(op, err)
		}
		if !strings.HasPrefix(old+" ", strconv.FormatInt(rev, 10)+" ") {
			return clash(op)
		}
	}
	words := []string{strconv.FormatInt(rev+1, 10)}
	for _, id := range inner {
		if lost[id] {
			id = lostMark + id
		}
		words = append(words, id)
	}
	text := strings.Join(words, " ")
	return s.swap(ctx, op, nestedKey, root.String(), old, text)
}

// DropNested forgets the inner groups of a root that nobody reads so any more.
func (s *Store) DropNested(ctx context.Context, root access.Group) error {
	op := "redis: drop inner groups of " + root.String()
	old, err := s.redis.HGet(ctx, nestedKey, root.String()).Result()
	if there, err := found(err); !there {
		return sorted(op, err)
	}
	return s.swap(ctx, op, nestedKey, root.String(), old, "")
}

// swap writes a field of the rules over the value that was read, and counts
// up their revision; "" is a field that is not there.
func (s *Store) swap(ctx context.Context, op, key, field, old, text string) error {
	return s.swapIn(ctx, op, key, rulesRevKey, field, old, text)
}

func (s *Store) swapIn(ctx context.Context, op, key, revKey, field, old, text string) error {
	done, err := s.run(ctx, "swap", []string{key, revKey}, field, old, text).Bool()
	if err == nil && !done {
		return clash(op)
	}
	return sorted(op, err)
}

// Integrations lists all integrations, by id.
func (s *Store) Integrations(ctx context.Context) ([]access.Integration, error) {
	r, err := s.Rules(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Clone(r.All), nil
}

// Integration reads one, or says Missing.
func (s *Store) Integration(ctx context.Context, id string) (access.Integration, error) {
	i, _, err := s.integration(ctx, id)
	return i, err
}

func (s *Store) integration(ctx context.Context, id string) (access.Integration, string, error) {
	text, err := s.redis.HGet(ctx, integrationsKey, id).Result()
	there, err := found(err)
	switch {
	case err != nil:
		return access.Integration{}, "", sorted("redis: read integration "+id, err)
	case !there:
		return access.Integration{}, "", fault.New(fault.Missing, "integration "+id, "there is none of that id")
	}
	i, err := readIntegration(id, text)
	return i, text, err
}

func readIntegration(id, text string) (access.Integration, error) {
	var i access.Integration
	if err := json.Unmarshal([]byte(text), &i); err != nil {
		return i, broken("integration "+id, err)
	}
	return i, nil
}

// AddIntegration stores a new one; the id must be free.
func (s *Store) AddIntegration(ctx context.Context, i access.Integration) error {
	text, err := json.Marshal(i)
	if err != nil {
		return err
	}
	return s.swap(ctx, "redis: add integration "+i.ID, integrationsKey, i.ID, "", string(text))
}

// ChangeIntegration reads one, lets change alter it, and saves it if nobody
// saved in between; else it reads and asks again. change returns false to
// leave everything as it is.
func (s *Store) ChangeIntegration(ctx context.Context, id string, change func(*access.Integration) bool) (access.Integration, error) {
	for range 10 {
		i, old, err := s.integration(ctx, id)
		if err != nil {
			return i, err
		}
		if !change(&i) {
			return i, nil
		}
		text, err := json.Marshal(i)
		if err != nil {
			return i, err
		}
		err = s.swap(ctx, "redis: change integration "+id, integrationsKey, id, old, string(text))
		if !fault.Is(err, fault.Clash) {
			return i, err
		}
	}
	return access.Integration{}, clash("redis: change integration " + id)
}

// RemoveIntegration forgets one and its runs.
func (s *Store) RemoveIntegration(ctx context.Context, id string) error {
	if err := s.redis.Del(ctx, runsKey(id)).Err(); err != nil {
		return sorted("redis: remove runs of "+id, err)
	}
	_, old, err := s.integration(ctx, id)
	if err != nil {
		if fault.Is(err, fault.Missing) {
			return nil
		}
		return err
	}
	return s.swap(ctx, "redis: remove integration "+id, integrationsKey, id, old, "")
}
