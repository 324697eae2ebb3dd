package store

import (
	"context"
	"crypto/rand"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
)

// A Limiter lets calls to one Kisi connection go, so many in any second over
// all replicas, the most urgent first.
type Limiter struct {
	store *Store
	kisi  string
	rate  int
}

const (
	// A window a little longer than the second that Kisi counts, for calls
	// that are let go evenly may still arrive unevenly.
	window = 1040 * time.Millisecond
)

// Limiter makes the limiter of a connection: rate calls a second.
func (s *Store) Limiter(kisi string, rate int) *Limiter {
	return &Limiter{store: s, kisi: kisi, rate: max(1, rate)}
}

// Wait returns when one call may be made. While something more urgent waits,
// in any process, nothing else goes. What waits long is evenly spaced, and
// leaves one call of each window to whoever must lose access at once.
func (l *Limiter) Wait(ctx context.Context, u access.Urgency) error {
	waiter := rand.Text()
	for {
		wait, err := l.ask(ctx, u, waiter)
		if err != nil {
			return err
		}
		if wait <= 0 {
			return nil
		}
		timer := time.NewTimer(min(wait, time.Second))
		select {
		case <-ctx.Done():
			timer.Stop()
			l.leave(context.WithoutCancel(ctx), waiter)
			return ctx.Err()
		case <-timer.C:
		}
	}
}

func (l *Limiter) ask(ctx context.Context, u access.Urgency, waiter string) (time.Duration, error) {
	µs, err := l.store.run(ctx, "limit", []string{
		limitKey(l.kisi, "calls"), limitKey(l.kisi, "waiting"), limitKey(l.kisi, "seen"),
		limitKey(l.kisi, "next"), limitKey(l.kisi, "pause"), limitKey(l.kisi, "slow"),
	}, l.rate, window.Microseconds(), int(u), waiter).Int64()
	return time.Duration(µs) * time.Microsecond, sorted("redis: wait for Kisi", err)
}

// leave takes a waiter off the list, so that nobody waits for it; one that
// cannot be taken off is forgotten after three seconds.
func (l *Limiter) leave(ctx context.Context, waiter string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	p := l.store.redis.Pipeline()
	p.ZRem(ctx, limitKey(l.kisi, "waiting"), waiter)
	p.ZRem(ctx, limitKey(l.kisi, "seen"), waiter)
	_, _ = p.Exec(ctx) // see above
}

// Slow makes everybody wait for after, and then go slower for a while: a
// little the first time, down to a quarter when Kisi goes on saying 429, for
// then somebody else uses the same user.
func (l *Limiter) Slow(ctx context.Context, after time.Duration) {
	keys := []string{limitKey(l.kisi, "pause"), limitKey(l.kisi, "slow")}
	_ = l.store.run(ctx, "slow", keys, max(after, time.Millisecond).Milliseconds()).Err() // Kisi will say it again
}

// Budget tells which part of the allowed rate was used in the last second, and
// whether Kisi said 429 of late.
func (l *Limiter) Budget(ctx context.Context) (used float64, slowed bool, err error) {
	since := strconv.FormatInt(time.Now().Add(-time.Second).UnixMicro(), 10)
	var calls *redis.IntCmd
	var slow *redis.IntCmd
	_, err = l.store.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		calls = p.ZCount(ctx, limitKey(l.kisi, "calls"), since, "+inf")
		slow = p.Exists(ctx, limitKey(l.kisi, "slow"), limitKey(l.kisi, "pause"))
		return nil
	})
	if err != nil {
		return 0, false, sorted("redis: look at the calls of "+l.kisi, err)
	}
	return min(1, float64(calls.Val())/float64(l.rate)), slow.Val() > 0, nil
}
