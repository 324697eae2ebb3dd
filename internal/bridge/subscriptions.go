package bridge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// subscriptionLife is what is asked for; Graph allows 41,760 minutes and no
// more (Graph: subscription resource, maximum length for groups).
const subscriptionLife = 41_000 * time.Minute

// Keep looks after a subscription: made where it is missing, renewed at half
// of its life, made anew where Graph removed it, deleted with the last
// integration that needs it. It is that of one group, or one of a tenant's.
func (e *Engine) Keep(ctx context.Context, w access.Wake) error {
	g, err := access.ParseGroup(w.Name)
	if err != nil {
		return &fault.Error{Class: fault.Invalid, Op: "keep", Err: err}
	}
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return err
	}
	subs, err := e.store.Subscriptions(ctx)
	if err != nil {
		return err
	}
	k := &keeper{Engine: e, rules: rules, subs: subs, now: time.Now(), why: w.Cause}
	switch wanted := k.wanted(g); {
	case !wanted && g.ID == access.AllGroups:
		return k.leaveWide(ctx, g)
	case !wanted:
		return e.unsubscribe(ctx, g, subs[g])
	case e.url == "":
		return nil
	}
	return k.keep(ctx, g, subs[g])
}

// A keeper is one look after subscriptions.
type keeper struct {
	*Engine
	rules *store.Rules
	subs  map[access.Group]access.Subscription
	now   time.Time
	why   access.Cause
}

func (k *keeper) keep(ctx context.Context, g access.Group, sub access.Subscription) error {
	dir, err := k.directory(ctx, g.Connection)
	if err != nil {
		return err
	}
	all := wide(g.Connection)
	switch {
	case sub.ID == "" && !special(g) && k.subs[all].Refused == "" && k.wantsWide(all, k.groups(g.Connection)):
		return k.waker.Wake(ctx, access.KeepOf(all, access.ByPull, k.now)) // and the group is watched until then
	case sub.ID == "" || !k.now.Before(sub.Expires):
		if g == all {
			return k.subscribeWide(ctx, dir, g)
		}
		return k.subscribe(ctx, dir, g)
	case sub.URL != k.url: // we moved
		if err := dir.Unsubscribe(ctx, sub.ID); err != nil {
			return err
		}
		return k.subscribe(ctx, dir, g)
	case sub.Due(k.now) || k.why.Has(access.ByLapse|access.ByLoneRead):
		if err := k.renew(ctx, dir, sub); err != nil {
			return err
		}
		if k.why.Has(access.ByLapse) { // something may have been missed
			return k.made(ctx, g)
		}
	}
	return nil
}

// subscribe makes a subscription. A refusal is no failure: there is another
// way, and until it is open the groups are swept every minute.
func (e *Engine) subscribe(ctx context.Context, dir Entra, g access.Group) error {
	now := time.Now()
	wanted := access.Subscription{Group: g, URL: e.url, ClientState: rand.Text(), Created: now, Expires: now.Add(subscriptionLife)}
	sub, err := dir.Subscribe(ctx, wanted)
	if fault.Is(err, fault.Clash) {
		sub, err = e.replace(ctx, dir, wanted)
	}
	if fault.Is(err, fault.Denied) || fault.Is(err, fault.Invalid) {
		return e.refused(ctx, wanted, err)
	}
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", g, err)
	}
	e.metrics.subscriptions.WithLabelValues("made").Inc()
	e.log.Info("subscribed", "group", g.String(), "expires", sub.Expires)
	if err := e.store.SaveSubscription(ctx, sub); err != nil {
		return err
	}
	return e.made(ctx, g)
}

// refused remembers that Graph refuses a subscription. Where that is one of a
// group, the tenant-wide one may be had: the quota counts both alike.
func (e *Engine) refused(ctx context.Context, wanted access.Subscription, cause error) error {
	e.metrics.subscriptions.WithLabelValues("refused").Inc()
	old, err := e.store.Subscription(ctx, wanted.Group)
	if err != nil {
		return err
	}
	if old.Refused == "" {
		e.log.Warn("no subscription, its groups are swept every minute", "group", wanted.Group.String(), "err", cause)
	}
	wanted.Refused, wanted.ClientState = cause.Error(), ""
	if err := e.store.SaveSubscription(ctx, wanted); err != nil || wanted.Group.ID == access.AllGroups {
		return err
	}
	return e.waker.Wake(ctx, access.KeepOf(wide(wanted.Group.Connection), access.ByPull, time.Now()))
}

// made reads once what a new subscription covers, for what changed while there
// was none, and sees to it that no other covers it too.
func (e *Engine) made(ctx context.Context, g access.Group) error {
	now := time.Now()
	switch g.ID {
	case access.AllUsers:
		return e.waker.Wake(ctx, access.ProfilesOf(g.Connection, access.ByLoneRead, now))
	case access.AllGroups:
		rules, err := e.store.Rules(ctx)
		if err != nil {
			return err
		}
		mine := slices.DeleteFunc(rules.Groups(), func(o access.Group) bool { return o.Connection != g.Connection })
		return errors.Join(e.pullAll(ctx, mine, access.ByLoneRead), e.keepAll(ctx, mine))
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
	if dir, err := e.directory(ctx, g.Connection); err == nil && sub.ID != "" {
		if err := dir.Unsubscribe(ctx, sub.ID); err != nil {
			return err
		}
	}
	if err := e.store.DropSubscription(ctx, g); err != nil {
		return err
	}
	if err := e.makeRoom(ctx, g, sub); err != nil || special(g) {
		return err
	}
	return e.forget(ctx, g)
}

// makeRoom has the subscription of all people tried again, for which there was
// no room while the one that went was there.
func (e *Engine) makeRoom(ctx context.Context, g access.Group, gone access.Subscription) error {
	all := everybody(g.Connection)
	if gone.ID == "" || g == all {
		return nil
	}
	people, err := e.store.Subscription(ctx, all)
	if err != nil || people.Refused == "" {
		return err
	}
	return e.waker.Wake(ctx, access.KeepOf(all, access.ByPull, time.Now()))
}

// forget drops the membership, unless an integration uses the group after all,
// or one that is being deleted still decides by it. Where one takes it up while
// it is forgotten, it is read again.
func (e *Engine) forget(ctx context.Context, g access.Group) error {
	for again := range 2 {
		rules, err := e.store.Rules(ctx)
		if err != nil {
			return err
		}
		used := len(rules.OfGroup(g)) > 0
		switch {
		case used && again == 0:
			return nil
		case used:
			if err := e.store.UseGroup(ctx, g); err != nil {
				return err
			}
			return e.waker.Wake(ctx, access.PullOf(g, access.Allow, access.ByLoneRead, time.Now()), access.KeepOf(g, access.ByLoneRead, time.Now()))
		case again == 1:
			return nil
		}
		if err := e.store.DropNested(ctx, g); err != nil {
			return err
		}
		if err := e.store.ForgetGroup(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// orphans deletes the subscriptions that bear our address and that nobody
// knows. One that was made a moment ago may be on its way into the store.
func (e *Engine) orphans(ctx context.Context, connection string) error {
	if e.url == "" {
		return nil
	}
	dir, err := e.directory(ctx, connection)
	if err != nil {
		return err
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
