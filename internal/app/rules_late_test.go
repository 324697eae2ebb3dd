package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/store"
)

// lags is what was measured from changes to Kisi's answers: how many, and how
// long all of them took together.
func (w *world) lags(action string) (n uint64, took time.Duration) {
	w.t.Helper()
	families, err := w.app.Metrics().Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "kisibridge_change_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == action {
				h := m.GetHistogram()
				return h.GetSampleCount(), time.Duration(h.GetSampleSum() * float64(time.Second))
			}
		}
	}
	return 0, 0
}

// wantLag says what the next change of a kind is measured at.
func (w *world) wantLag(action string, least, most time.Duration, change func()) {
	w.t.Helper()
	n, took := w.lags(action)
	change()
	after, tookAfter := w.lags(action)
	if lag := tookAfter - took; after != n+1 || lag < least || lag > most {
		w.t.Errorf("%d changes measured, %v; want one of %v to %v", after-n, lag, least, most)
	}
	if told := w.newestEvent(); told.Lag < least || told.Lag > most {
		w.t.Errorf("the trail tells a lag of %v for %q, want %v to %v", told.Lag, told.What, least, most)
	}
}

// newestEvent is the last line of the trail.
func (w *world) newestEvent() (last store.Event) {
	w.t.Helper()
	w.must(w.app.Store().EachEvent(w.t.Context(), "", func(e store.Event) bool {
		last = e
		return true
	}))
	return last
}

// tellOfChange sends a notification by hand that bears its own time.
func (w *world) tellOfChange(group string, at time.Time) {
	w.t.Helper()
	subs := w.groupSubscriptions()
	k := slices.IndexFunc(subs, func(s graphsim.Subscription) bool { return s.Resource == "groups/"+group })
	body := fmt.Sprintf(`{"value":[{"subscriptionId":%q,"clientState":%q,"resource":"Groups/%s","resourceData":{"id":%q,"eventTime":%q}}]}`,
		subs[k].ID, subs[k].ClientState, group, group, at.UTC().Format(time.RFC3339Nano))
	r := httptest.NewRequest(http.MethodPost, "/webhooks/graph", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	w.app.Handler().ServeHTTP(answer, r)
	if answer.Code != http.StatusAccepted {
		w.t.Fatalf("a notification was answered %d", answer.Code)
	}
}

func TestRule14TheLagOfEachChangeIsMeasuredFromItsOwnTimeOrElseFromReceipt(t *testing.T) {
	// Rule 14.
	story(t, func(t *testing.T) {
		w := newWorld(t, polling(100*time.Millisecond))
		w.person("ada", "bob")
		w.join("hq", "ada")
		w.integrate("hq")
		w.after(45 * time.Second)
		w.wantLag("revoke", time.Millisecond, 500*time.Millisecond, func() {
			w.leave("hq", "ada")
			w.after(5 * time.Second)
		})
		w.graph.SetDelivery(graphsim.Delivery{Drop: true})
		w.wantLag("grant", 90*time.Second, 92*time.Second, func() {
			happened := time.Now()
			w.join("hq", "bob")
			w.after(90 * time.Second)
			w.tellOfChange("hq", happened)
			w.after(5 * time.Second)
		})
		// One that claims to be older than Graph's retries is not believed.
		w.after(45 * time.Second)
		w.wantLag("revoke", time.Millisecond, time.Second, func() {
			w.leave("hq", "bob")
			w.tellOfChange("hq", time.Now().Add(-48*time.Hour))
			w.after(5 * time.Second)
		})
	})
}

// perMinute counts calls of the last while by the minute.
func perMinute(at []time.Time, from time.Time, minutes int) (counts []int) {
	counts = make([]int, minutes)
	for _, t := range at {
		if k := int(t.Sub(from) / time.Minute); !t.Before(from) && k < minutes {
			counts[k]++
		}
	}
	return counts
}

func TestRule14ASweepIsSpreadOverItsInterval(t *testing.T) {
	// Rule 14.
	story(t, func(t *testing.T) {
		w := newWorld(t, polling(2*time.Second))
		w.person("ada")
		ids := w.manyGroups(30)
		for _, id := range ids {
			w.join(id, "ada")
			w.integrate(id)
		}
		w.after(14*time.Minute + 30*time.Second) // the first sweep is over
		began := time.Now()
		w.after(15 * time.Minute)
		var deltas, looks []time.Time
		for _, c := range w.graph.Log() {
			if c.Path == "/v1.0/groups/delta" {
				deltas = append(deltas, c.At)
			}
		}
		for _, c := range w.kisi.Log() {
			looks = append(looks, c.At)
		}
		total := 0
		byMinute := perMinute(deltas, began, 15)
		for _, n := range byMinute {
			total += n
		}
		if slices.Max(byMinute) > 4 || total != len(ids) {
			t.Errorf("delta calls by the minute: %v; want %d of them, and at most 4 in a minute", byMinute, len(ids))
		}
		// Two for each target: what it holds, and, once a day, who is locked out.
		if byMinute := perMinute(looks, began, 15); slices.Max(byMinute) > 8 {
			t.Errorf("calls to Kisi by the minute: %v; want at most 8 in a minute", byMinute)
		}
	})
}

// offline takes the public address away.
func offline(w *world) {
	w.env = slices.DeleteFunc(w.env, func(s string) bool { return strings.HasPrefix(s, "KISIBRIDGE_PUBLIC_URL=") })
}

func TestRule19WithoutAPublicAddressChangesAreSeenWithinHalfAMinute(t *testing.T) {
	// Rule 19.
	story(t, func(t *testing.T) {
		w := newWorld(t, offline)
		w.person("ada", "bob", "cy", "dee", "eve")
		w.within("inner")
		w.join("hq", "ada", "bob", "cy", "inner")
		w.integrate("hq", transitive)
		w.after(40 * time.Second)
		w.wantDoors("hq", "ada", "bob", "cy")
		w.wantSubscriptions()

		const most = 33 * time.Second // with two polls
		for _, change := range []struct {
			what string
			make func()
			so   func() bool
		}{
			{"joining", func() { w.join("hq", "dee") }, func() bool { return w.opens("hq", "dee") }},
			{"leaving", func() { w.leave("hq", "ada") }, func() bool { return !w.opens("hq", "ada") }},
			{"being disabled", func() { w.graph.UpdateUser("bob", func(u *graphsim.User) { u.AccountEnabled = false }) }, func() bool { return !w.opens("hq", "bob") }},
			{"being deleted", func() { w.graph.DeleteUser("cy") }, func() bool { return !w.opens("hq", "cy") }},
			{"joining an inner group", func() { w.join("inner", "eve") }, func() bool { return w.opens("hq", "eve") }},
		} {
			w.after(7 * time.Second) // not in step with the watch
			change.make()
			if d := w.until(change.so); d > most {
				t.Errorf("%s was seen after %v, want about 30 s", change.what, d)
			}
		}
		w.graph.RestoreUser("cy")
		w.graph.UpdateUser("bob", func(u *graphsim.User) { u.AccountEnabled = true })
		w.after(35 * time.Second)
		w.wantDoors("hq", "bob", "cy", "dee", "eve")
		w.wantState("hq", access.Active)
		w.wantSubscriptions()
	})
}
