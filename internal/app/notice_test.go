package app_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisisim"
)

// aMinute lets a watch pass by the schedule's own hand.
const aMinute = 75 * time.Second

func TestRule14WhatNoNotificationToldTheSweepFinds(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.integrate("hq")
		w.after(45 * time.Second) // past the last look after the first read
		w.graph.SetDelivery(graphsim.Delivery{Drop: true})
		w.join("hq", "ada")
		w.settle()
		w.wantDoors("hq")
		w.sweep()
		w.wantDoors("hq", "ada")
	})
}

func TestRule14DoubledAndShuffledNotificationsDoNothingTwice(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob")
		w.join("hq", "bob")
		w.integrate("hq")
		w.settle()
		w.graph.SetDelivery(graphsim.Delivery{Duplicate: true, Reorder: true, Delay: 700 * time.Millisecond})
		for range 3 {
			w.join("hq", "ada")
			w.leave("hq", "bob")
			w.leave("hq", "ada")
			w.join("hq", "bob")
		}
		w.join("hq", "ada")
		w.after(45 * time.Second)
		w.wantDoors("hq", "ada", "bob")
	})
}

func TestRule14WhenDeltaIsSilentTheMemberListIsReadAndDeltaAskedAgain(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob")
		w.join("hq", "bob")
		w.integrate("hq")
		w.after(45 * time.Second)
		w.graph.SetReplicationLag(15 * time.Minute) // delta only
		w.join("hq", "ada")
		w.leave("hq", "bob")
		w.settle()
		w.wantDoors("hq", "ada")

		// The member list lags too, by some seconds.
		w.graph.SetMemberLag(8 * time.Second)
		w.leave("hq", "ada")
		w.after(4 * time.Second)
		w.wantDoors("hq", "ada")
		w.after(15 * time.Second)
		w.wantDoors("hq")
	})
}

func TestABurstForOneGroupIsThreeDeltaCalls(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t, polling(20*time.Millisecond))
		w.person("ada")
		w.integrate("hq")
		w.after(3 * time.Second)
		const deltas = "GET /v1.0/groups/delta"
		before := w.graph.Calls(deltas)
		for k := range 1000 {
			if k%2 == 0 {
				w.join("hq", "ada")
			} else {
				w.leave("hq", "ada")
			}
			time.Sleep(time.Millisecond)
		}
		w.join("hq", "ada")
		w.after(800 * time.Millisecond)
		if n := w.graph.Calls(deltas) - before; n > 3 {
			t.Errorf("%d delta calls for 1,001 notifications within a second, want at most 3", n)
		}
		w.after(3 * time.Second)
		w.wantDoors("hq", "ada")
	})
}

func TestRestartIsNotRemoval(t *testing.T) {
	for _, status := range []int{410, 400} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			story(t, func(t *testing.T) {
				w := newWorld(t)
				everybody := w.people(12)
				w.join("hq", everybody...)
				w.integrate("hq")
				w.after(20 * time.Second)
				w.end() // the bridge is down while the link expires, and somebody leaves
				if status == 410 {
					w.graph.ExpireLinks()
				} else {
					w.graph.ForgetLinks()
				}
				w.leave("hq", everybody[0])
				w.start()
				w.sweep()
				w.wantDoors("hq", everybody[1:]...)
				w.wantMails(12)
			})
		})
	}
}

func TestTheKeeperRenewsTakesOverAndDeletesSubscriptions(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.integrate("hq")
		w.settle()
		first := w.groupSubscriptions()
		if len(first) != 1 || first[0].Resource != "groups/hq" {
			t.Fatalf("subscriptions %+v, want one of the group", first)
		}
		// After a restart it goes on with its own.
		w.end()
		w.start()
		w.sweep()
		if now := w.groupSubscriptions(); len(now) != 1 || now[0].ID != first[0].ID {
			t.Errorf("after a restart %+v, want the same", now)
		}
		// Graph removes it, and says so.
		w.graph.RemoveSubscription(first[0].ID, true)
		w.settle()
		second := w.groupSubscriptions()
		if len(second) != 1 || second[0].ID == first[0].ID {
			t.Fatalf("after the removal %+v, want a new one", second)
		}
		// The bridge forgets it: Graph says 409, and it is replaced.
		if err := w.app.Store().DropSubscription(t.Context(), access.Group{Connection: graphsim.DefaultTenant, ID: "hq"}); err != nil {
			t.Fatal(err)
		}
		w.sweep()
		third := w.groupSubscriptions()
		if len(third) != 1 || third[0].ID == second[0].ID {
			t.Errorf("after it was forgotten %+v, want one that the bridge knows", third)
		}
		w.join("hq", "ada")
		w.settle()
		w.wantDoors("hq", "ada")
	})
}

func TestWhereGraphRefusesTheSubscriptionTheGroupIsReadEveryMinute(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.graph.DenySubscriptions(true) })
		w.person("ada")
		w.integrate("hq")
		w.settle()
		w.join("hq", "ada")
		w.after(aMinute)
		w.wantDoors("hq", "ada")
		w.wantState("hq", access.Active)
	})
}

func TestAKisiThatThrottlesLosesNothing(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.people(6)
		w.kisi.SetFault(kisisim.Fault{Route: "POST /role_assignments", Status: 429, RetryAfter: 3, Times: 2})
		w.kisi.SetFault(kisisim.Fault{Route: "POST /users", Status: 502, Body: "<html>", Times: 2})
		w.kisi.SetFault(kisisim.Fault{Route: "POST /role_assignments", Lost: true, Times: 2})
		w.join("hq", everybody...)
		w.integrate("hq")
		w.after(time.Minute)
		w.wantDoors("hq", everybody...)
		w.wantMails(6)
	})
}

func TestAnImportTakesTwoCallsAPersonAndARevocationOvertakesIt(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t, polling(500*time.Millisecond))
		everybody := w.people(60)
		w.person("leaver")
		w.join("lab", "leaver")
		w.integrate("lab")
		w.settle()
		before := len(w.kisi.Log())
		w.join("hq", everybody...)
		w.integrate("hq")
		w.after(10 * time.Second) // in the middle of it
		left := time.Now()
		w.leave("lab", "leaver")
		for w.kisi.Opens(w.rules["lab"].kisi, "leaver@contoso.example") {
			time.Sleep(10 * time.Millisecond)
		}
		if d := time.Since(left); d > 3*time.Second {
			t.Errorf("a revocation in the middle of an import took %v, want two polls and two calls", d)
		}
		if n := len(w.kisi.Holders(w.rules["hq"].kisi)); n == 60 {
			t.Error("the import was over before; the test proves nothing")
		}
		w.after(40 * time.Second)
		w.wantDoors("hq", everybody...)
		if n := len(w.kisi.Log()) - before; n > 2*60+100 {
			t.Errorf("%d calls, want at most two a person and 100", n)
		}
	})
}

func TestTwoReplicasDoNothingTwice(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t)
		_, stop := w.process()
		everybody := w.people(15)
		w.join("hq", everybody...)
		w.integrate("hq")
		w.after(20 * time.Second)
		stop()
		w.leave("hq", everybody[0])
		w.settle()
		w.wantDoors("hq", slices.Clone(everybody[1:])...)
		w.wantMails(15)
	})
}

// What was listed for one import says nothing of people who come later and
// had access all along.
func TestWhoHadAccessAndJoinsAfterAnImportIsTakenOver(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t, kisiOption(func(o *kisisim.Options) { o.DoubleAssignments = true }))
		everybody := w.people(30)
		w.person("ada")
		user := w.kisi.AddUser("ada@contoso.example", "Ada")
		w.kisi.AddAssignment(kisisim.Assignment{AppliesToID: w.rules["hq"].kisi, AssigneeID: user})
		w.join("hq", everybody...)
		w.integrate("hq")
		w.after(30 * time.Second)
		w.join("hq", "ada")
		w.settle()
		w.wantDoors("hq", append(everybody, "ada")...)
		w.wantMails(30)
	})
}
