package graphsim

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"
)

// A vault keeps what a token stands for, until the token is too old.
type vault[T any] struct {
	life  time.Duration
	kept  map[string]T
	order []deadline // oldest first, since all tokens live equally long
}

type deadline struct {
	token string
	at    time.Time
}

func newVault[T any](life time.Duration) vault[T] {
	return vault[T]{life: life, kept: map[string]T{}}
}

func (v *vault[T]) put(token string, x T) {
	v.prune()
	v.kept[token] = x
	v.order = append(v.order, deadline{token, time.Now().Add(v.life)})
}

func (v *vault[T]) get(token string) (T, bool) {
	v.prune()
	x, ok := v.kept[token]
	return x, ok
}

func (v *vault[T]) prune() {
	now := time.Now()
	for len(v.order) > 0 && !now.Before(v.order[0].at) {
		delete(v.kept, v.order[0].token)
		v.order = v.order[1:]
	}
}

// newToken returns an opaque token of 32 characters that need no escaping.
func newToken() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// newID returns a random guid.
func newID() string {
	t := newToken()
	return fmt.Sprintf("%s-%s-4%s-a%s-%s", t[:8], t[8:12], t[13:16], t[17:20], t[20:])
}
