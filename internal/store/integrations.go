package store

import (
	"context"
	"encoding/json"
	"sort"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// Integrations lists all integrations, by id.
func (s *Store) Integrations(ctx context.Context) ([]access.Integration, error) {
	rows, err := s.redis.HGetAll(ctx, integrationsKey).Result()
	if err != nil {
		return nil, sorted("redis: list integrations", err)
	}
	all := make([]access.Integration, 0, len(rows))
	for id, text := range rows {
		i, err := readIntegration(id, text)
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	sort.Slice(all, func(a, b int) bool { return all[a].ID < all[b].ID })
	return all, nil
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
	fresh, err := s.redis.HSetNX(ctx, integrationsKey, i.ID, text).Result()
	if err == nil && !fresh {
		return clash("redis: add integration " + i.ID)
	}
	return sorted("redis: add integration "+i.ID, err)
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
		done, err := s.run(ctx, "swap", []string{integrationsKey}, id, old, text).Bool()
		if err != nil {
			return i, sorted("redis: change integration "+id, err)
		}
		if done {
			return i, nil
		}
	}
	return access.Integration{}, clash("redis: change integration " + id)
}

// RemoveIntegration forgets one and its runs.
func (s *Store) RemoveIntegration(ctx context.Context, id string) error {
	if err := s.redis.Del(ctx, runsKey(id)).Err(); err != nil {
		return sorted("redis: remove runs of "+id, err)
	}
	return sorted("redis: remove integration "+id, s.redis.HDel(ctx, integrationsKey, id).Err())
}

// A Run is one pass over an integration that found something to do.
type Run struct {
	At      time.Time `json:"at"`
	Cause   string    `json:"cause"`
	Joined  int       `json:"joined"`  // people the group gained
	Left    int       `json:"left"`    // people it lost
	Make    int       `json:"make"`    // grants to make
	Revoke  int       `json:"revoke"`  // grants to delete
	Skipped int       `json:"skipped"` // people who cannot be granted
	Held    int       `json:"held"`    // removals that wait for a person
	Err     string    `json:"err,omitempty"`
}

// keptRuns bounds the list of runs of an integration.
const keptRuns = 200

// AddRun writes a run down.
func (s *Store) AddRun(ctx context.Context, integration string, r Run) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.LPush(ctx, runsKey(integration), text)
		p.LTrim(ctx, runsKey(integration), 0, keptRuns-1)
		return nil
	})
	return sorted("redis: add run of "+integration, err)
}

// Runs lists the newest runs, newest first.
func (s *Store) Runs(ctx context.Context, integration string, n int) ([]Run, error) {
	texts, err := s.redis.LRange(ctx, runsKey(integration), 0, int64(n)-1).Result()
	if err != nil {
		return nil, sorted("redis: list runs of "+integration, err)
	}
	runs := make([]Run, len(texts))
	for k, text := range texts {
		if err := json.Unmarshal([]byte(text), &runs[k]); err != nil {
			return nil, broken("run of "+integration, err)
		}
	}
	return runs, nil
}
