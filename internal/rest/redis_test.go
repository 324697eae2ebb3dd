package rest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/redistest"
)

// memory is a Redis in memory that takes commands while it answers, as a real
// one does: the pipe to it holds nothing, so that two who write into it would
// wait for each other for ever.
func memory(t testing.TB) *redis.Client {
	o := *redistest.Memory(t).Options()
	dial := o.Dialer
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		inner, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := &patient{Conn: inner, writes: make(chan []byte, 4096), done: make(chan struct{})}
		go c.run()
		return c, nil
	}
	c := redis.NewClient(&o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// A patient connection takes what is written at once.
type patient struct {
	net.Conn
	writes chan []byte
	once   sync.Once
	done   chan struct{}
}

func (p *patient) run() {
	for {
		select {
		case b := <-p.writes:
			if _, err := p.Conn.Write(b); err != nil {
				return
			}
		case <-p.done:
			return
		}
	}
}

func (p *patient) Write(b []byte) (int, error) {
	select {
	case p.writes <- bytes.Clone(b):
		return len(b), nil
	case <-p.done:
		return 0, net.ErrClosed
	}
}

func (p *patient) Close() error {
	p.once.Do(func() { close(p.done) })
	return p.Conn.Close()
}

// A breaker fails one command that names a key, as if Redis were gone.
type breaker struct {
	at string

	mu    sync.Mutex // guards armed
	armed bool
}

func (b *breaker) arm() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed = true
}

func (b *breaker) breaks(cmds ...redis.Cmder) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range cmds {
		if b.armed && strings.Contains(fmt.Sprint(c.Args()...), b.at) {
			b.armed = false
			return true
		}
	}
	return false
}

func (b *breaker) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b *breaker) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if b.breaks(cmd) {
			err := &net.OpError{Op: "write", Err: errors.New("10.1.2.3:6379 is gone")}
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

func (b *breaker) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A counter counts round trips, but for those that open a connection, or tell
// who calls and how often: these are the same for every call.
type counter struct {
	mu    sync.Mutex // guards trips
	trips []string
}

func (c *counter) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	trips := c.trips
	c.trips = nil
	return trips
}

func (c *counter) count(cmds ...redis.Cmder) {
	text := fmt.Sprint(cmds[0].Args()...)
	if !strings.Contains(text, "kb:") && !strings.Contains(text, "multi") || strings.Contains(text, "kb:{tally:") || strings.Contains(text, "kb:{keys}") {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trips = append(c.trips, fmt.Sprintf("%d: %.80s", len(cmds), text))
}

func (c *counter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.count(cmd)
		return next(ctx, cmd)
	}
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.count(cmds...)
		return next(ctx, cmds)
	}
}
