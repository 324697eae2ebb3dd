package app_test

import (
	"slices"
	"testing"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisisim"
)

// What changes again while it is being carried out.

func TestRule2WhoLeavesWhileTheGrantHangsHoldsNothing(t *testing.T) {
	// Rule 2: the grant took effect, and no answer came before they left.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.integrate("hq")
		w.settle()
		w.kisi.SetFault(kisisim.Fault{Route: "POST /role_assignments", Lost: true, Hang: 10 * time.Second, Times: 1})
		w.join("hq", "ada")
		w.after(3 * time.Second)
		w.leave("hq", "ada")
		w.after(time.Minute)
		w.wantDoors("hq")
		w.wantMails(1)
	})
}

func TestRule2WhoComesBackWhileTheRevocationHangsHoldsAccess(t *testing.T) {
	// Rule 2: and the other way round, with a process that dies.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.join("hq", "ada")
		w.integrate("hq")
		w.settle()
		w.kisi.SetFault(kisisim.Fault{Route: "DELETE /role_assignments", Lost: true, Hang: 10 * time.Second, Times: 1})
		w.leave("hq", "ada")
		w.after(2 * time.Second)
		w.join("hq", "ada")
		w.die()
		w.after(time.Minute)
		w.wantDoors("hq", "ada")
	})
}

func TestRule2WhatChangesWhileACallIsUnderWayIsCarriedOutAfterIt(t *testing.T) {
	// Rule 2: Kisi takes its time over the call, and answers that all is well.
	for route, comes := range map[string]bool{"POST /role_assignments": false, "POST /users": false, "GET /users": false, "DELETE /role_assignments": true} {
		variant(t, route, func(t *testing.T) {
			w := newWorld(t)
			w.person("ada")
			if comes {
				w.join("hq", "ada")
			}
			w.integrate("hq")
			w.after(45 * time.Second) // past the last look after the first read
			w.kisi.SetFault(kisisim.Fault{Route: route, Hang: 5 * time.Second, Times: 1})
			if comes {
				w.leave("hq", "ada")
				w.after(2 * time.Second)
				w.join("hq", "ada")
			} else {
				w.join("hq", "ada")
				w.after(2 * time.Second)
				w.leave("hq", "ada")
			}
			w.after(15 * time.Second)
			if comes {
				w.wantDoors("hq", "ada")
			} else {
				w.wantDoors("hq")
			}
		})
	}
}

func TestRule4WhoLeavesWhileKisiIsListedIsNotTakenOver(t *testing.T) {
	// Rules 2 and 4: the access that stood is taken over, and ends.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.people(30)
		for _, p := range everybody {
			user := w.kisi.AddUser(p+"@contoso.example", p)
			w.kisi.AddAssignment(kisisim.Assignment{AppliesToID: w.rules["hq"].kisi, AssigneeID: user})
		}
		w.join("hq", everybody...)
		w.kisi.SetFault(kisisim.Fault{Route: "GET /role_assignments", Hang: 5 * time.Second, Times: 1})
		w.integrate("hq")
		w.after(4 * time.Second)
		w.leave("hq", everybody[:3]...)
		w.after(20 * time.Second)
		w.wantDoors("hq", everybody[3:]...)
		w.wantMails(0)
	})
}

func TestRule5AnIntegrationThatIsDeletedInTheMiddleOfItsImportLeavesNothing(t *testing.T) {
	// Rule 5: a grant that is under way when the integration goes.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.integrate("hq")
		w.settle()
		w.kisi.SetFault(kisisim.Fault{Route: "POST /role_assignments", Hang: 8 * time.Second, Times: 1})
		w.join("hq", "ada")
		w.after(2 * time.Second)
		w.delete("hq")
		w.after(40 * time.Second)
		w.wantDoors("hq")
		if _, there := w.status("hq"); there {
			t.Error("the integration is still there")
		}
	})
}

func TestRule2WhoLeavesInTheMiddleOfTheImportIsNotImported(t *testing.T) {
	// Rule 2: whoever was to be granted later.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.people(60)
		w.join("hq", everybody...)
		w.integrate("hq")
		w.after(6 * time.Second)
		w.leave("hq", everybody[40:]...)
		w.after(time.Minute)
		w.wantDoors("hq", everybody[:40]...)
		w.wantState("hq", access.Active)
	})
}

func TestRule6WhoComesBackAfterTheApprovalKeepsTheAccess(t *testing.T) {
	// Rule 6: an approval is no sentence.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.crowd(30)
		w.leave("hq", everybody...)
		w.settle()
		w.approve("hq")
		w.join("hq", everybody[0], everybody[29])
		w.after(time.Minute)
		w.wantDoors("hq", everybody[0], everybody[29])
		w.wantState("hq", access.Active)
	})
}

func TestRule8TwoOfOneAddressInAnImportShareOneGrant(t *testing.T) {
	// Rule 8: also where Kisi's lists stand in for look-ups.
	story(t, func(t *testing.T) {
		w := newWorld(t, kisiOption(func(o *kisisim.Options) { o.DoubleAssignments = true }))
		everybody := w.people(30)
		w.mail("desk@contoso.example", everybody[3], everybody[17])
		w.kisi.AddUser("desk@contoso.example", "The desk")
		w.join("hq", everybody...)
		w.integrate("hq", byMail)
		w.after(40 * time.Second)
		w.wantMails(29)
		w.leave("hq", everybody[3])
		w.settle()
		if !w.kisi.Opens(w.rules["hq"].kisi, "desk@contoso.example") {
			t.Error("one of two left, and the other is locked out")
		}
		w.leave("hq", everybody[17])
		w.settle()
		w.wantDoors("hq", slices.Delete(slices.Delete(slices.Clone(everybody), 17, 18), 3, 4)...)
	})
}

func TestRule9AMoveGoesOnAfterTheProcessDied(t *testing.T) {
	// Rule 9: wherever it stopped, one address opens in the end.
	for _, route := range []string{"POST /users", "POST /role_assignments", "DELETE /role_assignments"} {
		variant(t, route, func(t *testing.T) {
			w := newWorld(t, kisiOption(func(o *kisisim.Options) { o.DoubleAssignments = true }))
			w.person("ada")
			w.join("hq", "ada")
			w.integrate("hq")
			w.settle()
			w.kisi.SetFault(kisisim.Fault{Route: route, Lost: true, Hang: 10 * time.Second, Times: 1})
			w.rename("ada", "new@contoso.example")
			w.after(3 * time.Second)
			w.die()
			w.after(time.Minute)
			w.wantEmails("hq", "new@contoso.example")
			w.wantMails(2)
		})
	}
}

func TestRule9AnAddressThatChangesDuringAPauseIsMovedAfterwards(t *testing.T) {
	// Rules 5 and 9.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.join("hq", "ada")
		w.integrate("hq")
		w.settle()
		w.pause("hq")
		w.rename("ada", "new@contoso.example")
		w.settle()
		w.wantDoors("hq", "ada")
		w.resume("hq")
		w.settle()
		w.wantEmails("hq", "new@contoso.example")
	})
}

func TestRule9TwoIntegrationsThatKnowAPersonByTwoAddressesGrantOne(t *testing.T) {
	// Rules 3 and 9: the address that goes is replaced before it is closed.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.also("bymail", "lab", "hq")
		w.person("ada")
		w.mail("lovelace@contoso.example", "ada")
		w.join("hq", "ada")
		w.join("lab", "ada")
		w.integrate("bymail", byMail)
		w.integrate("hq")
		w.settle()
		w.wantEmails("hq", "lovelace@contoso.example")
		w.delete("bymail")
		w.after(20 * time.Second)
		w.wantEmails("hq", "ada@contoso.example")
		w.leave("hq", "ada")
		w.settle()
		w.wantEmails("hq")
	})
}

func TestRule4AccessThatStandsTwiceIsTakenOverWhole(t *testing.T) {
	// Kisi refuses a second assignment as a rule. Where one stands all the
	// same, leaving the group must not leave the door open.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		user := w.kisi.AddUser("ada@contoso.example", "Ada")
		for range 2 {
			w.kisi.AddAssignment(kisisim.Assignment{AppliesToID: w.rules["hq"].kisi, AssigneeID: user})
		}
		w.join("hq", "ada")
		w.integrate("hq")
		w.settle()
		w.leave("hq", "ada")
		w.settle()
		w.wantDoors("hq")
		w.sweep()
		s, _ := w.status("hq")
		if d := s.Drift.Strangers; len(d) != 0 {
			t.Errorf("strangers %+v, want none", d)
		}
	})
}

func TestRule7WhoIsDisabledWhileTheGroupIsReadIsNotGranted(t *testing.T) {
	// An answer that is older than a notification must not undo it.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob")
		w.join("hq", "ada", "bob")
		w.graph.SetFault(graphsim.Fault{Route: "POST /v1.0/directoryObjects/getByIds", Hang: 20 * time.Second, Times: 1})
		w.integrate("hq")
		w.after(10 * time.Second)
		w.disable(true, "ada")
		w.must(w.app.Engine().Profiles(t.Context(), access.ProfilesOf(graphsim.DefaultTenant, access.BySweep, time.Now())))
		w.after(time.Minute)
		w.wantDoors("hq", "bob")
	})
}

func TestRule8AHeldRemovalIsNotMadeThroughAnotherOfTheSameAddress(t *testing.T) {
	for name, answer := range map[string]func(w *world){
		"held": func(*world) {}, "dismissed": func(w *world) { w.dismiss("hq"); w.settle() },
	} {
		variant(t, name, func(t *testing.T) {
			w := newWorld(t)
			w.person("ada", "bob")
			w.mail("desk@contoso.example", "ada", "bob")
			w.join("hq", "ada", "bob")
			w.integrate("hq", byMail, limit(0, 0))
			w.settle()
			w.leave("hq", "ada")
			w.settle()
			answer(w)
			_, err := w.app.Engine().Update(t.Context(), "hq", func(i *access.Integration) { i.RemovalLimit = nil })
			w.must(err)
			w.settle()
			w.leave("hq", "bob")
			w.settle()
			w.wantEmails("hq", "desk@contoso.example")
		})
	}
}

// twins have one mailbox.
func twins(t *testing.T, addresses ...string) *world {
	t.Helper()
	w := newWorld(t)
	w.person("ada", "bob")
	w.mail(addresses[0], "ada")
	w.mail(addresses[len(addresses)-1], "bob")
	w.join("hq", "ada", "bob")
	w.integrate("hq", byMail)
	w.settle()
	w.settle()
	w.wantEmails("hq", addresses[0])
	w.wantMails(1)
	return w
}

func TestRule8TwoPeopleOfOneAddressShareOneGrantAndEitherMayLeaveFirst(t *testing.T) {
	// Rule 8: one assignment, one mail, two reasons.
	for _, order := range [][]string{{"ada", "bob"}, {"bob", "ada"}} {
		variant(t, order[0], func(t *testing.T) {
			w := twins(t, "desk@contoso.example", "Desk@Contoso.example")
			w.leave("hq", order[0])
			w.settle()
			w.wantEmails("hq", "desk@contoso.example")
			w.leave("hq", order[1])
			w.settle()
			w.wantEmails("hq")
			w.join("hq", order...)
			w.settle()
			w.wantEmails("hq", "desk@contoso.example")
			w.wantMails(2)
		})
	}
}

func TestRule8TwoPeopleOfOneAddressMayLeaveAtOnce(t *testing.T) {
	// Rule 8: neither keeps the access for the other.
	story(t, func(t *testing.T) {
		w := twins(t, "desk@contoso.example")
		w.leave("hq", "ada", "bob")
		w.settle()
		w.settle()
		w.wantEmails("hq")
	})
}

func TestRule9OneOfTwoMovesAwayFromTheSharedAddress(t *testing.T) {
	// Rule 9: the other keeps what both held.
	story(t, func(t *testing.T) {
		w := twins(t, "desk@contoso.example")
		w.mail("ada@contoso.example", "ada")
		w.settle()
		w.wantEmails("hq", "ada@contoso.example", "desk@contoso.example")
		w.mail("desk@contoso.example", "ada")
		w.settle()
		w.wantEmails("hq", "desk@contoso.example")
		w.disable(true, "ada")
		w.settle()
		w.wantEmails("hq", "desk@contoso.example")
	})
}
