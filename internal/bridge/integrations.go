package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// Add checks and stores an integration, and starts it at once.
func (e *Engine) Add(ctx context.Context, i access.Integration) (access.Integration, error) {
	i = i.WithDefaults()
	i.Group.ID = strings.ToLower(i.Group.ID) // as notifications are compared
	if i.ID == "" {
		i.ID = ulid.Make().String()
	}
	i.Created, i.Unsettled = time.Now(), true
	i.Since = i.Created
	if err := e.Check(ctx, i); err != nil {
		return i, err
	}
	if err := e.store.UseGroup(ctx, i.Group); err != nil {
		return i, err
	}
	if err := e.store.AddIntegration(ctx, i); err != nil {
		return i, err
	}
	if err := e.tell(ctx, store.Event{What: "integration added", Integrations: []string{i.ID}, Target: i.Target.String(), Group: i.Group.String(), By: Actor(ctx)}); err != nil {
		return i, err
	}
	return i, e.begin(ctx, i)
}

// begin wakes what a new or changed integration needs.
func (e *Engine) begin(ctx context.Context, i access.Integration) error {
	now, tenant := time.Now(), i.Group.Connection
	return e.waker.Wake(ctx,
		access.PullOf(i.Group, access.Allow, access.ByPerson, now),
		access.KeepOf(i.Group, access.ByPerson, now),
		access.KeepOf(everybody(tenant), access.ByPerson, now),
		access.ProfilesOf(tenant, access.ByPerson, now))
}

// Check finds every mistake of an integration: in its fields, and then in what
// they name.
func (e *Engine) Check(ctx context.Context, i access.Integration) error {
	if err := i.Check(); err != nil {
		return &fault.Error{Class: fault.Invalid, Op: "integration", Err: err}
	}
	dir, err := e.directory(ctx, i.Group.Connection)
	if err != nil {
		return wrongField("entra_connection_id", err)
	}
	k, err := e.organization(ctx, i.Target.Connection)
	if err != nil {
		return wrongField("kisi_connection_id", err)
	}
	_, groupErr := dir.Group(ctx, i.Group.ID)
	_, targetErr := k.Describe(ctx, access.Allow, i.Target)
	errs := errors.Join(
		named("entra_group_id", groupErr, "there is no group "+i.Group.ID+" in Entra; give the object id of one"),
		named("target.id", targetErr, fmt.Sprintf("there is no %s %d in Kisi; give the number of one", i.Target.Type, i.Target.ID)),
		e.otherWriters(ctx, k, i))
	if errs == nil || !missing(groupErr, targetErr) && fault.Of(errs) != fault.Invalid {
		return errs
	}
	return &fault.Error{Class: fault.Invalid, Op: "integration", Err: errs}
}

// named says what a field names that is not there; other errors stay.
func named(field string, err error, text string) error {
	if fault.Is(err, fault.Missing) {
		return errors.New(field + ": " + text)
	}
	return err
}

func missing(errs ...error) bool {
	return slices.ContainsFunc(errs, func(err error) bool { return fault.Is(err, fault.Missing) })
}

func wrongField(field string, err error) error {
	return &fault.Error{Class: fault.Invalid, Op: "integration", Err: fmt.Errorf("%s: %w", field, err), Hint: fault.Hint(err)}
}

// otherWriters refuses a target that an import of Kisi's own fills: the two
// would undo each other's work.
func (e *Engine) otherWriters(ctx context.Context, k Kisi, i access.Integration) error {
	if i.Target.Type != access.TargetGroup || i.Insist {
		return nil
	}
	imports, err := k.Imports(ctx, access.Allow, i.Target.ID)
	if err != nil && !fault.Is(err, fault.Missing) {
		return err
	}
	for _, other := range imports {
		if other.Enabled {
			return &fault.Error{
				Class: fault.Invalid, Op: "integration",
				Err:  fmt.Errorf("target.id: Kisi's own import %q fills group %d as well", other.Name, i.Target.ID),
				Hint: "switch that import off in Kisi, or insist",
			}
		}
	}
	return nil
}

// Update changes an integration. What it fills and from which group is part of
// what it is; for another, make another.
func (e *Engine) Update(ctx context.Context, id string, change func(*access.Integration)) (access.Integration, error) {
	return e.UpdateIf(ctx, id, always, change)
}

func always(access.Integration) error { return nil }

// UpdateIf is [Engine.Update], unless seen refuses the integration as it is.
func (e *Engine) UpdateIf(ctx context.Context, id string, seen func(access.Integration) error, change func(*access.Integration)) (access.Integration, error) {
	var bad error
	i, err := e.store.ChangeIntegration(ctx, id, func(i *access.Integration) bool {
		was := *i
		if bad = seen(was); bad != nil {
			return false
		}
		change(i)
		i.ID, i.State, i.Why, i.Since, i.Created, i.Unsettled = was.ID, was.State, was.Why, was.Since, was.Created, true
		i.Nodded = was.Nodded && i.FirstBatch == was.FirstBatch // another batch needs another nod
		switch {
		case was.State == access.Deleting:
			bad = fault.New(fault.Invalid, "integration "+id, "it is being deleted")
		case i.Group != was.Group:
			bad = fault.New(fault.Invalid, "integration", "entra_group_id: cannot be changed; make another integration")
		case i.Target != was.Target:
			bad = fault.New(fault.Invalid, "integration", "target: cannot be changed; make another integration")
		default:
			if err := i.Check(); err != nil {
				bad = &fault.Error{Class: fault.Invalid, Op: "integration", Err: err}
			}
		}
		return bad == nil
	})
	if err = errors.Join(bad, err); err != nil {
		return i, err
	}
	if err := e.tell(ctx, store.Event{What: "integration changed", Integrations: []string{id}, By: Actor(ctx)}); err != nil {
		return i, err
	}
	return i, e.begin(ctx, i)
}

// Delete ends an integration: the grants that nothing else calls for are
// deleted, the people stay. It goes on by itself when the process dies.
func (e *Engine) Delete(ctx context.Context, id string) error { return e.DeleteIf(ctx, id, always) }

// DeleteIf is [Engine.Delete], unless seen refuses the integration as it is.
func (e *Engine) DeleteIf(ctx context.Context, id string, seen func(access.Integration) error) error {
	var bad error
	i, err := e.store.ChangeIntegration(ctx, id, func(i *access.Integration) bool {
		if bad = seen(*i); bad != nil || i.State == access.Deleting {
			return false
		}
		i.State, i.Why, i.Since = access.Deleting, "", time.Now()
		return true
	})
	if err = errors.Join(bad, err); err != nil {
		return err
	}
	if err := e.tell(ctx, store.Event{What: "integration is being deleted", Integrations: []string{id}, By: Actor(ctx)}); err != nil {
		return err
	}
	return e.takeDown(ctx, i, access.ByPerson, time.Now())
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

// change moves an integration to a state from one of some others. Everybody is
// to be decided about then, which a process that dies now leaves to others.
func (e *Engine) change(ctx context.Context, id string, to access.State, from ...access.State) (access.Integration, error) {
	var is access.State
	i, err := e.store.ChangeIntegration(ctx, id, func(i *access.Integration) bool {
		is = i.State
		if !slices.Contains(from, is) {
			return false
		}
		i.State, i.Why, i.Since, i.Unsettled = to, "", time.Now(), true
		return true
	})
	if err == nil && i.State != to {
		err = fault.New(fault.Invalid, "integration "+id, "it is %s and cannot become %s", is, to)
	}
	if err != nil {
		return i, err
	}
	return i, e.tell(ctx, store.Event{What: "integration " + string(to), Integrations: []string{id}, By: Actor(ctx)})
}

// Nod lets a staged import go on after its first batch.
func (e *Engine) Nod(ctx context.Context, id string) error {
	done := false
	i, err := e.store.ChangeIntegration(ctx, id, func(i *access.Integration) bool {
		if done = i.Batched(); !done {
			return false
		}
		i.Nodded, i.Unsettled = true, true
		return true
	})
	if err != nil {
		return err
	}
	if !done && !i.Nodded {
		return fault.New(fault.Invalid, "integration "+id, "first_batch is 0, so that nothing waits for a nod")
	}
	if err := e.tell(ctx, store.Event{What: "first batch nodded", Integrations: []string{id}, By: Actor(ctx)}); err != nil {
		return err
	}
	return e.waker.Wake(ctx, access.PullOf(i.Group, access.Allow, access.ByPerson, time.Now()))
}

// Approve lets the removals go that wait on the target of an integration.
func (e *Engine) Approve(ctx context.Context, id string) error {
	return e.answerHold(ctx, id, 0, "removals approved", access.Released)
}

// Dismiss lets the people keep what they hold whose removal waits.
func (e *Engine) Dismiss(ctx context.Context, id string) error {
	return e.answerHold(ctx, id, 0, "removals dismissed", access.Kept)
}

// ApproveSeen is [Engine.Approve] of the list that was seen: one to which
// somebody was added since is a clash.
func (e *Engine) ApproveSeen(ctx context.Context, id string, rev int64) error {
	return e.answerHold(ctx, id, rev, "removals approved", access.Released)
}

// DismissSeen is [Engine.Dismiss] of the list that was seen.
func (e *Engine) DismissSeen(ctx context.Context, id string, rev int64) error {
	return e.answerHold(ctx, id, rev, "removals dismissed", access.Kept)
}

func (e *Engine) answerHold(ctx context.Context, id string, seen int64, what, state string) error {
	i, err := e.store.Integration(ctx, id)
	if err != nil {
		return err
	}
	v, err := e.store.Verdicts(ctx, i.Target)
	if err != nil {
		return err
	}
	hold := v.Hold()
	switch {
	case len(hold.People) == 0:
		return fault.New(fault.Invalid, "integration "+id, "no removal waits")
	case seen != 0 && seen != hold.Rev:
		return fault.New(fault.Clash, "integration "+id, "the list of removals that wait is another than was seen")
	}
	now, by, say := time.Now(), Actor(ctx), map[string]access.Verdict{}
	people, err := e.store.People(ctx, i.Group.Connection, hold.People)
	if err != nil {
		return err
	}
	for _, person := range hold.People {
		say[person] = access.Verdict{State: state, At: now, By: by}
		if p := people[person]; state == access.Kept && (p.Gone || p.Disabled) {
			say[person] = access.Verdict{State: access.KeptOff, At: now, By: by}
		}
	}
	if err := e.tell(ctx, store.Event{What: what, Integrations: []string{id}, Target: i.Target.String(), Count: len(hold.People), By: by, Why: hold.Why}); err != nil {
		return err
	}
	if _, err := e.store.SaveVerdicts(ctx, i.Target, v, say, ""); err != nil {
		return err
	}
	// The pass that follows leaves the state held; should the process die
	// before, the next sweep does.
	wakes := []access.Wake{access.PullOf(i.Group, access.Allow, access.ByPerson, now)}
	if state == access.Released {
		for _, person := range hold.People {
			wakes = append(wakes, access.ApplyOf(i.Target, person, access.Revoke, access.ByPerson, now))
		}
	}
	return e.wake(ctx, wakes)
}

// SyncPerson reads one person from scratch and brings every target into line
// for them now.
func (e *Engine) SyncPerson(ctx context.Context, tenant, person string) error {
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return err
	}
	dir, err := e.directory(ctx, tenant)
	if err != nil {
		return err
	}
	k := &keeper{Engine: e, rules: rules}
	groups := k.groups(tenant)
	ids := make([]string, len(groups))
	for n, g := range groups {
		ids[n] = g.ID
	}
	of, err := dir.Belongs(ctx, []string{person}, ids)
	if err != nil {
		return fmt.Errorf("sync %s: %w", person, err)
	}
	now := time.Now()
	wakes := []access.Wake{access.ProfileOf(tenant, person, access.ByPerson, now)}
	for _, g := range groups {
		m, err := e.store.Members(ctx, g, person)
		if err != nil {
			return err
		}
		if m[person] != slices.Contains(of[person], g.ID) {
			wakes = append(wakes, access.PullOf(g, access.Revoke, access.ByDoubt, now)) // through the list, which tells whether it is direct
		}
	}
	for _, t := range rules.Targets() {
		wakes = append(wakes, access.ApplyOf(t, person, access.Revoke, access.ByPerson|access.ByKisi, now))
	}
	return e.wake(ctx, wakes)
}

// Sync reads the group of an integration now and decides about everybody; from
// scratch means without the saved link.
func (e *Engine) Sync(ctx context.Context, id string, scratch bool) error {
	i, err := e.store.Integration(ctx, id)
	if err != nil {
		return err
	}
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return err
	}
	why := access.ByPerson
	if scratch {
		why |= access.ByReread
	}
	now := time.Now()
	wakes := []access.Wake{access.DriftOf(i.Target, why, now)}
	if i.Target.Type == access.TargetUsers {
		wakes = nil
	}
	for _, g := range rules.Reads(i) {
		wakes = append(wakes, access.PullOf(g, access.Allow, why, now))
	}
	return e.wake(ctx, wakes)
}
