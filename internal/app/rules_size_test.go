package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisi"
	"kisibridge/internal/kisisim"
)

// quick lets Kisi answer as often as anybody asks, so that large numbers do not
// take hours, and Graph tell of as many members in a page as it does.
func quick(w *world) {
	w.graph.Close()
	w.graph = graphsim.New(graphsim.Options{Notify: graphsim.RoundTripper(w), Violation: func(v string) { w.t.Errorf("Graph: %s", v) }})
	for _, g := range []string{"hq", "lab"} {
		w.graph.AddGroup(g, strings.ToUpper(g)+" doors")
	}
	w.kisi.SetOptions(func(o *kisisim.Options) { o.Rate = -1 })
	w.env = append(w.env, "KISIBRIDGE_KISI_RATE=100")
}

// addresses names the mailboxes of people.
func addresses(people []string) map[string]bool {
	all := map[string]bool{}
	for _, p := range people {
		all[p+"@contoso.example"] = true
	}
	return all
}

// wantCrowd says who shall open the doors of a group; of many people the first
// few mistakes will do.
func (w *world) wantCrowd(group string, people ...string) {
	w.t.Helper()
	missing, wrong := addresses(people), []string{}
	for _, email := range w.kisi.Holders(w.rules[group].kisi) {
		if !missing[email] {
			wrong = append(wrong, email)
		}
		delete(missing, email)
	}
	if len(missing) > 0 || len(wrong) > 0 {
		w.t.Errorf("of %d people %d do not open the doors of %s, and %d others do: %.3q", len(people), len(missing), group, len(wrong), wrong)
	}
}

func TestAGroupOfAnySizeIsReadWholeAndFillsItsTarget(t *testing.T) {
	for _, size := range []int{99, 100, 101, 250, 251, 999, 1000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			story(t, func(t *testing.T) {
				w := newWorld(t, quick)
				everybody := w.people(size + 1)
				w.join("hq", everybody[:size]...)
				w.integrate("hq", limit(10, 1))
				w.after(time.Minute)
				w.wantCrowd("hq", everybody[:size]...)
				w.wantMails(size)
				if s, _ := w.status("hq"); s.Members != size || s.Holders != size {
					t.Errorf("%d members and %d holders are counted, want %d of both", s.Members, s.Holders, size)
				}
				// One more, one less, and all of it read once more.
				w.join("hq", everybody[size])
				w.leave("hq", everybody[0])
				w.settle()
				w.wantCrowd("hq", everybody[1:]...)
				w.must(w.app.Engine().Sync(t.Context(), "hq", true))
				w.settle()
				w.wantCrowd("hq", everybody[1:]...)
				w.wantMails(size + 1)
				w.wantState("hq", access.Active)
				// Everybody at once is far too many.
				w.leave("hq", everybody[1:]...)
				w.settle()
				w.wantCrowd("hq", everybody[1:]...)
				w.wantState("hq", access.Held)
			})
		})
	}
}

// standing gives people access in Kisi by hand, of which ours is a part.
func (w *world) standing(group string, people ...string) {
	for _, p := range people {
		user := w.kisi.AddUser(p+"@contoso.example", p)
		w.kisi.AddAssignment(kisisim.Assignment{AppliesToID: w.rules[group].kisi, AssigneeID: user})
	}
}

func TestATargetOfAnySizeIsListedWholeAndTakenOver(t *testing.T) {
	for _, size := range []int{99, 100, 101, 250, 251, 999, 1000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			story(t, func(t *testing.T) {
				w := newWorld(t, quick)
				everybody := w.people(size)
				w.standing("hq", everybody...)
				w.join("hq", everybody[:size-1]...)
				before := w.kisi.Calls("POST ")
				w.integrate("hq")
				w.after(time.Minute)
				w.wantCrowd("hq", everybody...)
				w.wantMails(0)
				if n := w.kisi.Calls("POST ") - before; n != 0 {
					t.Errorf("%d writes to Kisi, want none: all of it was there", n)
				}
				w.sweep()
				s, _ := w.status("hq")
				if s.Holders != size-1 || len(s.Drift.Strangers) != 1 || len(s.Drift.Vanished) != 0 || s.Drift.Cut != "" {
					t.Errorf("%d holders, drift %d strangers, %d vanished, cut %q; want all but one, who is the stranger",
						s.Holders, len(s.Drift.Strangers), len(s.Drift.Vanished), s.Drift.Cut)
				}
			})
		})
	}
}

func TestATargetBeyondWhatKisiListsIsReportedAndNotSilentlyCut(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t, quick)
		const most = 20_250 // 20,000 that are skipped and a page of 250
		strangers := make([]string, most)
		for k := range strangers {
			strangers[k] = fmt.Sprintf("s%05d", k)
		}
		w.standing("hq", strangers[:most-w.listed("hq")]...)
		w.person("ada")
		w.join("hq", "ada")
		w.integrate("hq") // ada's is the row too many
		w.settle()
		if !w.opens("hq", "ada") {
			t.Error("ada does not open the doors of a target that is too long to be listed")
		}
		w.sweep()
		s, _ := w.status("hq")
		if !strings.Contains(s.Drift.Cut, "longer than Kisi shows") || !strings.Contains(s.Drift.Cut, "of 20251 rows") {
			t.Errorf("the drift is cut off by %q, want how many rows there are", s.Drift.Cut)
		}
		if len(s.Drift.Vanished)+len(s.Drift.Strangers) != 0 {
			t.Errorf("vanished %v and %d strangers in a list that is not whole, want none", s.Drift.Vanished, len(s.Drift.Strangers))
		}
		p, err := w.app.Engine().Preview(t.Context(), w.draft("hq"))
		if err != nil || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "of 20251 rows") {
			t.Errorf("the preview warns of %q, %v; want that the list is not whole, and no count of a part", p.Warnings, err)
		}
		// One row less, and it is whole.
		w.leave("hq", "ada")
		w.settle()
		if w.opens("hq", "ada") {
			t.Error("ada opens the doors still")
		}
		w.must(w.app.Engine().Sync(t.Context(), "hq", false))
		w.settle()
		s, _ = w.status("hq")
		if s.Drift.Cut != "" || len(s.Drift.Strangers)+s.Drift.More < 20_000 {
			t.Errorf("with one row less it is cut by %q, with %d and %d strangers; want all of them", s.Drift.Cut, len(s.Drift.Strangers), s.Drift.More)
		}
	})
}

// listed counts what Kisi lists of the doors of a group.
func (w *world) listed(group string) (n int) {
	w.t.Helper()
	k, err := kisi.New(kisi.Options{APIKey: kisisim.DefaultAPIKey, Transport: graphsim.RoundTripper(w.kisi)})
	w.must(err)
	w.must(k.EachRow(w.t.Context(), access.Look, w.draft(group).Target, func(_ []access.Row, total int) bool {
		n = total
		return false
	}))
	return n
}
