package app_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/access"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisisim"
)

// The choices of an integration: other targets, people who are left out, when
// removals are made, and a first batch.

func usersOnly(i *access.Integration) { i.Target.Type, i.Target.ID = access.TargetUsers, 0 }

func (w *world) fillTeam(team int) func(*access.Integration) {
	return func(i *access.Integration) { i.Target.Type, i.Target.ID = access.TargetTeam, team }
}

// kisiUser is a Kisi user by email; its zero value says that there is none.
func (w *world) kisiUser(email string) kisisim.User {
	for _, u := range w.kisi.Users() {
		if u.Email == email {
			return u
		}
	}
	return kisisim.User{}
}

func TestUsersOnlyBearTheNameOfEntraAndStayWhenTheyLeave(t *testing.T) {
	// Rule 2: the Kisi user always stays; whom Kisi knew before keeps the name.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob")
		w.kisi.AddUser("bob@contoso.example", "Robert")
		w.join("hq", "ada", "bob")
		w.integrate("hq", usersOnly)
		w.settle()
		for _, p := range []string{"ada", "bob"} {
			w.change(p, func(u *graphsim.User) { u.DisplayName = "Doctor " + p })
		}
		w.settle()
		if got := w.kisiUser("ada@contoso.example"); got.Name != "Doctor ada" || got.SendEmails {
			t.Errorf("ada is %+v, want Doctor ada, who gets no mail", got)
		}
		if got := w.kisiUser("bob@contoso.example").Name; got != "Robert" {
			t.Errorf("bob is called %s, want the name that Kisi's admins gave", got)
		}
		before := len(w.kisi.Log())
		w.leave("hq", "ada", "bob")
		w.settle()
		w.delete("hq")
		w.after(20 * time.Second)
		if log := w.kisi.Log()[before:]; len(log) != 0 {
			t.Errorf("calls %+v when people left, want none", log)
		}
		if _, there := w.status("hq"); there {
			t.Error("the integration is still there")
		}
		w.wantMails(0)
	})
}

func TestUsersOnlyAndDoorsOfOneGroupDoNotDisturbEachOther(t *testing.T) {
	// Rule 3: the same person, imported by one rule and let in by another.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.also("import", "hq", "hq")
		w.person("ada")
		w.join("hq", "ada")
		w.integrate("import", usersOnly)
		w.settle()
		w.integrate("hq")
		w.settle()
		w.wantDoors("hq", "ada")
		w.delete("import")
		w.after(20 * time.Second)
		w.wantDoors("hq", "ada")
		w.leave("hq", "ada")
		w.settle()
		w.wantDoors("hq")
	})
}

func TestTeamsFollowTheRulesOfGroups(t *testing.T) {
	// Rules 4, 5, 9 and 12 with a team as the target.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		team := w.kisi.AddTeam("Guards")
		want := func(emails ...string) {
			t.Helper()
			if diff := cmp.Diff(emails, w.kisi.TeamMembers(team)); diff != "" {
				t.Errorf("in the team (-want +got):\n%s", diff)
			}
		}
		w.person("ada", "bob", "cy")
		w.kisi.AddMembership(team, w.kisi.AddUser("ada@contoso.example", "Ada"))
		w.kisi.AddMembership(team, w.kisi.AddUser("stranger@contoso.example", "Stranger"))
		w.join("hq", "ada", "bob", "cy")
		w.integrate("hq", w.fillTeam(team))
		w.after(aMinute)
		want("ada@contoso.example", "bob@contoso.example", "cy@contoso.example", "stranger@contoso.example")
		for _, m := range w.kisi.Memberships() {
			if m.MemberID == w.kisiUser("bob@contoso.example").ID {
				w.kisi.RemoveMembership(m.ID)
			}
		}
		w.leave("hq", "ada")
		w.rename("cy", "cyril@contoso.example")
		w.sweep()
		want("bob@contoso.example", "cyril@contoso.example", "stranger@contoso.example")
		w.delete("hq")
		w.after(20 * time.Second)
		want("stranger@contoso.example")
	})
}

func TestWhoIsExcludedIsNeverTouched(t *testing.T) {
	// exclude: never granted, and never touched if they hold access.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob", "cy")
		user := w.kisi.AddUser("ada@contoso.example", "Ada")
		w.kisi.AddAssignment(kisisim.Assignment{AppliesToID: w.rules["hq"].kisi, AssigneeID: user})
		w.join("hq", "ada", "bob", "cy")
		w.integrate("hq", func(i *access.Integration) { i.Exclude = []string{"ada", "BOB@contoso.example"} })
		w.settle()
		w.wantDoors("hq", "ada", "cy")
		w.wantPosition("hq", "bob", access.OffLimits, "")
		exclude := func(who ...string) {
			_, err := w.app.Engine().Update(t.Context(), "hq", func(i *access.Integration) { i.Exclude = who })
			w.must(err)
			w.settle()
		}
		exclude("cy") // who holds a grant of ours
		w.wantDoors("hq", "ada", "bob", "cy")
		w.leave("hq", "ada", "cy")
		w.settle()
		w.sweep()
		w.wantDoors("hq", "bob", "cy")
		exclude()
		w.wantDoors("hq", "bob")
	})
}

func TestGuestsStayOutsideWhereTheIntegrationTakesNone(t *testing.T) {
	// guests: false; a guest who becomes a member is let in, and the reverse.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "gast")
		w.change("gast", func(u *graphsim.User) { u.UserType = "Guest" })
		w.join("hq", "ada", "gast")
		w.integrate("hq", func(i *access.Integration) { i.NoGuests = true })
		w.settle()
		w.wantDoors("hq", "ada")
		w.wantPosition("hq", "gast", access.Nothing, "guest")
		w.change("gast", func(u *graphsim.User) { u.UserType = "Member" })
		w.change("ada", func(u *graphsim.User) { u.UserType = "Guest" })
		w.settle()
		w.wantDoors("hq", "gast")
	})
}

func TestRemovalsAreMadeAfterHours(t *testing.T) {
	// removal_mode: after N hours, counted from the leaving.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob")
		w.join("hq", "ada", "bob")
		w.integrate("hq", func(i *access.Integration) { i.RemovalMode, i.RemovalHours = access.RemoveAfter, 8 })
		w.settle()
		w.leave("hq", "ada", "bob")
		w.settle()
		w.wantPosition("hq", "ada", access.Remaining, "until")
		w.skip(7 * time.Hour)
		w.sweep()
		w.wantDoors("hq", "ada", "bob")
		w.join("hq", "bob") // comes back, so that the hours begin anew
		w.settle()
		w.leave("hq", "bob")
		w.settle()
		w.skip(time.Hour)
		w.sweep()
		w.wantDoors("hq", "bob")
		w.skip(7 * time.Hour)
		w.sweep()
		w.wantDoors("hq")
	})
}

func TestRemovalsAreNeverMadeWhereTheIntegrationSaysSo(t *testing.T) {
	// removal_mode: never; what a person deletes goes all the same.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.join("hq", "ada")
		w.integrate("hq", func(i *access.Integration) { i.RemovalMode = access.RemoveNever })
		w.settle()
		w.leave("hq", "ada")
		w.settle()
		w.skip(24 * time.Hour)
		w.sweep()
		w.wantDoors("hq", "ada")
		w.delete("hq")
		w.after(20 * time.Second)
		w.wantDoors("hq")
	})
}

func TestRemovalsThatComeDueTogetherAreJudgedByTheLimit(t *testing.T) {
	// Rule 6 with removal_mode after: the hours do not hide a mass removal.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.crowd(30, func(i *access.Integration) { i.RemovalMode, i.RemovalHours = access.RemoveAfter, 2 })
		w.leave("hq", everybody...)
		w.settle()
		w.wantHeld("hq")
		w.skip(3 * time.Hour)
		w.sweep()
		w.wantHeld("hq", everybody...)
		w.wantDoors("hq", everybody...)
	})
}

func TestRule21AFirstBatchWaitsForANod(t *testing.T) {
	// Rule 21: ten, a nod, then the rest; who joins meanwhile waits too.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.people(30)
		w.person("newcomer")
		w.join("hq", everybody...)
		w.integrate("hq", func(i *access.Integration) { i.FirstBatch = 10 })
		w.settle()
		first := slices.Clone(w.kisi.Holders(w.rules["hq"].kisi))
		if len(first) != 10 {
			t.Fatalf("%d people were granted, want a batch of 10", len(first))
		}
		w.join("hq", "newcomer")
		w.settle()
		w.end()
		w.start()
		w.sweep()
		if diff := cmp.Diff(first, w.kisi.Holders(w.rules["hq"].kisi)); diff != "" {
			t.Errorf("the batch changed (-want +got):\n%s", diff)
		}
		w.wantMails(10)
		w.wantPosition("hq", "newcomer", access.Pending, access.BatchWaits)
		w.must(w.app.Engine().Nod(t.Context(), "hq"))
		w.die()
		w.after(time.Minute)
		w.wantDoors("hq", append(everybody, "newcomer")...)
		w.wantMails(31)
	})
}

func TestRule21ARemovalDoesNotWaitForTheNod(t *testing.T) {
	// Rule 21 and 2: who leaves loses access, batch or not.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.people(6)
		w.join("hq", everybody...)
		w.integrate("hq", func(i *access.Integration) { i.FirstBatch = 3 })
		w.settle()
		w.wantDoors("hq", everybody[:3]...)
		w.leave("hq", everybody[0])
		w.settle()
		if w.kisi.Opens(w.rules["hq"].kisi, everybody[0]+"@contoso.example") {
			t.Error("who left still opens the doors")
		}
		if n := len(w.kisi.Holders(w.rules["hq"].kisi)); n > 3 {
			t.Errorf("%d people hold access, want at most the batch of 3", n)
		}
	})
}
