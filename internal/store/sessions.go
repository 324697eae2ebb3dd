package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/fault"
)

// A Session is somebody who signed in with a browser. It is found by the
// digest of its id, which only that browser knows.
type Session struct {
	Kind    string    `json:"kind"`
	Person  string    `json:"person"` // id of whoever signed in
	Name    string    `json:"name"`
	Grounds []string  `json:"grounds,omitempty"` // what the role was given for: app roles and groups
	Proof   string    `json:"proof,omitempty"`   // ties the session to the token that began it
	Began   time.Time `json:"began"`
}

// A Life is how long a session lasts.
type Life struct {
	Idle time.Duration // without a request
	Most time.Duration // from its beginning
}

// left is the life of a session that is used now.
func (l Life) left(began time.Time) time.Duration {
	return min(l.Idle, l.Most-time.Since(began))
}

// touchEvery is how stale the end of an idle session may be: a session that
// is busy is written once in that time.
const touchEvery = time.Minute

// SaveSession begins a session.
func (s *Store) SaveSession(ctx context.Context, digest string, session Session, life Life) error {
	text, err := json.Marshal(session)
	if err != nil {
		return err
	}
	return sorted("redis: begin a session", s.redis.Set(ctx, sessionKey(digest), text, life.left(session.Began)).Err())
}

// Session finds a session that is not over, and keeps it from ending idle.
func (s *Store) Session(ctx context.Context, digest string, life Life) (session Session, there bool, err error) {
	const op = "redis: look up a session"
	var text *redis.StringCmd
	var left *redis.DurationCmd
	_, err = s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		text, left = p.Get(ctx, sessionKey(digest)), p.PTTL(ctx, sessionKey(digest))
		return nil
	})
	if _, err = found(err); err != nil || text.Err() != nil {
		return session, false, sorted(op, err)
	}
	if err := json.Unmarshal([]byte(text.Val()), &session); err != nil {
		return session, false, broken("a session", err)
	}
	want := life.left(session.Began)
	if want <= 0 { // over, though Redis still has it
		return Session{}, false, s.DropSession(ctx, digest)
	}
	if want-left.Val() >= touchEvery {
		err = s.redis.PExpire(ctx, sessionKey(digest), want).Err()
	}
	return session, true, sorted(op, err)
}

// DropSession ends a session.
func (s *Store) DropSession(ctx context.Context, digest string) error {
	return sorted("redis: end a session", s.redis.Del(ctx, sessionKey(digest)).Err())
}

// A SignIn is what is remembered of somebody who was sent to sign in
// elsewhere, until they come back.
type SignIn struct {
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"` // of PKCE
	ReturnTo string `json:"return_to"`
}

// SaveSignIn remembers a sign-in for a while.
func (s *Store) SaveSignIn(ctx context.Context, digest string, in SignIn, life time.Duration) error {
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return sorted("redis: begin a sign-in", s.redis.Set(ctx, signInKey(digest), text, life).Err())
}

// TakeSignIn gives a sign-in once; what was taken is Missing.
func (s *Store) TakeSignIn(ctx context.Context, digest string) (SignIn, error) {
	const op = "redis: look up a sign-in"
	var in SignIn
	text, err := s.redis.GetDel(ctx, signInKey(digest)).Result()
	if there, err := found(err); err != nil {
		return in, sorted(op, err)
	} else if !there {
		return in, fault.New(fault.Missing, op, "it is over, or never was")
	}
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return in, broken("a sign-in", err)
	}
	return in, nil
}

// Tally counts one more of something in a window that began with the first,
// over all processes, and tells how much of the window is left.
func (s *Store) Tally(ctx context.Context, what string, window time.Duration) (n int64, left time.Duration, err error) {
	two, err := s.run(ctx, "count", []string{tallyKey(what)}, window.Milliseconds()).Int64Slice()
	if err != nil {
		return 0, 0, sorted("redis: count "+what, err)
	}
	return two[0], max(0, time.Duration(two[1])*time.Millisecond), nil
}

// Tallied tells what Tally counted, without counting.
func (s *Store) Tallied(ctx context.Context, what string) (n int64, left time.Duration, err error) {
	var count *redis.StringCmd
	var ttl *redis.DurationCmd
	_, err = s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		count, ttl = p.Get(ctx, tallyKey(what)), p.PTTL(ctx, tallyKey(what))
		return nil
	})
	if _, err := found(err); err != nil {
		return 0, 0, sorted("redis: read the count of "+what, err)
	}
	n, _ = count.Int64() // none is 0
	return n, max(0, ttl.Val()), nil
}

// Untally begins a count anew.
func (s *Store) Untally(ctx context.Context, what string) error {
	return sorted("redis: end the count of "+what, s.redis.Del(ctx, tallyKey(what)).Err())
}
