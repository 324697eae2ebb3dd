package bridge

import (
	"context"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// tell writes to the audit trail.
func (e *Engine) tell(ctx context.Context, event store.Event) error {
	event.At = time.Now()
	if !event.Told.IsZero() {
		event.Lag = event.At.Sub(event.Told)
	}
	return e.store.AddEvent(ctx, event)
}

// tellOf writes what was done about a person. It is written before the ledger
// says so: a line may stand twice after a crash, and none is missing.
func (e *Engine) tellOf(ctx context.Context, en *entry, what string) error {
	g := en.grant
	return e.tell(ctx, store.Event{
		What: what, Integrations: g.For, Target: en.target.String(), Person: g.Person, Email: g.Email,
		Cause: g.Cause.String(), Told: en.wake.Since, User: g.User, Row: g.Row, Why: g.Why,
	})
}

// Failed is told of work that failed and will be tried again at next; for a
// person that is kept, to be shown.
func (e *Engine) Failed(ctx context.Context, w access.Wake, cause error, next time.Time) {
	if w.Kind != access.Apply || fault.Is(cause, fault.Clash) {
		return
	}
	t, person, err := access.ParseApply(w.Name)
	if err == nil {
		err = e.store.SaveTrouble(ctx, t, person, &store.Trouble{Class: fault.Of(cause).String(), Err: cause.Error(), At: time.Now(), Next: next})
	}
	if err != nil {
		e.log.Debug("the last error of a person is not kept", "work", w.Name, "err", err)
	}
}

// Handlers are the kinds of work that an engine does.
func (e *Engine) Handlers() map[access.Kind]func(context.Context, access.Wake) error {
	return map[access.Kind]func(context.Context, access.Wake) error{
		access.Pull: e.Pull, access.Apply: e.Apply, access.Roster: e.Roster, access.Keep: e.Keep,
		access.Profiles: e.Profiles, access.Profile: e.Profile, access.Drift: e.Drift, access.Hint: e.Hint,
	}
}
