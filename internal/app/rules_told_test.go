package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/access"
	"kisibridge/internal/bridge"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisisim"
	"kisibridge/internal/store"
)

// account is where a person stands in an integration.
func (w *world) account(id, person string) bridge.Account {
	w.t.Helper()
	all, err := w.app.Engine().Explain(w.t.Context(), id, person)
	w.must(err)
	return all[0]
}

// wantTrigger says what brought about where a person stands.
func (w *world) wantTrigger(id, person, want string) {
	w.t.Helper()
	if got := w.account(id, person); !strings.Contains(got.Trigger, want) || got.Since.IsZero() {
		w.t.Errorf("%s stands so by %q since %v, want by %q", person, got.Trigger, got.Since, want)
	}
}

// trail lists the lines of the trail of some kinds, in short.
func (w *world) trail(kinds ...string) (lines []string) {
	w.t.Helper()
	w.must(w.app.Store().EachEvent(w.t.Context(), "", func(e store.Event) bool {
		if slices.Contains(kinds, e.What) {
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s%s", e.What, e.Person, e.By)))
		}
		return true
	}))
	return lines
}

func TestRule17WhereEachPersonStandsIsExplained(t *testing.T) {
	// Rule 17.
	story(t, func(t *testing.T) {
		w := newWorld(t, kisiOption(func(o *kisisim.Options) { o.Blacklist = []string{"bounced@contoso.example"} }))
		w.person("ada", "bob", "cy", "dee", "eve", "fay", "bounced")
		w.graph.AddUser(graphsimGuest("guest"))
		for person, group := range map[string]string{"bob": "hq", "cy": "lab"} {
			user := w.kisi.AddUser(person+"@contoso.example", person)
			row := w.kisi.AddAssignment(kisisim.Assignment{AppliesToID: w.rules[group].kisi, AssigneeID: user})
			if group == "lab" {
				w.kisi.Protect(row)
			}
		}
		w.join("hq", "ada", "bob", "dee", "eve", "guest", "bounced")
		w.join("lab", "cy", "eve")
		w.integrate("hq", limit(0, 0), func(i *access.Integration) { i.Exclude = []string{"dee@contoso.example"} })
		w.integrate("lab", func(i *access.Integration) { i.ExistingAccess = access.Preserve })
		w.rules["also"] = rule{entra: "lab", kisi: w.rules["hq"].kisi}
		w.integrate("also")
		w.after(45 * time.Second)
		w.wantPosition("hq", "ada", access.Granted, "")
		w.wantTrigger("hq", "ada", "person")
		w.wantPosition("hq", "bob", access.Granted, "was there and was taken over")
		w.wantPosition("hq", "guest", access.Skipped, access.GuestEmail)
		w.wantPosition("hq", "bounced", access.RefusedBy, "tried again after")
		w.wantPosition("hq", "dee", access.OffLimits, access.Excluded)
		w.wantPosition("lab", "cy", access.LeftAlone, "somebody else's making")

		w.leave("hq", "eve", "ada")
		w.join("hq", "fay")
		w.settle()
		w.wantPosition("hq", "eve", access.Nothing, "is not in the group")
		w.wantPosition("also", "eve", access.Granted, "")
		w.wantPosition("hq", "ada", access.Waiting, "the removal waits for a person")
		w.wantPosition("hq", "fay", access.Granted, "")
		w.wantTrigger("hq", "fay", "notice")
		w.wantPosition("lab", "eve", access.Granted, "")
		all, err := w.app.Engine().Explain(t.Context(), "hq")
		if err != nil || len(all) < 8 {
			t.Errorf("explained are %d people, %v; want all of them", len(all), err)
		}
		if _, err := w.app.Engine().Explain(t.Context(), "hq", "nobody"); err == nil {
			t.Error("somebody who is not known was explained")
		}
	})
}

func TestRule17WhileKisiFailsTheLastErrorAndTheNextTryAreShown(t *testing.T) {
	// Rule 17.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob", "cy")
		w.join("hq", "ada", "cy")
		w.integrate("hq")
		w.after(45 * time.Second)
		w.kisi.SetFault(kisisim.Fault{Route: "POST /role_assignments", Status: 500})
		w.kisi.SetFault(kisisim.Fault{Route: "DELETE /role_assignments", Status: 500})
		w.kisi.SetFault(kisisim.Fault{Route: "POST /users", Status: 500})
		w.leave("hq", "ada")
		w.join("hq", "bob")
		w.change("cy", func(u *graphsim.User) { u.UserPrincipalName = "cynthia@contoso.example" })
		w.settle()
		for person, state := range map[string]string{"ada": access.Leaving, "bob": access.Pending, "cy": access.Moving} {
			a := w.account("hq", person)
			if a.State != state || a.Trouble == nil {
				t.Errorf("%s is %s with trouble %v, want %s with some", person, a.State, a.Trouble, state)
				continue
			}
			if told := a.Trouble; !strings.Contains(told.Err, "500") || told.At.After(time.Now()) || !told.Next.After(told.At) {
				t.Errorf("%s: %+v; want Kisi's status, when it was tried and when it will be again", person, *told)
			}
		}
		w.kisi.ClearFaults()
		w.after(2 * time.Minute)
		w.wantEmails("hq", "bob@contoso.example", "cynthia@contoso.example")
		for _, person := range []string{"ada", "bob", "cy"} {
			if a := w.account("hq", person); a.Trouble != nil {
				t.Errorf("%s still has trouble %+v, want it forgotten", person, *a.Trouble)
			}
		}
	})
}

func TestRule17TheTrailTellsOfEverythingByWhomAndHowLate(t *testing.T) {
	// Rule 17.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		kim := bridge.As(t.Context(), "kim")
		w.person("ada", "bob", "cy")
		w.join("hq", "ada", "bob")
		_, err := w.app.Engine().Add(kim, w.draft("hq", limit(0, 0)))
		w.must(err)
		w.settle()
		w.join("hq", "cy")
		w.settle()
		w.leave("hq", "ada", "cy")
		w.settle()
		w.join("hq", "cy") // comes back: nothing is to be told of
		w.settle()
		w.approve("hq")
		w.settle()
		w.leave("hq", "bob")
		w.settle()
		w.dismiss("hq")
		w.settle()
		w.must(w.app.Engine().Pause(kim, "hq"))
		w.must(w.app.Engine().Resume(kim, "hq"))
		w.settle()
		w.must(w.app.Engine().Delete(kim, "hq"))
		w.after(20 * time.Second)
		got := w.trail("integration added", "granted", "removals held", "removals approved", "removals dismissed", "revoked",
			"integration paused", "integration active", "integration is being deleted", "integration deleted")
		slices.Sort(got[1:3])
		slices.Sort(got[10:])
		want := []string{
			"integration addedkim", "granted ada", "granted bob", "granted cy", "removals held", "removals approvedkim", "revoked ada",
			"removals held", "removals dismissedkim", "integration pausedkim", "integration activekim",
			"integration deleted", "integration is being deletedkim", "revoked bob", "revoked cy",
		}
		for k := range want {
			want[k] = strings.Replace(want[k], "kim", " kim", 1)
		}
		slices.Sort(want[10:])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the trail (-want +got):\n%s", diff)
		}
		w.must(w.app.Store().EachEvent(t.Context(), "", func(e store.Event) bool {
			whole := e.Email != "" && e.User != 0 && e.Row != 0 && e.Cause != "" && e.Target != "" && len(e.Integrations) == 1
			late := e.Told.IsZero() || e.Lag == e.At.Sub(e.Told) && e.Lag >= 0 && e.Lag < time.Minute
			if (e.What == "granted" || e.What == "revoked") && !whole || !late {
				t.Errorf("a line of the trail is %+v; want who, where, why and how late", e)
			}
			return true
		}))
	})
}
