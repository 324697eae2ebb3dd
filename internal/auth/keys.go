package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

const (
	// keyMark begins every API key, so that people and scanners of leaked
	// secrets know one when they see it.
	keyMark = "kbk_"

	mostKeys    = 200
	longestName = 64
	shownSigns  = 8

	// noteUse is how stale the last use of a key may be.
	noteUse = time.Minute
)

// A Key is an API key, without its secret.
type Key struct {
	ID        string // a ULID
	Name      string
	Role      Role
	Prefix    string // the first signs of the secret, to recognise it
	Created   time.Time
	CreatedBy string
	Expires   time.Time // zero: never
	LastUsed  time.Time // to a minute; zero: never
}

// CreateKey makes an API key, by whoever calls. Its secret is told this once.
func (g *Gate) CreateKey(ctx context.Context, name string, role Role, expires *time.Time) (Key, string, error) {
	now := time.Now()
	if err := checkKey(name, role, expires, now); err != nil {
		return Key{}, "", err
	}
	id, err := ulid.New(ulid.Timestamp(now), rand.Reader)
	if err != nil {
		return Key{}, "", fmt.Errorf("create the API key %s: %w", name, err)
	}
	secret := keyMark + newSecret()
	k := Key{ID: id.String(), Name: name, Role: role, Prefix: secret[:shownSigns], Created: now.UTC().Truncate(time.Millisecond)}
	if by, ok := From(ctx); ok {
		k.CreatedBy = by.String()
	}
	if expires != nil {
		k.Expires = expires.UTC()
	}
	if err := g.store.AddCredential(ctx, digest(secret), k.credential(), mostKeys); err != nil {
		return Key{}, "", err
	}
	return k, secret, nil
}

func checkKey(name string, role Role, expires *time.Time, now time.Time) error {
	const op = "create an API key"
	switch {
	case !isKeyName(name):
		return &fault.Error{
			Class: fault.Invalid, Op: op, Err: fmt.Errorf("name %q", name),
			Hint: "1 to 64 letters, digits, spaces, dots, dashes and underscores are expected, a letter or digit first and last",
		}
	case !role.Allows(Viewer):
		return &fault.Error{
			Class: fault.Invalid, Op: op, Err: errors.New("no role is given"),
			Hint: "viewer, operator or admin is expected",
		}
	case expires != nil && !expires.After(now):
		return &fault.Error{
			Class: fault.Invalid, Op: op, Err: fmt.Errorf("it would be over since %s", expires.UTC().Format(time.RFC3339)),
			Hint: "choose a time to come, or none",
		}
	}
	return nil
}

// isKeyName keeps out what could pass for something else in the audit trail.
func isKeyName(name string) bool {
	const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	n := len(name)
	return n > 0 && n <= longestName &&
		strings.Trim(name, alnum+" ._-") == "" &&
		strings.Contains(alnum, name[:1]) && strings.Contains(alnum, name[n-1:])
}

func (k *Key) credential() store.Credential {
	return store.Credential{
		ID: k.ID, Name: k.Name, Role: k.Role.String(), Prefix: k.Prefix,
		Created: k.Created, CreatedBy: k.CreatedBy, Expires: k.Expires,
	}
}

func newKey(c store.Credential) (Key, error) {
	role, err := ParseRole(c.Role)
	if err != nil {
		return Key{}, fmt.Errorf("API key %s: %w", c.ID, err)
	}
	return Key{
		ID: c.ID, Name: c.Name, Role: role, Prefix: c.Prefix,
		Created: c.Created, CreatedBy: c.CreatedBy, Expires: c.Expires, LastUsed: c.Used,
	}, nil
}

// Keys lists the API keys, the oldest first, those that are over included.
func (g *Gate) Keys(ctx context.Context) ([]Key, error) {
	all, err := g.store.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(all))
	for n, c := range all {
		if keys[n], err = newKey(c); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// DeleteKey ends an API key at once; one that is not there is Missing.
func (g *Gate) DeleteKey(ctx context.Context, id string) error {
	return g.store.DropCredential(ctx, id)
}

// byKey finds the caller of an API key.
func (g *Gate) byKey(ctx context.Context, secret string) (Caller, error) {
	c, there, err := g.store.Credential(ctx, digest(secret))
	if err != nil {
		return Caller{}, err
	}
	now := time.Now()
	if !there || !c.Expires.IsZero() && !now.Before(c.Expires) {
		return Caller{}, nobody("the key is not known, or over")
	}
	k, err := newKey(c)
	if err != nil {
		return Caller{}, err
	}
	if now.Sub(k.LastUsed) >= noteUse {
		g.noteUse(ctx, k, digest(secret), now)
	}
	return Caller{ID: k.ID, Name: k.Name, Kind: KindKey, Role: k.Role}, nil
}

// noteUse writes when a key was used. The request goes on without.
func (g *Gate) noteUse(ctx context.Context, k Key, digest string, now time.Time) {
	if err := g.store.UseCredential(ctx, digest, now); err != nil {
		g.log.WarnContext(ctx, "the use of an API key was not noted", slog.String("key", k.ID), slog.Any("error", err))
	}
}
