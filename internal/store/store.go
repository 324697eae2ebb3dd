// Package store keeps, in Redis, all that must survive a restart.
//
// What changes together is changed by one Lua script, and the keys of a script
// share a hash tag, so that everything here also runs on a Redis Cluster.
package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/fault"
)

//go:embed *.lua
var sources embed.FS

// A Store is the bridge's memory. It is safe for concurrent use.
type Store struct {
	redis   redis.UniversalClient
	scripts map[string]*redis.Script
	rules   cache
}

// Open makes a store of a connected client, which the caller closes.
func Open(client redis.UniversalClient) (*Store, error) {
	s := &Store{redis: client, scripts: map[string]*redis.Script{}}
	files, err := sources.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("read the scripts: %w", err)
	}
	for _, f := range files {
		text, err := sources.ReadFile(f.Name())
		if err != nil {
			return nil, fmt.Errorf("read the script %s: %w", f.Name(), err)
		}
		s.scripts[strings.TrimSuffix(f.Name(), ".lua")] = redis.NewScript(string(text))
	}
	return s, nil
}

// Ping tells whether Redis answers.
func (s *Store) Ping(ctx context.Context) error {
	return sorted("redis: ping", s.redis.Ping(ctx).Err())
}

// run calls a script by its hash, and by its text the first time.
func (s *Store) run(ctx context.Context, name string, keys []string, args ...any) *redis.Cmd {
	return s.scripts[name].Run(ctx, s.redis, keys, args...)
}

// sorted classifies what Redis answered: it is down, or one of us is wrong.
// A script whose answer was lost is Busy, not Unknown, for each of them may be
// run twice.
func sorted(op string, err error) error {
	var answer redis.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", op, err)
	case errors.As(err, &answer) && !isTransient(answer.Error()):
		return &fault.Error{Class: fault.Bug, Op: op, Err: err}
	}
	return &fault.Error{Class: fault.Busy, Op: op, Err: err, Hint: "see whether Redis is up and reachable"}
}

// isTransient names the answers of a Redis that is about to be well again.
func isTransient(text string) bool {
	for _, prefix := range []string{"LOADING", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "OOM", "MISCONF", "BUSY", "max number of clients"} {
		if strings.Contains(text, prefix) {
			return true
		}
	}
	return false
}

// clash says that somebody else saved first.
func clash(op string) error {
	return fault.New(fault.Clash, op, "somebody else saved it first")
}

// Health is what a person who runs Redis should know of it.
type Health struct {
	Version    string
	AppendOnly bool   // what was written survives a restart
	Fsync      string // "always": even a crash of the machine
	Eviction   string // "noeviction", or keys may vanish
	Skew       time.Duration
}

// Health asks Redis how safe what it keeps is. What a managed Redis does not
// tell stays empty.
func (s *Store) Health(ctx context.Context) (Health, error) {
	var h Health
	asked := time.Now()
	there, err := s.redis.Time(ctx).Result()
	if err != nil {
		return h, sorted("redis: time", err)
	}
	h.Skew = there.Sub(asked.Add(time.Since(asked) / 2))
	info, err := s.redis.Info(ctx).Result()
	if err != nil {
		return h, sorted("redis: info", err)
	}
	for line := range strings.Lines(info) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); name {
		case "redis_version":
			h.Version = value
		case "aof_enabled":
			h.AppendOnly = value == "1"
		case "maxmemory_policy":
			h.Eviction = value
		}
	}
	// Managed Redis forbids CONFIG; then the rest is not known.
	if c, err := s.redis.ConfigGet(ctx, "appendfsync").Result(); err == nil {
		h.Fsync = c["appendfsync"]
	}
	return h, nil
}
