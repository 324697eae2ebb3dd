package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"kisibridge/internal/fault"
)

// The kinds of connection.
const (
	EntraConnection = "entra"
	KisiConnection  = "kisi"
)

// A Connection is what the bridge may talk to: a tenant that consented, whose
// id it bears, or an organization of Kisi's.
type Connection struct {
	ID           string    `json:"id"`
	Kind         string    `json:"kind"`
	Name         string    `json:"name"`
	Organization int       `json:"organization,omitempty"` // Kisi's number
	Domain       string    `json:"domain,omitempty"`
	Sealed       string    `json:"sealed,omitempty"` // Kisi's key
	Created      time.Time `json:"created"`
	Checked      time.Time `json:"checked,omitzero"`
	Trouble      string    `json:"trouble,omitempty"` // what the last check found
	Settings     bool      `json:"-"`                 // comes from the settings, and is changed there
}

// Connections lists those that are stored, by id.
func (s *Store) Connections(ctx context.Context) ([]Connection, error) {
	rows, err := s.redis.HGetAll(ctx, storedKey).Result()
	if err != nil {
		return nil, sorted("redis: list connections", err)
	}
	all := make([]Connection, 0, len(rows))
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		c, err := readConnection(id, rows[id])
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// Connection reads one, or says Missing.
func (s *Store) Connection(ctx context.Context, id string) (Connection, error) {
	c, _, err := s.connection(ctx, id)
	return c, err
}

func (s *Store) connection(ctx context.Context, id string) (Connection, string, error) {
	text, err := s.redis.HGet(ctx, storedKey, id).Result()
	there, err := found(err)
	switch {
	case err != nil:
		return Connection{}, "", sorted("redis: read connection "+id, err)
	case !there:
		return Connection{}, "", fault.New(fault.Missing, "connection "+id, "there is none of that id")
	}
	c, err := readConnection(id, text)
	return c, text, err
}

func readConnection(id, text string) (Connection, error) {
	var c Connection
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return c, broken("connection "+id, err)
	}
	return c, nil
}

// AddConnection stores a new one; the id must be free.
func (s *Store) AddConnection(ctx context.Context, c Connection) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return s.swapIn(ctx, "redis: add connection "+c.ID, storedKey, storedRevKey, c.ID, "", string(text))
}

// ChangeConnection is like [Store.ChangeIntegration].
func (s *Store) ChangeConnection(ctx context.Context, id string, change func(*Connection) bool) (Connection, error) {
	for range 10 {
		c, old, err := s.connection(ctx, id)
		if err != nil || !change(&c) {
			return c, err
		}
		text, err := json.Marshal(c)
		if err != nil {
			return c, err
		}
		err = s.swapIn(ctx, "redis: change connection "+id, storedKey, storedRevKey, id, old, string(text))
		if !fault.Is(err, fault.Clash) {
			return c, err
		}
	}
	return Connection{}, clash("redis: change connection " + id)
}

// RemoveConnection forgets one.
func (s *Store) RemoveConnection(ctx context.Context, id string) error {
	_, old, err := s.connection(ctx, id)
	if err != nil {
		return err
	}
	return s.swapIn(ctx, "redis: remove connection "+id, storedKey, storedRevKey, id, old, "")
}

// ConnectionsRev changes whenever a connection does.
func (s *Store) ConnectionsRev(ctx context.Context) (string, error) {
	rev, err := s.redis.Get(ctx, storedRevKey).Result()
	_, err = found(err)
	return rev, sorted("redis: read the revision of the connections", err)
}

// ErrForeign says that a key opens another organization than the ledger is of.
var ErrForeign = errors.New("another organization")

// Bind ties a Kisi connection to the organization that its key opened first.
// The ledger names rows of that organization; with the key of another, the
// bridge would delete the wrong ones.
func (s *Store) Bind(ctx context.Context, kisi string, organization int) error {
	op := "kisi connection " + kisi
	if _, err := s.redis.HSetNX(ctx, connectionsKey, kisi, organization).Result(); err != nil {
		return sorted(op, err)
	}
	bound, err := s.redis.HGet(ctx, connectionsKey, kisi).Result()
	if err != nil {
		return sorted(op, err)
	}
	if bound != strconv.Itoa(organization) {
		return &fault.Error{
			Class: fault.Denied, Op: op,
			Err:  fmt.Errorf("%w: the key opens %d, the ledger belongs to %s", ErrForeign, organization, bound),
			Hint: "set KISI_API_KEY to a key of that organization, or use another Redis",
		}
	}
	return nil
}

// consentLife is how long a person has to consent.
const consentLife = 10 * time.Minute

// SaveConsent remembers who began to connect a tenant, under a state that is
// used once.
func (s *Store) SaveConsent(ctx context.Context, state, who string) error {
	return sorted("redis: save consent", s.redis.Set(ctx, consentKey(state), who, consentLife).Err())
}

// TakeConsent gives back who began, and forgets it.
func (s *Store) TakeConsent(ctx context.Context, state string) (string, error) {
	who, err := s.redis.GetDel(ctx, consentKey(state)).Result()
	there, err := found(err)
	if err == nil && !there {
		err = &fault.Error{
			Class: fault.Denied, Op: "consent", Err: errors.New("the state is unknown, used or older than ten minutes"),
			Hint: "begin again with Authorize",
		}
		return "", err
	}
	return who, sorted("redis: take consent", err)
}
