package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/fault"
)

// A Credential is an API key, without its secret: that is found by its digest
// and stored nowhere.
type Credential struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	Prefix    string    `json:"prefix"` // of the secret, for a person to recognise it
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by,omitempty"`
	Expires   time.Time `json:"expires,omitzero"` // zero: never
	Used      time.Time `json:"-"`                // kept beside it, for it changes often
}

// AddCredential adds one under the digest of its secret: a Clash when another
// has its name, Invalid when there are already as many as there may be.
func (s *Store) AddCredential(ctx context.Context, digest string, c Credential, most int) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	op := "add the API key " + c.Name
	answer, err := s.run(ctx, "enlist", []string{credentialsKey, credentialNamesKey}, digest, strings.ToLower(c.Name), text, most).Text()
	switch {
	case err != nil:
		return sorted("redis: "+op, err)
	case answer == "taken":
		return &fault.Error{
			Class: fault.Clash, Op: op, Err: errors.New("another key has this name"),
			Hint: "choose another name, or delete that key first",
		}
	case answer == "full":
		return &fault.Error{
			Class: fault.Invalid, Op: op, Err: fmt.Errorf("there are %d keys already", most),
			Hint: "delete keys that nobody uses",
		}
	}
	return nil
}

// Credential finds one by the digest of its secret.
func (s *Store) Credential(ctx context.Context, digest string) (c Credential, there bool, err error) {
	var text, used *redis.StringCmd
	_, err = s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		text, used = p.HGet(ctx, credentialsKey, digest), p.HGet(ctx, credentialUsesKey, digest)
		return nil
	})
	if there, err := found(text.Err()); !there {
		return c, false, sorted("redis: look up an API key", err)
	}
	if _, err = found(err); err != nil {
		return c, false, sorted("redis: look up an API key", err)
	}
	c, err = readCredential(text.Val(), used.Val())
	return c, err == nil, err
}

func readCredential(text, used string) (Credential, error) {
	var c Credential
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return c, broken("an API key", err)
	}
	if ms, err := strconv.ParseInt(used, 10, 64); err == nil { // "" is never
		c.Used = time.UnixMilli(ms)
	}
	return c, nil
}

// UseCredential writes when one was used last.
func (s *Store) UseCredential(ctx context.Context, digest string, at time.Time) error {
	err := s.run(ctx, "used", []string{credentialsKey, credentialUsesKey}, digest, at.UnixMilli()).Err()
	return sorted("redis: write when an API key was used", err)
}

// Credentials lists all, the oldest first.
func (s *Store) Credentials(ctx context.Context) ([]Credential, error) {
	all, err := s.credentials(ctx)
	list := make([]Credential, 0, len(all))
	for _, c := range all {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Credential) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	return list, err
}

// credentials are all by the digests of their secrets.
func (s *Store) credentials(ctx context.Context) (map[string]Credential, error) {
	var rows, used *redis.MapStringStringCmd
	_, err := s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		rows, used = p.HGetAll(ctx, credentialsKey), p.HGetAll(ctx, credentialUsesKey)
		return nil
	})
	if err != nil {
		return nil, sorted("redis: list the API keys", err)
	}
	all := make(map[string]Credential, len(rows.Val()))
	for digest, text := range rows.Val() {
		if all[digest], err = readCredential(text, used.Val()[digest]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// DropCredential deletes the one of an id; it ends at once, everywhere.
func (s *Store) DropCredential(ctx context.Context, id string) error {
	op := "delete the API key " + strconv.Quote(id)
	all, err := s.credentials(ctx)
	if err != nil {
		return err
	}
	for digest, c := range all {
		if c.ID != id {
			continue
		}
		keys := []string{credentialsKey, credentialNamesKey, credentialUsesKey}
		n, err := s.run(ctx, "dismiss", keys, digest, strings.ToLower(c.Name)).Int()
		if err != nil {
			return sorted("redis: "+op, err)
		}
		if n > 0 {
			return nil
		}
	}
	return fault.New(fault.Missing, op, "there is none of this id")
}
