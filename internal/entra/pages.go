package entra

import (
	"context"
	"errors"
	"time"

	"github.com/microsoft/kiota-abstractions-go/serialization"

	"kisibridge/internal/fault"
)

// maxPages ends a list that Graph never ends: 50,000 members are 500 pages of 100.
const maxPages = 10_000

// A page is a part of a list, as the SDK gives it.
type page[T any] interface {
	serialization.Parsable
	GetValue() []T
	GetOdataNextLink() *string
}

// A list is a call that is answered in pages.
type list[P page[T], T any] struct {
	kind   kind
	op     string
	first  func(context.Context) (P, error)
	follow func(ctx context.Context, link string) (P, error)
}

// each visits the items page by page, so that only one page is held, and
// returns the last page. What was visited counts for nothing beside an error.
func (l list[P, T]) each(ctx context.Context, c *Client, visit func(T) error) (P, error) {
	p, err := l.ask(ctx, c, l.first)
	for range maxPages {
		if err != nil {
			return p, err
		}
		for _, item := range p.GetValue() {
			if err := visit(item); err != nil {
				return p, err
			}
		}
		next := deref(p.GetOdataNextLink())
		if next == "" {
			return p, nil
		}
		if !c.ours(next) {
			return p, fault.New(fault.Busy, "graph: "+l.op, "the next page is of another host than Graph has")
		}
		err = patiently(ctx, func() (err error) {
			p, err = l.ask(ctx, c, func(ctx context.Context) (P, error) { return l.follow(ctx, next) })
			return err
		})
	}
	return p, fault.New(fault.Busy, "graph: "+l.op, "Graph sent %d pages and no end", maxPages)
}

// ask wants a page that holds a list, were it an empty one. The SDK takes an
// empty body and an object of anything for a page: nobody would be in it.
func (l list[P, T]) ask(ctx context.Context, c *Client, do func(context.Context) (P, error)) (P, error) {
	return call(ctx, c, l.kind, l.op, func(ctx context.Context) (P, error) {
		p, err := do(ctx)
		if err == nil && (any(p) == nil || p.GetValue() == nil) {
			err = errors.New("the answer holds no list")
		}
		return p, err
	})
}

// What would be lost is waited for, this long and this often: the pages that
// were read already, or the rest of a batch. Longer waits are the queue's.
const (
	patience  = 2 * time.Second
	patiences = 2
)

// patiently repeats do while Graph asks to wait for a moment. When ctx ends
// meanwhile, do says so.
func patiently(ctx context.Context, do func() error) error {
	for range patiences {
		err := do()
		if !brief(err) {
			return err
		}
		wait(ctx, fault.After(err))
	}
	return do()
}

func brief(err error) bool {
	after := fault.After(err)
	return fault.Is(err, fault.Busy) && after > 0 && after <= patience
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
