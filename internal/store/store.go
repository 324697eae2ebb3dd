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

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/fault"
)

//go:embed *.lua
var sources embed.FS

// A Store is the bridge's memory. It is safe for concurrent use.
type Store struct {
	redis   redis.UniversalClient
	scripts map[string]*redis.Script
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
