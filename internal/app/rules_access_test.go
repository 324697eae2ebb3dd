package app_test

import (
	"testing"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/kisisim"
)

// Rules 3, 4, 5, 11 and 12: who calls for access, and what becomes of it.

func TestRule3WhicheverOfTwoIntegrationsEndsFirstTheOtherKeepsTheDoorOpen(t *testing.T) {
	// Rule 3: pausing and deleting any of them in any order.
	leave := func(id string) func(*world) { return func(w *world) { w.leave(w.rules[id].entra, "ada") } }
	drop := func(id string) func(*world) { return func(w *world) { w.delete(id) } }
	pause := func(id string) func(*world) { return func(w *world) { w.pause(id) } }
	resume := func(id string) func(*world) { return func(w *world) { w.resume(id) } }
	for name, steps := range map[string][]func(*world){ // the last one closes the door
		"deleted and left":          {drop("hq"), leave("both")},
		"left and deleted":          {leave("hq"), drop("both")},
		"both deleted":              {drop("both"), drop("hq")},
		"paused, other deleted":     {pause("hq"), drop("both"), leave("hq"), drop("hq")},
		"paused, other left":        {pause("both"), leave("hq"), leave("both"), resume("both")},
		"both paused and left":      {pause("hq"), pause("both"), leave("hq"), leave("both"), resume("hq"), resume("both")},
		"both paused, both deleted": {pause("both"), pause("hq"), drop("hq"), drop("both")},
	} {
		variant(t, name, func(t *testing.T) {
			w := newWorld(t)
			w.also("both", "lab", "hq")
			w.person("ada")
			w.join("hq", "ada")
			w.join("lab", "ada")
			w.integrate("hq")
			w.integrate("both")
			w.settle()
			for n, step := range steps {
				w.wantDoors("hq", "ada")
				step(w)
				w.settle()
				if t.Failed() {
					t.Fatalf("after %d steps", n)
				}
			}
			w.wantDoors("hq")
			w.wantMails(1)
		})
	}
}

func TestRule3AGroupUsedTwiceIsReadAndSubscribedToOnce(t *testing.T) {
	// Rule 3: one subscription and one delta stream for an Entra group.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.also("second", "hq", "lab")
		w.person("ada", "bob")
		w.join("hq", "ada", "bob")
		w.integrate("hq")
		w.integrate("second")
		w.after(45 * time.Second)
		w.wantDoors("lab", "ada", "bob")
		if subs := w.groupSubscriptions(); len(subs) != 1 {
			t.Errorf("subscriptions %+v, want one for the group", subs)
		}
		before := w.graph.Calls("GET /v1.0/groups/delta")
		w.leave("hq", "ada")
		w.settle()
		w.wantDoors("hq", "bob")
		w.wantDoors("lab", "bob")
		if n := w.graph.Calls("GET /v1.0/groups/delta") - before; n != 1 {
			t.Errorf("%d delta calls for one change, want one", n)
		}
		w.delete("hq")
		w.settle()
		w.wantDoors("hq")
		w.wantDoors("lab", "bob")
		if subs := w.groupSubscriptions(); len(subs) != 1 {
			t.Errorf("subscriptions %+v, want the one that is still needed", subs)
		}
		w.leave("hq", "bob")
		w.settle()
		w.wantDoors("lab")
	})
}

func TestRule3AnIntegrationThatReplacesAnotherTakesItsPeopleOver(t *testing.T) {
	// Rule 3 and 5: without a closed door and without a mail.
	for name, people := range map[string]string{"of the same group": "hq", "of another group": "lab"} {
		variant(t, name, func(t *testing.T) {
			w := newWorld(t)
			w.also("next", people, "hq")
			w.person("ada", "bob")
			w.join("hq", "ada", "bob")
			w.join("lab", "ada")
			w.integrate("hq")
			w.settle()
			w.wantAlwaysOpen("hq", "ada@contoso.example", 30*time.Second, func() {
				w.delete("hq")
				w.integrate("next")
			})
			if _, there := w.status("hq"); there {
				t.Error("the integration that was deleted is still there")
			}
			w.wantMails(2)
			w.wantState("next", access.Active)
			w.leave(people, "ada")
			w.leave(people, "bob")
			w.settle()
			w.wantDoors("hq")
		})
	}
}

func TestRule4PreservedAccessThatVanishesIsReplacedByOurs(t *testing.T) {
	// Rule 4 and 12: it is still called for; what we make, we take away.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		user := w.kisi.AddUser("ada@contoso.example", "Ada")
		hand := w.kisi.AddAssignment(kisisim.Assignment{AppliesToID: w.rules["hq"].kisi, AssigneeID: user})
		w.join("hq", "ada")
		w.integrate("hq", func(i *access.Integration) { i.ExistingAccess = access.Preserve })
		w.settle()
		w.wantPosition("hq", "ada", access.LeftAlone, "")
		w.after(time.Minute)
		w.kisi.RemoveAssignment(hand)
		w.sweep()
		w.wantDoors("hq", "ada")
		w.wantPosition("hq", "ada", access.Granted, "")
		w.leave("hq", "ada")
		w.settle()
		w.wantDoors("hq")
	})
}

func TestRule4PreservedAccessOutlivesTheIntegration(t *testing.T) {
	// Rule 4: left alone for ever, whatever happens to the person or the rule.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		user := w.kisi.AddUser("ada@contoso.example", "Ada")
		w.kisi.Protect(w.kisi.AddAssignment(kisisim.Assignment{AppliesToID: w.rules["hq"].kisi, AssigneeID: user}))
		w.join("hq", "ada")
		w.integrate("hq", func(i *access.Integration) { i.ExistingAccess = access.Preserve })
		w.settle()
		w.disable(true, "ada")
		w.settle()
		w.disable(false, "ada")
		w.settle()
		w.delete("hq")
		w.after(20 * time.Second)
		w.wantDoors("hq", "ada")
		if _, there := w.status("hq"); there {
			t.Error("the integration waits for access that is not ours")
		}
	})
}

func TestRule5ADeletionGoesOnAfterTheProcessDiedAndShowsWhatIsLeft(t *testing.T) {
	// Rule 5: resumable, progress visible; no answer came to the sixth call.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.crowd(40)
		w.kisi.SetFault(kisisim.Fault{Route: "DELETE /role_assignments", Lost: true, Hang: 20 * time.Second, Skip: 5, Times: 1})
		w.delete("hq")
		w.after(3 * time.Second)
		s, _ := w.status("hq")
		if s.Integration.State != access.Deleting || s.Left == 0 || s.Left >= len(everybody) {
			t.Errorf("after 3 s it is %s and %d of %d are left, want some", s.Integration.State, s.Left, len(everybody))
		}
		w.die()
		w.after(time.Minute)
		w.wantDoors("hq")
		if _, there := w.status("hq"); there {
			t.Error("the integration is still there")
		}
		if n := len(w.kisi.Users()); n != 41 {
			t.Errorf("%d Kisi users, want all 40 and the manager: people stay", n)
		}
	})
}

func TestRule5WhatIsPausedOrHeldCanBeDeleted(t *testing.T) {
	// Rule 5: and the removal limit has no say in what a person decided.
	for _, state := range []access.State{access.Paused, access.Held} {
		variant(t, string(state), func(t *testing.T) {
			w := newWorld(t)
			everybody := w.crowd(30)
			if state == access.Paused {
				w.pause("hq")
			}
			w.leave("hq", everybody...)
			w.settle()
			w.wantState("hq", state)
			w.wantDoors("hq", everybody...)
			w.delete("hq")
			w.after(40 * time.Second)
			w.wantDoors("hq")
			if _, there := w.status("hq"); there {
				t.Error("the integration is still there")
			}
		})
	}
}

func TestRule5APauseAndItsEndOutliveTheProcess(t *testing.T) {
	// Rule 5: a pause stops writes, in the middle of an import too: the few
	// calls that wait for their turn already are the last.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.people(60)
		w.join("hq", everybody...)
		w.integrate("hq")
		w.after(10 * time.Second)
		w.pause("hq")
		w.die()
		w.after(12 * time.Second)
		some := len(w.kisi.Holders(w.rules["hq"].kisi))
		if some == 0 || some == len(everybody) {
			t.Fatalf("%d of 60 were granted before the pause; the test proves nothing", some)
		}
		w.leave("hq", everybody[0])
		w.after(20 * time.Second)
		if n := len(w.kisi.Holders(w.rules["hq"].kisi)); n != some {
			t.Errorf("%d people hold access during the pause, want the %d of before", n, some)
		}
		w.resume("hq")
		w.die()
		w.after(time.Minute)
		w.wantDoors("hq", everybody[1:]...)
	})
}

func TestRule11ADeletedGroupIsHeldInSecondsUntilAPersonApproves(t *testing.T) {
	// Rule 11: never a mass revocation by accident; restored, all come back.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.also("both", "lab", "hq")
		w.person("ada", "bob")
		w.join("hq", "ada", "bob")
		w.join("lab", "bob")
		w.integrate("hq")
		w.integrate("both")
		w.settle()
		w.graph.DeleteGroup("hq")
		w.settle()
		w.wantState("hq", access.Held)
		w.wantHeld("hq", "ada")
		w.wantDoors("hq", "ada", "bob")
		w.approve("hq")
		w.settle()
		w.wantDoors("hq", "bob")
		w.graph.RestoreGroup("hq")
		w.sweep()
		w.wantDoors("hq", "ada", "bob")
		w.wantState("hq", access.Active)
	})
}

func TestRule11AGroupThatIsGoneForGoodIsHeldToo(t *testing.T) {
	// Rule 11: purged while the bridge was down.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.join("hq", "ada")
		w.integrate("hq")
		w.settle()
		w.end()
		w.graph.PurgeGroup("hq")
		w.graph.ExpireLinks()
		w.start()
		w.sweep()
		w.wantState("hq", access.Held)
		w.wantDoors("hq", "ada")
		w.dismiss("hq")
		w.settle()
		w.wantDoors("hq", "ada")
		w.delete("hq")
		w.after(20 * time.Second)
		w.wantDoors("hq")
	})
}

func TestRule12WhatVanishedIsPutBackAndWhatWasGivenIsReported(t *testing.T) {
	// Rule 12: both kinds of drift, by the sweep.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob")
		w.join("hq", "ada", "bob")
		w.integrate("hq")
		w.after(aMinute)
		w.kisi.RemoveAssignment(w.row("hq", "ada@contoso.example"))
		user := w.kisi.AddUser("stranger@contoso.example", "Stranger")
		w.kisi.Protect(w.kisi.AddAssignment(kisisim.Assignment{AppliesToID: w.rules["hq"].kisi, AssigneeID: user}))
		w.sweep()
		w.wantDoors("hq", "ada", "bob", "stranger")
		w.wantMails(2)
		s, _ := w.status("hq")
		if d := s.Drift; len(d.Vanished) != 1 || d.Vanished[0] != "ada" || len(d.Strangers) != 1 || d.Strangers[0].User != user {
			t.Errorf("drift %+v, want ada vanished and the stranger", d)
		}
		w.wantEvents("vanished", 1)
		w.wantEvents("stranger", 1)
		w.sweep()
		w.wantEvents("stranger", 1)
	})
}

func TestRule12WhoLeavesAfterTheGrantVanishedCostsNothing(t *testing.T) {
	// Rule 12: a grant that is gone already is revoked all the same.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.join("hq", "ada")
		w.integrate("hq")
		w.settle()
		w.kisi.RemoveAssignment(w.row("hq", "ada@contoso.example"))
		w.leave("hq", "ada")
		w.settle()
		w.wantDoors("hq")
		w.wantState("hq", access.Active)
		w.join("hq", "ada")
		w.settle()
		w.wantDoors("hq", "ada")
	})
}

func TestRule12WhoIsLockedOutInKisiIsShownAndLeftSo(t *testing.T) {
	// Rule 12: access_enabled or scim_access_enabled false.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob", "cy")
		w.kisi.SetUserFlags(w.kisi.AddUser("ada@contoso.example", "Ada"), false, true)
		w.kisi.SetUserFlags(w.kisi.AddUser("bob@contoso.example", "Bob"), true, false)
		w.join("hq", "ada", "bob", "cy")
		w.integrate("hq")
		w.after(aMinute)
		w.sweep()
		w.wantDoors("hq", "ada", "bob", "cy")
		for person, locked := range map[string]bool{"ada": true, "bob": true, "cy": false} {
			all, err := w.app.Engine().Explain(t.Context(), "hq", person)
			w.must(err)
			if all[0].State != access.Granted || all[0].Locked != locked {
				t.Errorf("%s is %s, locked %v; want granted, %v", person, all[0].State, all[0].Locked, locked)
			}
		}
		for _, u := range w.kisi.Users() {
			if u.Email == "ada@contoso.example" && u.AccessEnabled || u.Email == "bob@contoso.example" && u.ScimAccessEnabled {
				t.Errorf("%s was let in again", u.Email)
			}
		}
	})
}
