package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/redis/go-redis/v9"
)

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
