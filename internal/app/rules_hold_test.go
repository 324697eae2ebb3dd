package app_test

import (
	"slices"
	"testing"
	"time"

	"kisibridge/internal/access"
)

// Rule 6: too many removals at once wait for a person.

// crowd makes n people who open the doors of hq.
func (w *world) crowd(n int, change ...func(*access.Integration)) []string {
	w.t.Helper()
	everybody := w.people(n)
	w.join("hq", everybody...)
	w.integrate("hq", change...)
	w.after(time.Minute)
	w.wantDoors("hq", everybody...)
	return everybody
}

func TestRule6AHoldNamesThePeopleAndOutlivesTheProcess(t *testing.T) {
	// Rule 6: the list of people in the hold; a hold survives restarts.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.crowd(30)
		w.leave("hq", everybody...)
		w.settle()
		w.wantHeld("hq", everybody...)
		w.wantPosition("hq", everybody[3], access.Waiting, "waits for a person")
		since, _ := w.status("hq")
		w.end()
		w.start()
		w.sweep()
		w.wantState("hq", access.Held)
		w.wantHeld("hq", everybody...)
		w.wantDoors("hq", everybody...)
		if now, _ := w.status("hq"); !now.Hold.Since.Equal(since.Hold.Since) || now.Hold.Why != since.Hold.Why {
			t.Errorf("after a restart the hold is %+v, before it was %+v", now.Hold, since.Hold)
		}
	})
}

func TestRule6WhoComesBackLeavesTheHoldAndJoinersDoNotWait(t *testing.T) {
	// Rule 6: joins go on; a person who comes back meanwhile leaves the hold.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.crowd(30)
		w.person("newcomer")
		w.leave("hq", everybody...)
		w.settle()
		w.join("hq", "newcomer", everybody[0], everybody[1])
		w.settle()
		w.wantHeld("hq", everybody[2:]...)
		w.wantDoors("hq", append([]string{"newcomer"}, everybody...)...)
		w.join("hq", everybody[2:]...)
		w.settle()
		w.wantHeld("hq")
		w.wantState("hq", access.Active)
		w.wantDoors("hq", append([]string{"newcomer"}, everybody...)...)
		w.wantMails(31)
	})
}

func TestRule6ASmallTeamMayLeaveInOnePass(t *testing.T) {
	// Rule 6: more than count and more than percent, or it is no hold.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.leave("hq", w.crowd(25)...)
		w.after(20 * time.Second)
		w.wantDoors("hq")
		w.wantState("hq", access.Active)
	})
}

func TestRule6ASmallShareOfManyMayLeave(t *testing.T) {
	// Rule 6: five are more than the count, and not more than the percentage.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.crowd(50, limit(4, 10))
		w.leave("hq", everybody[:5]...)
		w.after(20 * time.Second)
		w.wantDoors("hq", everybody[5:]...)
		w.leave("hq", everybody[5])
		w.settle()
		w.wantHeld("hq", everybody[5])
		w.wantDoors("hq", everybody[5:]...)
	})
}

func TestRule6RemovalsThatTrickleAreCountedOverTenMinutes(t *testing.T) {
	// Rule 6: over a sliding ten minutes.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.crowd(12, limit(3, 20))
		for _, p := range everybody[:3] {
			w.leave("hq", p)
			w.settle()
			w.skip(2 * time.Minute)
		}
		w.wantDoors("hq", everybody[3:]...)
		w.leave("hq", everybody[3]) // the fourth within ten minutes
		w.settle()
		w.wantHeld("hq", everybody[3])
		w.skip(11 * time.Minute)
		w.leave("hq", everybody[4]) // alone within ten minutes
		w.settle()
		w.wantDoors("hq", append([]string{everybody[3]}, everybody[5:]...)...)
		w.wantHeld("hq", everybody[3])
		w.skip(24 * time.Hour)
		w.sweep()
		w.wantHeld("hq", everybody[3])
	})
}

func TestRule6OneTargetIsJudgedAsOneWhateverItsGroups(t *testing.T) {
	// Rule 6: computed per target.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.also("both", "lab", "hq")
		everybody := w.people(20)
		w.join("hq", everybody[:10]...)
		w.join("lab", everybody[10:]...)
		w.integrate("hq", limit(4, 20))
		w.integrate("both", limit(4, 20))
		w.after(30 * time.Second)
		w.leave("hq", everybody[:3]...)
		w.settle()
		w.leave("lab", everybody[10:13]...)
		w.settle()
		w.wantHeld("hq", everybody[10:13]...)
		w.wantState("both", access.Held)
		w.wantDoors("hq", everybody[3:]...)
		w.approve("hq")
		w.settle()
		w.wantDoors("hq", slices.Concat(everybody[3:10], everybody[13:])...)
		w.wantState("both", access.Active)
	})
}

func TestRule6WhatWasApprovedGoesAndNothingElse(t *testing.T) {
	// Rule 6: approved with the list in hand: who leaves afterwards was not on it.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.crowd(30, limit(2, 10))
		w.leave("hq", everybody[:10]...)
		w.settle()
		w.wantHeld("hq", everybody[:10]...)
		w.approve("hq")
		w.leave("hq", everybody[10:20]...)
		w.after(20 * time.Second)
		w.wantDoors("hq", everybody[10:]...)
		w.wantHeld("hq", everybody[10:20]...)
		w.wantState("hq", access.Held)
	})
}

func TestRule6AnApprovalIsCarriedOutAlthoughTheProcessDies(t *testing.T) {
	// Rule 6: a hold, and what was said of it, survives restarts.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.crowd(40)
		w.leave("hq", everybody...)
		w.settle()
		w.approve("hq")
		w.after(2 * time.Second)
		w.die()
		w.after(time.Minute)
		w.wantDoors("hq")
		w.wantHeld("hq")
		w.wantState("hq", access.Active)
	})
}

func TestRule6WhatWasDismissedIsNeverAskedAgain(t *testing.T) {
	// Rule 6: dismissed, until the person comes back and leaves again.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.crowd(30)
		w.leave("hq", everybody...)
		w.settle()
		w.dismiss("hq")
		w.settle()
		w.wantState("hq", access.Active)
		w.wantHeld("hq")
		w.skip(24 * time.Hour)
		w.sweep()
		w.wantState("hq", access.Active)
		w.wantHeld("hq")
		w.wantDoors("hq", everybody...)
		w.wantPosition("hq", everybody[0], access.Remaining, "dismissed by kim")

		w.join("hq", everybody[0])
		w.settle()
		w.leave("hq", everybody[0])
		w.settle()
		w.wantDoors("hq", everybody[1:]...)
	})
}

func TestRule6AnApplyThatComesEarlyIsNoWayAroundTheLimit(t *testing.T) {
	// Rule 6: somebody who is synced by hand is judged as any other.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.crowd(30)
		w.leave("hq", everybody...)
		for _, p := range everybody {
			w.must(w.app.Engine().SyncPerson(t.Context(), w.tenant(), p))
		}
		w.after(30 * time.Second)
		if n := len(w.kisi.Holders(w.rules["hq"].kisi)); n < 5 {
			t.Errorf("%d of 30 people hold access, want the limit to have stopped it at 25 removals", n)
		}
		w.wantState("hq", access.Held)
	})
}

func TestRule6AMassOfDisabledAccountsIsHeldToo(t *testing.T) {
	// Rule 6 and 7: it does not matter how so many come to lose access.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.crowd(30, limit(5, 20))
		w.disable(true, everybody...)
		w.after(time.Minute)
		w.wantState("hq", access.Held)
		if n := len(w.kisi.Holders(w.rules["hq"].kisi)); n < 24 {
			t.Errorf("%d of 30 people are left, want at most 6 removals without a person's nod", n)
		}
		w.disable(false, everybody...)
		w.after(time.Minute)
		w.wantDoors("hq", everybody...)
		w.wantHeld("hq")
		w.wantState("hq", access.Active)
	})
}

func TestRule6AnExpiredLinkIsJudgedByTheLimit(t *testing.T) {
	// Rule 6 and resync: read all, compare, and let the removal limit judge.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.crowd(30)
		w.end()
		w.leave("hq", everybody...)
		w.graph.ExpireLinks()
		w.start()
		w.sweep()
		w.wantDoors("hq", everybody...)
		w.wantHeld("hq", everybody...)
		w.approve("hq")
		w.after(30 * time.Second)
		w.wantDoors("hq")
	})
}

func TestRule6APausedIntegrationIsJudgedWhenItGoesOn(t *testing.T) {
	// Rule 5 and 6: resuming applies the difference, within the limit.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.crowd(30)
		w.pause("hq")
		w.leave("hq", everybody...)
		w.skip(time.Hour)
		w.sweep()
		w.wantHeld("hq")
		w.resume("hq")
		w.settle()
		w.wantHeld("hq", everybody...)
		w.wantDoors("hq", everybody...)
	})
}
