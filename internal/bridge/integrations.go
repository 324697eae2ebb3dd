package bridge

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// Add checks and stores an integration, and starts it at once.
func (e *Engine) Add(ctx context.Context, i access.Integration) (access.Integration, error) {
	i = i.WithDefaults()
	if i.ID == "" {
		i.ID = strings.ToLower(rand.Text()[:10])
	}
	i.Created = time.Now()
	i.Since = i.Created
	if err := i.Check(); err != nil {
		return i, &fault.Error{Class: fault.Invalid, Op: "integration", Err: err}
	}
	if err := e.store.AddIntegration(ctx, i); err != nil {
		return i, err
	}
	return i, e.waker.Wake(ctx,
		access.PullOf(i.Group, access.Allow, access.ByPerson, i.Created),
		access.KeepOf(i.Group, access.ByPerson, i.Created))
}

// Delete ends an integration: the grants that nothing else calls for are
// deleted, the people stay. It goes on by itself when the process dies.
func (e *Engine) Delete(ctx context.Context, id string) error {
	i, err := e.store.ChangeIntegration(ctx, id, func(i *access.Integration) bool {
		i.State, i.Why, i.Since = access.Deleting, "", time.Now()
		return true
	})
	if err != nil {
		return err
	}
	return e.takeDown(ctx, i)
}

// Pause stops all writes of an integration and goes on reading.
func (e *Engine) Pause(ctx context.Context, id string) error {
	_, err := e.change(ctx, id, access.Paused, access.Active, access.Held, access.Failing)
	return err
}

// Resume applies what changed meanwhile.
func (e *Engine) Resume(ctx context.Context, id string) error {
	i, err := e.change(ctx, id, access.Active, access.Paused, access.Failing)
	if err != nil {
		return err
	}
	return e.waker.Wake(ctx, access.PullOf(i.Group, access.Allow, access.ByPerson, time.Now()))
}

// change moves an integration to a state from one of some others.
func (e *Engine) change(ctx context.Context, id string, to access.State, from ...access.State) (access.Integration, error) {
	var is access.State
	i, err := e.store.ChangeIntegration(ctx, id, func(i *access.Integration) bool {
		is = i.State
		if !slices.Contains(from, is) {
			return false
		}
		i.State, i.Why, i.Since = to, "", time.Now()
		return true
	})
	if err == nil && i.State != to {
		err = fault.New(fault.Invalid, "integration "+id, "it is %s and cannot become %s", is, to)
	}
	return i, err
}

// Approve lets the removals go that wait on the target of an integration.
func (e *Engine) Approve(ctx context.Context, id string) error {
	i, err := e.store.Integration(ctx, id)
	if err != nil {
		return err
	}
	hold, err := e.store.Hold(ctx, i.Target)
	if err != nil {
		return err
	}
	if len(hold.People) == 0 {
		return fault.New(fault.Invalid, "integration "+id, "no removal waits to be approved")
	}
	hold.Approved = true
	if err := e.store.SaveHold(ctx, i.Target, hold); err != nil {
		return err
	}
	of, err := e.using(ctx, ofTarget(i.Target))
	if err != nil {
		return err
	}
	for _, i := range of {
		if err := e.holdState(ctx, i, ""); err != nil {
			return err
		}
	}
	wakes := make([]access.Wake, len(hold.People))
	for k, person := range hold.People {
		wakes[k] = access.ApplyOf(i.Target, person, access.Revoke, access.ByPerson, time.Now())
	}
	return e.wake(ctx, wakes)
}

// A Status is an integration at a glance.
type Status struct {
	Integration  access.Integration
	Group        store.Membership
	Members      int // people in the group
	Holders      int // people who hold a grant on the target
	Hold         access.Hold
	Subscription access.Subscription
	Runs         []store.Run // the newest few
}

// Status shows all integrations.
func (e *Engine) Status(ctx context.Context) ([]Status, error) {
	of, err := e.store.Integrations(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Status, 0, len(of))
	for _, i := range of {
		s, err := e.status(ctx, i)
		if err != nil {
			return nil, fmt.Errorf("integration %s: %w", i.ID, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func (e *Engine) status(ctx context.Context, i access.Integration) (s Status, err error) {
	s.Integration = i
	if s.Group, err = e.store.Membership(ctx, i.Group); err != nil {
		return s, err
	}
	members, err := e.store.Members(ctx, i.Group)
	if err != nil {
		return s, err
	}
	s.Members = len(members)
	if s.Holders, err = e.store.Holders(ctx, i.Target); err != nil {
		return s, err
	}
	if s.Hold, err = e.store.Hold(ctx, i.Target); err != nil {
		return s, err
	}
	if s.Subscription, err = e.store.Subscription(ctx, i.Group); err != nil {
		return s, err
	}
	s.Runs, err = e.store.Runs(ctx, i.ID, 5)
	return s, err
}
