package app_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/graphsim"
)

func transitive(i *access.Integration) { i.Membership = access.Transitive }

func to(target int) func(*access.Integration) {
	return func(i *access.Integration) { i.Target.ID = target }
}

// within makes groups without doors of their own.
func (w *world) within(ids ...string) {
	for _, id := range ids {
		w.graph.AddGroup(id, strings.ToUpper(id))
	}
}

// entraGroup names a group as the store does.
func entraGroup(id string) access.Group {
	return access.Group{Connection: graphsim.DefaultTenant, ID: id}
}

// subscribed lists the groups that have a subscription of their own.
func (w *world) subscribed() []string {
	ids := []string{}
	for _, s := range w.groupSubscriptions() {
		ids = append(ids, strings.TrimPrefix(s.Resource, "groups/"))
	}
	slices.Sort(ids)
	return ids
}

// until tells how long it takes until something is so; at most a minute.
func (w *world) until(so func() bool) time.Duration {
	w.t.Helper()
	began := time.Now()
	for !so() {
		if time.Since(began) > time.Minute {
			w.t.Fatal("it is not so within a minute")
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

// opens tells whether somebody opens the doors of a group.
func (w *world) opens(group, person string) bool {
	return w.kisi.Opens(w.rules[group].kisi, person+"@contoso.example")
}

func TestRule10PeopleOfInnerGroupsCountThroughEveryDepthDiamondAndCycle(t *testing.T) {
	// Rule 10.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob", "cy", "dee")
		w.within("left", "right", "bottom", "deep", "deeper")
		w.join("hq", "ada", "left", "right")
		w.join("left", "bob", "bottom")
		w.join("right", "bob", "bottom") // a diamond
		w.join("bottom", "cy", "deep")
		w.join("deep", "deeper")
		w.join("deeper", "dee", "hq", "deeper") // round to the root, and to itself
		w.integrate("hq", transitive)
		w.settle()
		w.wantDoors("hq", "ada", "bob", "cy", "dee")
		w.wantMails(4)

		w.leave("left", "bob", "bottom") // both are still there by the other side
		w.settle()
		w.wantDoors("hq", "ada", "bob", "cy", "dee")
		w.leave("right", "bob", "bottom")
		w.settle()
		w.wantDoors("hq", "ada")
		w.wantState("hq", access.Active)
		w.sweep()
		w.wantDoors("hq", "ada")
	})
}

func TestRule10AnInnerGroupJoinsAndLeavesWithItsPeople(t *testing.T) {
	// Rule 10.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob", "cy")
		w.within("inner", "core")
		w.join("inner", "bob", "core")
		w.join("core", "cy")
		w.join("hq", "ada")
		w.integrate("hq", transitive)
		w.settle()
		w.wantDoors("hq", "ada")
		w.join("hq", "inner")
		w.settle()
		w.wantDoors("hq", "ada", "bob", "cy")
		w.join("core", "ada") // twice in it
		w.leave("hq", "ada")
		w.settle()
		w.wantDoors("hq", "ada", "bob", "cy")
		w.leave("hq", "inner")
		w.settle()
		w.wantDoors("hq")
		w.wantMails(3)
	})
}

func TestRule10WhatIsNeitherAPersonNorAGroupIsIgnoredAndCounted(t *testing.T) {
	// Rule 10.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob")
		w.within("inner")
		w.graph.AddDevice("printer")
		w.graph.AddDevice("scanner")
		w.graph.AddServicePrincipal("robot")
		w.join("hq", "ada", "inner", "printer", "robot")
		w.join("inner", "bob", "scanner")
		w.integrate("hq", transitive)
		w.settle()
		w.wantDoors("hq", "ada", "bob")
		w.wantOthers("hq", 2)
		w.wantOthers("inner", 1)
		w.leave("hq", "printer")
		w.settle()
		w.wantOthers("hq", 1)
		w.wantState("hq", access.Active)
	})
}

// wantOthers says how many members of a group are neither people nor groups.
func (w *world) wantOthers(group string, want int) {
	w.t.Helper()
	m, err := w.app.Store().Membership(w.t.Context(), entraGroup(group))
	if err != nil || m.Others != want {
		w.t.Errorf("%s holds %d others, %v; want %d", group, m.Others, err, want)
	}
}

func TestRule10AChangeInAnInnerGroupIsAsFastAsOneInTheOuter(t *testing.T) {
	// Rule 10.
	story(t, func(t *testing.T) {
		w := newWorld(t, polling(20*time.Millisecond))
		w.person("ada", "bob")
		w.within("inner", "core")
		w.join("hq", "inner")
		w.join("inner", "core")
		w.join("core", "ada")
		w.integrate("hq", transitive)
		w.after(45 * time.Second)
		if got, want := w.subscribed(), []string{"core", "hq", "inner"}; !slices.Equal(got, want) {
			t.Errorf("subscribed to %v, want %v: each tells of itself", got, want)
		}
		w.leave("core", "ada")
		if d := w.until(func() bool { return !w.opens("hq", "ada") }); d > 150*time.Millisecond {
			t.Errorf("leaving the innermost group took %v, want a few polls of 20 ms", d)
		}
		w.after(3 * time.Second) // so that Kisi's rate is no part of it
		before := w.graph.Calls("GET /v1.0/groups/delta")
		w.join("core", "bob")
		if d := w.until(func() bool { return w.opens("hq", "bob") }); d > 800*time.Millisecond {
			t.Errorf("joining the innermost group took %v, want a few polls and calls", d)
		}
		if n := w.graph.Calls("GET /v1.0/groups/delta") - before; n > 2 {
			t.Errorf("%d delta calls, want those of the innermost group alone", n)
		}
	})
}

func TestRule10AnInnerGroupThatIsNotUsedAnyMoreLeavesNothingBehind(t *testing.T) {
	// Rule 10.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob")
		w.within("inner", "core")
		w.join("hq", "inner")
		w.join("inner", "ada", "core")
		w.join("core", "bob")
		w.integrate("hq", transitive)
		w.settle()
		w.wantDoors("hq", "ada", "bob")
		w.leave("hq", "inner")
		w.settle()
		w.wantDoors("hq")
		if got := w.subscribed(); !slices.Equal(got, []string{"hq"}) {
			t.Errorf("subscribed to %v, want hq alone", got)
		}
		w.wantForgotten("inner", "core")

		// The whole integration goes, and all that it read.
		w.join("hq", "inner")
		w.settle()
		w.wantDoors("hq", "ada", "bob")
		if err := w.app.Engine().Delete(t.Context(), "hq"); err != nil {
			t.Fatal(err)
		}
		w.after(30 * time.Second)
		w.wantDoors("hq")
		w.wantForgotten("hq", "inner", "core")
		if n := len(w.graph.Subscriptions()); n != 0 {
			t.Errorf("%d subscriptions are left, want none", n)
		}
	})
}

// wantForgotten says that nothing is stored of what groups hold.
func (w *world) wantForgotten(groups ...string) {
	w.t.Helper()
	for _, id := range groups {
		keys, err := w.redis.Keys(w.t.Context(), "kb:{m:"+entraGroup(id).String()+"}*").Result()
		if err != nil || len(keys) > 0 {
			w.t.Errorf("of %s there is still %v, %v", id, keys, err)
		}
		used, _, err := w.app.Store().Known(w.t.Context(), []access.Group{entraGroup(id)}, nil)
		if err != nil || used[0] {
			w.t.Errorf("changes of %s still matter (%v)", id, err)
		}
	}
}

func TestRule10ADirectIntegrationOfTheSameGroupIsNotAffected(t *testing.T) {
	// Rule 10.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob", "cy")
		w.within("inner")
		w.join("hq", "ada", "inner")
		w.join("inner", "bob")
		w.integrate("hq", transitive)
		w.rules["direct"] = rule{entra: "hq", kisi: w.rules["lab"].kisi}
		w.integrate("direct")
		w.settle()
		w.wantDoors("hq", "ada", "bob")
		w.wantDoors("lab", "ada")
		w.join("inner", "cy")
		w.leave("hq", "inner")
		w.settle()
		w.wantDoors("hq", "ada")
		w.wantDoors("lab", "ada")
		w.join("hq", "inner")
		w.settle()
		w.wantDoors("hq", "ada", "bob", "cy")
		w.wantDoors("lab", "ada")

		// The transitive one goes; the direct one goes on.
		if err := w.app.Engine().Delete(t.Context(), "hq"); err != nil {
			t.Fatal(err)
		}
		w.after(30 * time.Second)
		w.join("hq", "cy")
		w.settle()
		w.wantDoors("hq")
		w.wantDoors("lab", "ada", "cy")
		w.wantForgotten("inner")
	})
}

func TestRule10AProcessThatDiesAnywhereBetweenThePullAndTheGatheringLosesNothing(t *testing.T) {
	// Rule 10.
	for _, after := range []bool{false, true} {
		broken := 0
		for n := 1; gatherBroken(t, n, after); n++ {
			broken = n
		}
		if broken < 30 {
			t.Errorf("only %d calls were broken, want every one of some dozens", broken)
		}
	}
}

// gatherBroken has a process die at the n-th call of a pass in which one inner
// group takes the place of another, and tells whether there was such a call.
func gatherBroken(t *testing.T, n int, after bool) (hit bool) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, false)
		b.person("ada", "bob", "cy")
		b.within("old", "new", "core")
		b.join("hq", "ada", "old")
		b.join("old", "bob")
		b.join("new", "core")
		b.join("core", "cy")
		e, s := b.engine("before")
		i := access.Integration{ID: "hq", Name: "hq", Group: b.group, Target: b.target, Membership: access.Transitive}.WithDefaults()
		if err := s.AddIntegration(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		b.untilQuiet(e, s)
		b.wantDoors("hq", "ada", "bob")

		b.leave("hq", "old")
		b.join("hq", "new")
		e, _ = b.engine("first")
		b.breaker.arm(n, after)
		err := b.pass(e)
		hit = b.breaker.hit()
		b.breaker.arm(0, false)
		e, s = b.engine("second")
		b.untilQuiet(e, s)
		b.wantDoors("hq", "ada", "cy")
		b.wantMails(3)
		if t.Failed() {
			t.Logf("broken at call %d: %v", n, err)
			hit = false // one is enough to look at
		}
	})
	return hit
}
