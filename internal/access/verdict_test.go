package access_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	. "kisibridge/internal/access"
)

// everybody gives n people a grant that was made for reasons.
func everybody(n int, reasons ...string) map[string]Grant {
	m := map[string]Grant{}
	for k := range n {
		id := fmt.Sprintf("p%03d", k)
		m[id] = Grant{Person: id, Email: id + "@contoso.example", Standing: Holds, For: reasons}
	}
	return m
}

// saidOf says the same of the first n of everybody.
func saidOf(n int, v Verdict) map[string]Verdict {
	m := map[string]Verdict{}
	for k := range n {
		m[fmt.Sprintf("p%03d", k)] = v
	}
	return m
}

func TestTooManyRemovalsAreHeld(t *testing.T) {
	hq, lab := integration("hq"), integration("lab", state(Deleting))
	only := func(from, to int) map[string]Grant {
		m := everybody(to, "hq")
		for id := range everybody(from) {
			delete(m, id)
		}
		return m
	}
	zero := integration("hq", func(i *Integration) { i.RemovalLimit = &Limit{} })
	ago := func(state string, d time.Duration) Verdict { return Verdict{State: state, At: now.Add(-d)} }

	for _, tc := range []struct {
		name                  string
		in                    Input
		revoke, release, wait int
	}{
		{"25 of 25 are within the count", Input{Callers: []Caller{caller(hq)}, Held: everybody(25, "hq"), Grants: 25}, 0, 25, 0},
		{"26 of 26 are not", Input{Callers: []Caller{caller(hq)}, Held: everybody(26, "hq"), Grants: 26}, 0, 0, 26},
		{"26 of 130 are just 20 percent", Input{Callers: []Caller{caller(hq)}, Held: everybody(26, "hq"), Grants: 130}, 0, 26, 0},
		{"26 of 129 are more", Input{Callers: []Caller{caller(hq)}, Held: everybody(26, "hq"), Grants: 129}, 0, 0, 26},
		{"a limit of 0 and 0 holds the first", Input{Callers: []Caller{caller(zero)}, Held: everybody(1, "hq"), Grants: 1000}, 0, 0, 1},
		{"deleting an integration was decided by a person", Input{Callers: []Caller{caller(hq), caller(lab)}, Held: everybody(40, "lab"), Grants: 40}, 40, 0, 0},
		{
			"what a person approved goes, and counts for nothing",
			Input{Callers: []Caller{caller(hq)}, Held: everybody(40, "hq"), Grants: 40, Verdicts: saidOf(30, Verdict{State: Released, At: now, By: "somebody"})},
			30, 10, 0,
		},
		{
			"removals of the last ten minutes count",
			Input{Callers: []Caller{caller(hq)}, Held: only(20, 26), Grants: 80, Verdicts: saidOf(20, ago(Released, 9*time.Minute))},
			0, 0, 6,
		},
		{
			"older ones do not",
			Input{Callers: []Caller{caller(hq)}, Held: only(20, 26), Grants: 80, Verdicts: saidOf(20, ago(Released, 10*time.Minute))},
			0, 6, 0,
		},
		{
			"those who wait go on waiting, however few are left",
			Input{Callers: []Caller{caller(hq)}, Held: everybody(3, "hq"), Grants: 100, Verdicts: saidOf(3, ago(Waits, time.Hour))},
			0, 0, 3,
		},
		{
			"a leaver in the wake of a hold waits too",
			Input{Callers: []Caller{caller(hq)}, Held: everybody(31, "hq"), Grants: 100, Verdicts: saidOf(30, ago(Waits, time.Minute))},
			0, 0, 31,
		},
		{
			"a leaver an hour later does not",
			Input{Callers: []Caller{caller(hq)}, Held: everybody(31, "hq"), Grants: 100, Verdicts: saidOf(30, ago(Waits, time.Hour))},
			0, 1, 30,
		},
		{
			"whoever was doubted is judged again",
			Input{Callers: []Caller{caller(hq)}, Held: everybody(6, "hq"), Grants: 100, Verdicts: saidOf(6, ago(Doubted, time.Minute))},
			0, 6, 0,
		},
		{
			"a group that was deleted lets nobody go",
			Input{Callers: []Caller{{Integration: hq, Deleted: "deleted"}}, Held: everybody(2, "hq"), Grants: 100},
			0, 0, 2,
		},
		{
			"nor does a group within that was deleted",
			Input{Callers: []Caller{{Integration: hq, Orphans: map[string]bool{"p000": true}}}, Held: everybody(2, "hq"), Grants: 100},
			0, 1, 1,
		},
		{
			"but what others decide goes on",
			Input{Callers: []Caller{{Integration: hq, Deleted: "deleted"}, caller(integration("lab"))}, Held: everybody(2, "lab"), Grants: 100},
			0, 2, 0,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.in.Now, tc.in.Pass = now, true
			plan := Decide(tc.in)
			if got, want := []int{len(plan.Revoke), len(plan.Release), len(plan.Wait)}, []int{tc.revoke, tc.release, tc.wait}; !slices.Equal(got, want) {
				t.Errorf("revoke, release, wait %v, want %v (%s)", got, want, plan.Why)
			}
		})
	}
}

// An apply carries out what was judged, and judges nothing itself.
func TestAnApplyRevokesOnlyWhatAPassReleased(t *testing.T) {
	in := Input{Callers: []Caller{caller(integration("hq"))}, Held: everybody(2, "hq"), Grants: 100, Now: now, Verdicts: saidOf(1, Verdict{State: Released, At: now})}
	want := Plan{Revoke: []string{"p000"}, Judge: []string{"p001"}}
	if diff := cmp.Diff(want, Decide(in), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Decide (-want +got):\n%s", diff)
	}
}

func TestVerdictsFollowThePerson(t *testing.T) {
	ada := Person{ID: "p000", UPN: "p000@contoso.example"}
	later := integration("hq", func(i *Integration) { i.RemovalMode, i.RemovalHours = RemoveAfter, 24 })
	never := integration("hq", func(i *Integration) { i.RemovalMode = RemoveNever })
	staged := integration("hq", func(i *Integration) { i.FirstBatch = 1 })
	nodded := integration("hq", func(i *Integration) { i.FirstBatch, i.Nodded = 1, true })
	without := integration("hq", func(i *Integration) { i.Exclude = []string{"P000@contoso.example"} })
	bob := Person{ID: "p001", UPN: "p001@contoso.example"}
	want := func(p Person) Want { return Want{Person: p, Email: p.UPN, For: []string{"hq"}, Notify: true} }
	ago := func(state string, d time.Duration) map[string]Verdict {
		return map[string]Verdict{"p000": {State: state, At: now.Add(-d)}}
	}

	for _, tc := range []struct {
		name string
		in   Input
		want Plan
	}{
		{
			"a person who comes back leaves the hold",
			Input{Callers: []Caller{caller(integration("hq"), "p000")}, Held: everybody(1, "hq"), Verdicts: ago(Waits, time.Hour)},
			Plan{Say: map[string]Verdict{"p000": {}}},
		}, {
			"a dismissed removal is not asked about again",
			Input{Callers: []Caller{caller(integration("hq"))}, Held: everybody(1, "hq"), Verdicts: map[string]Verdict{"p000": {State: Kept, By: "eve"}}},
			Plan{Skip: []Skip{{"p000", "keeps the access: a removal was dismissed by eve"}}},
		}, {
			"an integration may remove after a day",
			Input{Callers: []Caller{caller(later)}, Held: everybody(1, "hq"), Grants: 9},
			Plan{
				Say:  map[string]Verdict{"p000": {State: Later, At: now}},
				Skip: []Skip{{"p000", "keeps the access until " + now.Add(24*time.Hour).UTC().Format(time.RFC3339)}},
			},
		}, {
			"and does so when the day is over",
			Input{Callers: []Caller{caller(later)}, Held: everybody(1, "hq"), Grants: 9, Verdicts: ago(Later, 24*time.Hour)},
			Plan{Release: []string{"p000"}},
		}, {
			"or never",
			Input{Callers: []Caller{caller(never)}, Held: everybody(1, "hq"), Grants: 9},
			Plan{Skip: []Skip{{"p000", "keeps the access: the integration removes nobody"}}},
		}, {
			"a staged import begins with its first batch",
			Input{Callers: []Caller{caller(staged, "p000", "p001")}, People: people(ada, bob)},
			Plan{Make: []Want{want(ada)}, Skip: []Skip{{"p001", BatchWaits}}, Say: map[string]Verdict{"p000": {State: Early, At: now}}},
		}, {
			"and stays with it",
			Input{Callers: []Caller{caller(staged, "p000", "p001")}, People: people(ada, bob), Verdicts: ago(Early, time.Hour)},
			Plan{Make: []Want{want(ada)}, Skip: []Skip{{"p001", BatchWaits}}},
		}, {
			"until a person nods",
			Input{Callers: []Caller{caller(nodded, "p000", "p001")}, People: people(ada, bob), Held: everybody(1, "hq"), Verdicts: ago(Early, time.Hour)},
			Plan{Make: []Want{want(bob)}, Say: map[string]Verdict{"p000": {}}},
		}, {
			"whoever is excluded is not granted",
			Input{Callers: []Caller{caller(without, "p000", "p001")}, People: people(ada, bob)},
			Plan{Make: []Want{want(bob)}, Skip: []Skip{{"p000", Excluded}}},
		}, {
			"nor removed",
			Input{Callers: []Caller{caller(without)}, People: people(ada), Held: everybody(1, "hq"), Grants: 9},
			Plan{Skip: []Skip{{"p000", Excluded}}},
		}, {
			"a guest is let in",
			Input{Callers: []Caller{caller(integration("hq"), "p000")}, People: people(Person{ID: "p000", UPN: ada.UPN, Guest: true})},
			Plan{Make: []Want{{Person: Person{ID: "p000", UPN: ada.UPN, Guest: true}, Email: ada.UPN, For: []string{"hq"}, Notify: true}}},
		}, {
			"unless the integration takes no guests",
			Input{
				Callers: []Caller{caller(integration("hq", func(i *Integration) { i.NoGuests = true }), "p000")},
				People:  people(Person{ID: "p000", UPN: ada.UPN, Guest: true}), Held: everybody(1, "hq"), Grants: 9,
			},
			Plan{Release: []string{"p000"}},
		}, {
			"a changed address is granted anew, and the old one stands until then",
			Input{Callers: []Caller{caller(integration("hq"), "p000")}, People: people(Person{ID: "p000", UPN: "byron@contoso.example"}), Held: everybody(1, "hq")},
			Plan{Make: []Want{{Person: Person{ID: "p000", UPN: "byron@contoso.example"}, Email: "byron@contoso.example", For: []string{"hq"}, Notify: true}}},
		}, {
			"the same address in other letters is the same",
			Input{Callers: []Caller{caller(integration("hq"), "p000")}, People: people(Person{ID: "p000", UPN: "P000@Contoso.Example"}), Held: everybody(1, "hq")},
			Plan{},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.in.Now, tc.in.Pass = now, true
			if diff := cmp.Diff(tc.want, Decide(tc.in), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Decide (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEverybodysPositionIsExplained(t *testing.T) {
	ada := Person{ID: "p000", UPN: "p000@contoso.example"}
	off := ada
	off.Disabled = true
	hq := integration("hq")
	refused := Grant{Person: "p000", Email: ada.UPN, Standing: Refused, Why: "blacklisted", Since: now}

	for _, tc := range []struct {
		name       string
		in         Input
		state, why string
	}{
		{"granted", Input{Callers: []Caller{caller(hq, "p000")}, People: people(ada), Held: everybody(1, "hq")}, Granted, ""},
		{"pending", Input{Callers: []Caller{caller(hq, "p000")}, People: people(ada)}, Pending, ""},
		{"skipped", Input{Callers: []Caller{caller(hq, "p000")}, People: people(Person{ID: "p000"})}, Skipped, NoEmail},
		{"refused", Input{Callers: []Caller{caller(hq, "p000")}, People: people(ada), Held: held(refused)}, RefusedBy, "blacklisted; tried again after " + now.Add(24*time.Hour).UTC().Format(time.RFC3339)},
		{"leaving", Input{Callers: []Caller{caller(hq, "p000")}, People: people(off), Held: everybody(1, "hq")}, Leaving, "the account is disabled in Entra"},
		{"held", Input{Callers: []Caller{caller(hq)}, People: people(ada), Held: everybody(1, "hq"), Verdicts: saidOf(1, Verdict{State: Waits})}, Waiting, "is not in the group; the removal waits for a person"},
		{"kept by another", Input{Callers: []Caller{caller(hq), caller(integration("lab"), "p000")}, People: people(ada), Held: everybody(1, "hq", "lab")}, Remaining, "is not in the group; lab calls for the access"},
		{"dismissed", Input{Callers: []Caller{caller(hq)}, People: people(ada), Held: everybody(1, "hq"), Verdicts: saidOf(1, Verdict{State: Kept, By: "eve"})}, Remaining, "is not in the group; keeps the access: a removal was dismissed by eve"},
		{"moving", Input{Callers: []Caller{caller(hq, "p000")}, People: people(Person{ID: "p000", UPN: "b@contoso.example"}), Held: everybody(1, "hq")}, Moving, "the address changed to b@contoso.example"},
		{"nothing", Input{Callers: []Caller{caller(hq)}, People: people(ada), Held: held(Grant{Person: "p000"})}, Nothing, "is not in the group"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.in.Now = now
			got := Explain(tc.in, "hq")
			if len(got) != 1 || got[0].State != tc.state || got[0].Why != tc.why {
				t.Errorf("Explain says %+v, want %s: %s", got, tc.state, tc.why)
			}
		})
	}
}
