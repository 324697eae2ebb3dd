package bridge

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// subscriptionLife is what is asked for; Graph allows 41,760 minutes and no
// more (Graph: subscription resource, maximum length for groups).
const subscriptionLife = 41_000 * time.Minute

// Keep looks after the subscription of a group: made where it is missing,
// renewed at half of its life, made anew where Graph removed it, deleted with
// the group's last integration.
func (e *Engine) Keep(ctx context.Context, w access.Wake) error {
	g, err := access.ParseGroup(w.Name)
	if err != nil {
		return &fault.Error{Class: fault.Invalid, Op: "keep", Err: err}
	}
	of, err := e.using(ctx, ofGroup(g))
	if err != nil {
		return err
	}
	sub, err := e.store.Subscription(ctx, g)
	if err != nil {
		return err
	}
	if len(of) == 0 {
		return e.unsubscribe(ctx, g, sub)
	}
	if e.url == "" {
		return nil
	}
	dir, err := e.directory(g.Connection)
	if err != nil {
		return err
	}
	now := time.Now()
	switch {
	case sub.ID == "" || !now.Before(sub.Expires):
		return e.subscribe(ctx, dir, g)
	case sub.URL != e.url: // we moved
		if err := dir.Unsubscribe(ctx, sub.ID); err != nil {
			return err
		}
		return e.subscribe(ctx, dir, g)
	case sub.Due(now) || w.Cause.Has(access.ByLapse|access.ByLoneRead):
		return e.renew(ctx, dir, sub)
	}
	return nil
}

// subscribe makes a subscription and pulls once, for what changed while there
// was none. A refusal is no failure: the group is swept every minute instead.
func (e *Engine) subscribe(ctx context.Context, dir Entra, g access.Group) error {
	now := time.Now()
	wanted := access.Subscription{Group: g, URL: e.url, ClientState: rand.Text(), Created: now, Expires: now.Add(subscriptionLife)}
	sub, err := dir.Subscribe(ctx, wanted)
	if fault.Is(err, fault.Clash) {
		sub, err = e.replace(ctx, dir, wanted)
	}
	if fault.Is(err, fault.Denied) || fault.Is(err, fault.Invalid) {
		e.metrics.subscriptions.WithLabelValues("refused").Inc()
		e.log.Warn("no subscription, the group is swept every minute", "group", g.String(), "err", err)
		wanted.Refused, wanted.ClientState = err.Error(), ""
		return e.store.SaveSubscription(ctx, wanted)
	}
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", g, err)
	}
	e.metrics.subscriptions.WithLabelValues("made").Inc()
	e.log.Info("subscribed", "group", g.String(), "expires", sub.Expires)
	if err := e.store.SaveSubscription(ctx, sub); err != nil {
		return err
	}
	return e.waker.Wake(ctx, access.PullOf(g, access.Revoke, access.ByLoneRead, now))
}

// replace takes the place of a subscription that Graph has and we do not
// know: its secret cannot be read back, so that it must be made anew.
func (e *Engine) replace(ctx context.Context, dir Entra, wanted access.Subscription) (access.Subscription, error) {
	all, err := dir.Subscriptions(ctx)
	if err != nil {
		return wanted, err
	}
	for _, s := range all {
		if s.Group != wanted.Group {
			continue
		}
		e.log.Warn("a subscription of ours was found and is replaced", "group", wanted.Group.String(), "its_url", s.URL)
		if err := dir.Unsubscribe(ctx, s.ID); err != nil {
			return wanted, err
		}
	}
	return dir.Subscribe(ctx, wanted)
}

func (e *Engine) renew(ctx context.Context, dir Entra, sub access.Subscription) error {
	now := time.Now()
	wanted := sub
	wanted.Expires = now.Add(subscriptionLife)
	renewed, err := dir.Renew(ctx, wanted)
	if fault.Is(err, fault.Missing) {
		e.log.Warn("Graph removed a subscription, it is made anew", "group", sub.Group.String())
		return e.subscribe(ctx, dir, sub.Group)
	}
	if err != nil {
		return fmt.Errorf("renew the subscription of %s: %w", sub.Group, err)
	}
	sub.Created, sub.Expires = now, renewed.Expires
	e.metrics.subscriptions.WithLabelValues("renewed").Inc()
	return e.store.SaveSubscription(ctx, sub)
}

// unsubscribe ends what the last integration of a group leaves behind.
func (e *Engine) unsubscribe(ctx context.Context, g access.Group, sub access.Subscription) error {
	if dir, err := e.directory(g.Connection); err == nil && sub.ID != "" {
		if err := dir.Unsubscribe(ctx, sub.ID); err != nil {
			return err
		}
	}
	if err := e.store.DropSubscription(ctx, g); err != nil {
		return err
	}
	return e.forget(ctx, g)
}

// forget drops the membership, unless an integration that is being deleted
// still decides by it.
func (e *Engine) forget(ctx context.Context, g access.Group) error {
	of, err := e.using(ctx, func(i access.Integration) bool { return i.Group == g })
	if err != nil || len(of) > 0 {
		return err
	}
	return e.store.ForgetGroup(ctx, g)
}

// orphans deletes the subscriptions that bear our address and that nobody
// knows. One that was made a moment ago may be on its way into the store.
func (e *Engine) orphans(ctx context.Context, connection string, dir Entra) error {
	if e.url == "" {
		return nil
	}
	all, err := dir.Subscriptions(ctx)
	if err != nil {
		return err
	}
	known, err := e.store.Subscriptions(ctx)
	if err != nil {
		return err
	}
	ours := map[string]bool{}
	for _, s := range known {
		ours[s.ID] = true
	}
	young := time.Now().Add(subscriptionLife - 10*time.Minute)
	for _, s := range all {
		if s.URL != e.url || ours[s.ID] || s.Expires.After(young) {
			continue
		}
		e.log.Info("orphaned subscription deleted", "group", s.Group.String(), "connection", connection)
		if err := dir.Unsubscribe(ctx, s.ID); err != nil {
			return err
		}
	}
	return nil
}
