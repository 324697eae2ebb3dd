package app_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/kisisim"
)

// story runs one in virtual time.
func story(t *testing.T, tell func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, tell)
}

func TestRule1And2EverybodyGetsAccessThenWhoJoinsAndWhoLeaves(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob", "cy")
		w.join("hq", "ada", "bob")
		w.integrate("hq")
		w.settle()
		w.wantDoors("hq", "ada", "bob")
		w.wantMails(2)

		w.join("hq", "cy")
		w.leave("hq", "ada")
		w.settle()
		w.wantDoors("hq", "bob", "cy")
		w.wantMails(3)
		if n := len(w.kisi.Users()); n != 4 { // with the manager of the clutter
			t.Errorf("%d Kisi users, want the three and the manager: the user always stays", n)
		}
	})
}

func TestASingleChangeNeedsFewCallsAndLittleTime(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t, polling(20*time.Millisecond))
		w.person("ada")
		w.join("hq", "ada")
		w.integrate("hq")
		w.after(3 * time.Second) // past the watch's first look
		before := len(w.kisi.Log())
		began := time.Now()
		w.leave("hq", "ada")
		for w.kisi.Opens(w.rules["hq"].kisi, "ada@contoso.example") {
			time.Sleep(time.Millisecond)
		}
		if d := time.Since(began); d > 150*time.Millisecond {
			t.Errorf("the revocation took %v, want a few polls of 20 ms", d)
		}
		if n := len(w.kisi.Log()) - before; n != 1 {
			t.Errorf("%d calls to Kisi, want the one that deletes", n)
		}
	})
}

func TestRule3APersonKeepsAccessWhileAnyIntegrationCallsForIt(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.join("hq", "ada")
		w.join("lab", "ada")
		w.integrate("hq")
		w.integrate("lab", func(i *access.Integration) { i.Target.ID = w.rules["hq"].kisi })
		w.settle()
		w.leave("hq", "ada")
		w.settle()
		w.wantDoors("hq", "ada")
		w.leave("lab", "ada")
		w.settle()
		w.wantDoors("hq")
		w.wantMails(1)
	})
}

func TestRule4AccessThatWasThereIsTakenOverOrLeftAlone(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob")
		hands := map[string]int{}
		for person, group := range map[string]string{"ada": "hq", "bob": "lab", "stranger": "hq"} {
			user := w.kisi.AddUser(person+"@contoso.example", person)
			hands[person] = w.kisi.AddAssignment(kisisim.Assignment{AppliesToID: w.rules[group].kisi, AssigneeID: user})
		}
		w.kisi.Protect(hands["bob"])
		w.kisi.Protect(hands["stranger"])
		w.integrate("hq")
		w.integrate("lab", func(i *access.Integration) { i.ExistingAccess = access.Preserve })
		w.join("hq", "ada")
		w.join("lab", "bob")
		w.settle()
		w.leave("hq", "ada")
		w.leave("lab", "bob")
		w.settle()
		w.wantDoors("hq", "stranger")
		w.wantDoors("lab", "bob")
		w.wantMails(0)
	})
}

func TestRule5DeletingGivesBackAndPausingWritesNothing(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob")
		w.join("hq", "ada")
		w.integrate("hq")
		w.settle()
		if err := w.app.Engine().Pause(t.Context(), "hq"); err != nil {
			t.Fatal(err)
		}
		w.join("hq", "bob")
		w.leave("hq", "ada")
		w.settle()
		w.wantDoors("hq", "ada")
		if err := w.app.Engine().Resume(t.Context(), "hq"); err != nil {
			t.Fatal(err)
		}
		w.settle()
		w.wantDoors("hq", "bob")
		if err := w.app.Engine().Delete(t.Context(), "hq"); err != nil {
			t.Fatal(err)
		}
		w.after(20 * time.Second)
		w.wantDoors("hq")
		if n := len(w.graph.Subscriptions()); n != 0 {
			t.Errorf("%d subscriptions are left, want none", n)
		}
		if all, err := w.app.Engine().Status(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("integrations left: %v, %v", all, err)
		}
	})
}

func TestRule6TooManyRemovalsWaitForAPerson(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.people(30)
		w.person("cy")
		w.join("hq", everybody...)
		w.integrate("hq")
		w.after(time.Minute)
		w.wantDoors("hq", everybody...)

		w.leave("hq", everybody...)
		w.join("hq", "cy")
		w.settle()
		w.wantDoors("hq", append(slices.Clone(everybody), "cy")...)
		w.wantState("hq", access.Held)
		w.sweep() // changes nothing
		w.wantDoors("hq", append(slices.Clone(everybody), "cy")...)

		w.join("hq", everybody[0]) // comes back meanwhile
		w.settle()
		if err := w.app.Engine().Approve(t.Context(), "hq"); err != nil {
			t.Fatal(err)
		}
		w.after(time.Minute)
		w.wantDoors("hq", everybody[0], "cy")
		w.wantState("hq", access.Active)
	})
}

func TestRule8NobodyWaitsForAPersonWithoutAnEmail(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t, kisiOption(func(o *kisisim.Options) { o.Blacklist = []string{"bounced@contoso.example"} }))
		w.person("ada", "bounced")
		w.graph.AddUser(graphsimGuest("guest"))
		w.graph.AddDevice("printer")
		w.join("hq", "ada", "bounced", "guest", "printer")
		w.integrate("hq")
		w.settle()
		w.wantDoors("hq", "ada")
		w.wantState("hq", access.Active)
		before := w.kisi.Calls("POST /users")
		w.sweep()
		if n := w.kisi.Calls("POST /users") - before; n != 0 {
			t.Errorf("%d more tries at the sweep, want none before a day is over", n)
		}
	})
}

func TestRule11AGroupThatIsDeletedIsHeldAndARestoredOneGoesOn(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob")
		w.join("hq", "ada")
		w.integrate("hq")
		w.settle()
		w.graph.DeleteGroup("hq")
		w.sweep()
		w.wantDoors("hq", "ada")
		w.wantState("hq", access.Held)
		w.graph.RestoreGroup("hq")
		w.join("hq", "bob")
		w.sweep()
		w.wantDoors("hq", "ada", "bob")
		w.wantState("hq", access.Active)
	})
}

func TestUsersOnlyAreImportedWithoutAWord(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.join("hq", "ada")
		w.integrate("hq", func(i *access.Integration) { i.Target.Type, i.Target.ID = access.TargetUsers, 0 })
		w.settle()
		w.wantDoors("hq")
		w.wantMails(0)
		for _, u := range w.kisi.Users() {
			if u.Email == "ada@contoso.example" && !u.SendEmails {
				return
			}
		}
		t.Errorf("users are %v, want ada among them, who gets no mail", w.kisi.Users())
	})
}

func TestTeamsAreFilledToo(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t)
		team := w.kisi.AddTeam("Guards")
		w.person("ada", "bob")
		w.join("hq", "ada", "bob")
		w.integrate("hq", func(i *access.Integration) { i.Target.Type, i.Target.ID = access.TargetTeam, team })
		w.settle()
		w.leave("hq", "bob")
		w.settle()
		if got := w.kisi.TeamMembers(team); len(got) != 1 || got[0] != "ada@contoso.example" {
			t.Errorf("in the team are %v, want ada", got)
		}
	})
}
