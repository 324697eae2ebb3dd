package auth

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"kisibridge/internal/fault"
)

const (
	window       = time.Minute
	mostRequests = 600 // of a caller in a window
	mostTries    = 10  // at the bootstrap token, of an address in a window
	mostSignIns  = 60  // begun from an address in a window; each is remembered for a while
)

// ErrTooMany is in the chain of what is Busy because of the caller alone: 429.
var ErrTooMany = errors.New("too many tries")

func tooMany(op string, left time.Duration) error {
	return &fault.Error{
		Class: fault.Busy, Op: op, Err: ErrTooMany, After: max(left, time.Second),
		Hint: "wait a minute, then try again",
	}
}

// Allow counts a request of a caller, over all replicas. It tells how long
// the caller has to wait: 0 lets the request pass. Sessions of one person
// count together.
func (g *Gate) Allow(ctx context.Context, c Caller) (retryAfter time.Duration, err error) {
	// A digest, for the id of a person is the provider's to choose.
	n, left, err := g.store.Tally(ctx, "caller:"+digest(c.Kind+" "+c.ID), window)
	if err != nil || n <= mostRequests {
		return 0, err
	}
	return max(left, time.Millisecond), nil
}

// tries names the count of tries at the bootstrap token.
func (g *Gate) tries(r *http.Request) string { return "tries:" + g.place(r) }

// place is where a request comes from. A network of IPv6 is one place: who has
// an address in it, has 2^64 of them.
func (g *Gate) place(r *http.Request) string {
	text := g.address(r)
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		text = addr.String()
		if addr.Is6() {
			text = netip.PrefixFrom(addr, 64).Masked().String()
		}
	}
	return digest(text)
}
