package app_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kisibridge/internal/access"
	"kisibridge/internal/bridge"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/store"
)

// variant is a story that is told once more, with a difference.
func variant(t *testing.T, name string, tell func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { story(t, tell) })
}

// The verbs below complete those of world_test.go: what an admin does, and
// what an admin is shown.

// must says that something has to go well.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// also names one more rule: the people of an Entra group open the doors of
// another.
func (w *world) also(id, people, doors string) {
	w.rules[id] = rule{entra: w.rules[people].entra, kisi: w.rules[doors].kisi}
}

func (w *world) pause(id string)  { w.t.Helper(); w.must(w.app.Engine().Pause(w.t.Context(), id)) }
func (w *world) resume(id string) { w.t.Helper(); w.must(w.app.Engine().Resume(w.t.Context(), id)) }
func (w *world) delete(id string) { w.t.Helper(); w.must(w.app.Engine().Delete(w.t.Context(), id)) }

func (w *world) tenant() string { return graphsim.DefaultTenant }

func (w *world) approve(id string) {
	w.t.Helper()
	w.must(w.app.Engine().Approve(bridge.As(w.t.Context(), "kim"), id))
}

func (w *world) dismiss(id string) {
	w.t.Helper()
	w.must(w.app.Engine().Dismiss(bridge.As(w.t.Context(), "kim"), id))
}

// die ends the process without waiting for what it is at; another one starts.
func (w *world) die() {
	w.t.Helper()
	gone, stop := make(chan struct{}), w.stop
	go func() {
		defer close(gone)
		stop()
	}()
	w.t.Cleanup(func() { <-gone })
	w.start()
}

// skip lets a long time pass in which no process runs, which costs a test
// nothing.
func (w *world) skip(d time.Duration) {
	w.t.Helper()
	w.end()
	time.Sleep(d)
	w.start()
}

// status is an integration at a glance; ok is false when it is gone.
func (w *world) status(id string) (s bridge.Status, ok bool) {
	w.t.Helper()
	all, err := w.app.Engine().Status(w.t.Context())
	w.must(err)
	for _, s := range all {
		if s.Integration.ID == id {
			return s, true
		}
	}
	return s, false
}

// wantHeld says whose removals wait on the target of an integration.
func (w *world) wantHeld(id string, people ...string) {
	w.t.Helper()
	s, _ := w.status(id)
	if diff := cmp.Diff(slices.Sorted(slices.Values(people)), s.Hold.People, cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("held in %s (-want +got):\n%s", id, diff)
	}
}

// wantPosition says where a person stands in an integration, and what the
// reason speaks of.
func (w *world) wantPosition(id, person, state, why string) {
	w.t.Helper()
	all, err := w.app.Engine().Explain(w.t.Context(), id, person)
	w.must(err)
	if got := all[0]; got.State != state || !strings.Contains(got.Why, why) {
		w.t.Errorf("%s in %s is %s (%s), want %s (…%s…)", person, id, got.State, got.Why, state, why)
	}
}

// wantEmails says under which addresses the doors of a group are opened, in
// small letters.
func (w *world) wantEmails(group string, want ...string) {
	w.t.Helper()
	got := []string{}
	for _, email := range w.kisi.Holders(w.rules[group].kisi) {
		got = append(got, access.FoldEmail(email))
	}
	slices.Sort(got)
	if diff := cmp.Diff(slices.Sorted(slices.Values(append([]string{}, want...))), got, cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("addresses that open %s (-want +got):\n%s", group, diff)
	}
}

// wantEvents counts the lines of the audit trail that tell of one kind of
// thing.
func (w *world) wantEvents(what string, want int) {
	w.t.Helper()
	got := 0
	w.must(w.app.Store().EachEvent(w.t.Context(), "", func(e store.Event) bool {
		if e.What == what {
			got++
		}
		return true
	}))
	if got != want {
		w.t.Errorf("%d events tell %q, want %d", got, what, want)
	}
}

// change changes a person in Entra.
func (w *world) change(person string, how func(*graphsim.User)) { w.graph.UpdateUser(person, how) }

// disable switches an account off, or on again.
func (w *world) disable(off bool, people ...string) {
	for _, p := range people {
		w.change(p, func(u *graphsim.User) { u.AccountEnabled = !off })
	}
}

// mail gives people a mailbox; "" takes it away.
func (w *world) mail(address string, people ...string) {
	for _, p := range people {
		w.change(p, func(u *graphsim.User) {
			if u.Mail = &address; address == "" {
				u.Mail = nil
			}
		})
	}
}

// rename gives a person another user name.
func (w *world) rename(person, upn string) {
	w.change(person, func(u *graphsim.User) { u.UserPrincipalName = upn })
}

// row is the number of a person's assignment to the doors of a group.
func (w *world) row(group, email string) int {
	w.t.Helper()
	for _, u := range w.kisi.Users() {
		for _, a := range w.kisi.Assignments() {
			basic := a.RoleID == "group_basic" && a.AssigneeType == "User" && a.ValidUntil == nil
			if u.Email == email && a.AssigneeID == u.ID && a.AppliesToID == w.rules[group].kisi && basic {
				return a.ID
			}
		}
	}
	w.t.Fatalf("%s has no assignment to %s", email, group)
	return 0
}

// wantAlwaysOpen says that a person opens doors without a gap, from now on and
// for a while.
func (w *world) wantAlwaysOpen(group, email string, d time.Duration, during func()) {
	w.t.Helper()
	closed := make(chan time.Duration, 1)
	go func() {
		var first time.Duration
		for began := time.Now(); time.Since(began) < d; time.Sleep(20 * time.Millisecond) {
			if !w.kisi.Opens(w.rules[group].kisi, email) {
				first = max(first, time.Nanosecond, time.Since(began))
				break
			}
		}
		closed <- first
	}()
	during()
	if at := <-closed; at != 0 {
		w.t.Errorf("%s found the doors of %s closed after %v", email, group, at)
	}
}

// byMail knows people by their mailbox.
func byMail(i *access.Integration) { i.EmailProperty = access.EmailMail }

// limit sets a removal limit.
func limit(count, percent int) func(*access.Integration) {
	return func(i *access.Integration) { i.RemovalLimit = &access.Limit{Count: count, Percent: percent} }
}
