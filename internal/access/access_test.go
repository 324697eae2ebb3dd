package access_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	. "kisibridge/internal/access"
)

var (
	now = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	ada = Person{ID: "ada", Name: "Ada Byron", UPN: "ada@contoso.example", Mail: "ada.byron@contoso.example"}
	bob = Person{ID: "bob", UPN: "bob_fabrikam.com#EXT#@contoso.onmicrosoft.com"}
)

func integration(id string, change ...func(*Integration)) Integration {
	i := Integration{ID: id, Name: id, Target: Target{Connection: "kisi", Type: TargetGroup, ID: 45}}.WithDefaults()
	for _, c := range change {
		c(&i)
	}
	return i
}

func caller(i Integration, members ...string) Caller {
	c := Caller{Integration: i, Members: map[string]bool{}}
	for _, m := range members {
		c.Members[m] = true
	}
	return c
}

func people(ps ...Person) map[string]Person {
	m := map[string]Person{}
	for _, p := range ps {
		m[p.ID] = p
	}
	return m
}

func held(gs ...Grant) map[string]Grant {
	m := map[string]Grant{}
	for _, g := range gs {
		m[g.Person] = g
	}
	return m
}

func state(s State) func(*Integration) { return func(i *Integration) { i.State = s } }

func TestDecide(t *testing.T) {
	disabled := ada
	disabled.Disabled = true
	gone := ada
	gone.Gone = true
	adaHolds := Grant{Person: "ada", Email: ada.UPN, Standing: Holds, For: []string{"hq"}}

	for _, tc := range []struct {
		name string
		in   Input
		want Plan
	}{
		{
			"somebody joins",
			Input{Callers: []Caller{caller(integration("hq"), "ada")}, People: people(ada)},
			Plan{Make: []Want{{Person: ada, Email: ada.UPN, For: []string{"hq"}, Notify: true}}},
		}, {
			"somebody leaves",
			Input{Callers: []Caller{caller(integration("hq"))}, Held: held(adaHolds), Grants: 1},
			Plan{Revoke: []string{"ada"}},
		}, {
			// Two groups open the same doors: leaving one is not enough.
			"kept while another integration calls for it",
			Input{
				Callers: []Caller{caller(integration("lab"), "ada"), caller(integration("hq"))},
				People:  people(ada), Held: held(Grant{Person: "ada", Standing: Holds, For: []string{"hq", "lab"}}),
			},
			Plan{Amend: []Want{{Person: ada, Email: ada.UPN, For: []string{"lab"}, Notify: true}}},
		}, {
			"in line",
			Input{Callers: []Caller{caller(integration("hq"), "ada")}, People: people(ada), Held: held(adaHolds)},
			Plan{},
		}, {
			"no usable email, no grant, and nobody else waits",
			Input{Callers: []Caller{caller(integration("hq"), "bob", "ada")}, People: people(ada, bob)},
			Plan{
				Make: []Want{{Person: ada, Email: ada.UPN, For: []string{"hq"}, Notify: true}},
				Skip: []Skip{{"bob", GuestEmail}},
			},
		}, {
			"an email that vanished ends no access",
			Input{
				Callers: []Caller{caller(integration("hq"), "bob")}, People: people(bob),
				Held: held(Grant{Person: "bob", Standing: Holds, For: []string{"hq"}}),
			},
			Plan{},
		}, {
			"a person who was not read yet is neither granted nor removed",
			Input{
				Callers: []Caller{caller(integration("hq"), "ada", "cy")},
				Held:    held(adaHolds),
			},
			Plan{Skip: []Skip{{"cy", "not read from Entra yet"}}},
		}, {
			"a disabled account loses access",
			Input{Callers: []Caller{caller(integration("hq"), "ada")}, People: people(disabled), Held: held(adaHolds), Grants: 1},
			Plan{Revoke: []string{"ada"}},
		}, {
			"unless the integration keeps it",
			Input{
				Callers: []Caller{caller(integration("hq", func(i *Integration) { i.DisabledAccounts = DisabledKeep }), "ada")},
				People:  people(disabled), Held: held(adaHolds),
			},
			Plan{},
		}, {
			"a deleted account loses access although its membership stands",
			Input{Callers: []Caller{caller(integration("hq"), "ada")}, People: people(gone), Held: held(adaHolds), Grants: 1},
			Plan{Revoke: []string{"ada"}},
		}, {
			"what is paused writes nothing, in no direction",
			Input{
				Callers: []Caller{caller(integration("hq", state(Paused)), "cy")},
				People:  people(Person{ID: "cy", UPN: "cy@contoso.example"}), Held: held(adaHolds),
			},
			Plan{},
		}, {
			"a deleted integration gives back its grants",
			Input{Callers: []Caller{caller(integration("hq", state(Deleting)), "ada")}, People: people(ada), Held: held(adaHolds), Grants: 1},
			Plan{Revoke: []string{"ada"}},
		}, {
			"access of somebody else's making is never removed",
			Input{
				Callers: []Caller{caller(integration("hq"))},
				Held:    held(Grant{Person: "ada", Standing: Preserved, For: []string{"hq"}}),
			},
			Plan{},
		}, {
			"whom Kisi refused waits a day",
			Input{
				Callers: []Caller{caller(integration("hq"), "ada")}, People: people(ada), Now: now,
				Held: held(Grant{Person: "ada", Email: ada.UPN, Standing: Refused, Why: "blacklisted", Since: now.Add(-23 * time.Hour)}),
			},
			Plan{Skip: []Skip{{"ada", "blacklisted"}}},
		}, {
			"or until the address changes",
			Input{
				Callers: []Caller{caller(integration("hq"), "ada")}, People: people(ada), Now: now,
				Held: held(Grant{Person: "ada", Email: "old@contoso.example", Standing: Refused, Since: now}),
			},
			Plan{Make: []Want{{Person: ada, Email: ada.UPN, For: []string{"hq"}, Notify: true}}},
		}, {
			"users only are imported without a word",
			Input{
				Callers: []Caller{caller(integration("all", func(i *Integration) {
					i.Target = Target{Connection: "kisi", Type: TargetUsers}
					i.EmailProperty = EmailMail
				}), "ada")},
				People: people(ada),
			},
			Plan{Make: []Want{{Person: ada, Email: ada.Mail, For: []string{"all"}, Silent: true}}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Decide(tc.in), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Decide (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTooManyRemovalsAreHeld(t *testing.T) {
	everybody := func(n int, reasons ...string) map[string]Grant {
		m := map[string]Grant{}
		for k := range n {
			id := fmt.Sprintf("p%03d", k)
			m[id] = Grant{Person: id, Standing: Holds, For: reasons}
		}
		return m
	}
	hq, lab := integration("hq"), integration("lab", state(Deleting))

	for _, tc := range []struct {
		name           string
		in             Input
		revoke, heldUp int
	}{
		{"25 of 25 are within the count", Input{Callers: []Caller{caller(hq)}, Held: everybody(25, "hq"), Grants: 25}, 25, 0},
		{"26 of 26 are not", Input{Callers: []Caller{caller(hq)}, Held: everybody(26, "hq"), Grants: 26}, 0, 26},
		{"26 of 130 are just 20 percent", Input{Callers: []Caller{caller(hq)}, Held: everybody(26, "hq"), Grants: 130}, 26, 0},
		{"26 of 129 are more", Input{Callers: []Caller{caller(hq)}, Held: everybody(26, "hq"), Grants: 129}, 0, 26},
		{"deleting an integration was decided by a person", Input{Callers: []Caller{caller(hq), caller(lab)}, Held: everybody(40, "lab"), Grants: 40}, 40, 0},
		{
			"what a person approved goes",
			Input{Callers: []Caller{caller(hq)}, Held: everybody(27, "hq"), Grants: 27, Excused: map[string]bool{"p000": true, "p001": true}},
			27, 0,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plan := Decide(tc.in)
			if len(plan.Revoke) != tc.revoke || len(plan.Hold.People) != tc.heldUp {
				t.Errorf("revoke %d and hold %d, want %d and %d (%s)",
					len(plan.Revoke), len(plan.Hold.People), tc.revoke, tc.heldUp, plan.Hold.Why)
			}
			if (plan.Hold.Why == "") != (tc.heldUp == 0) {
				t.Errorf("the hold's reason is %q", plan.Hold.Why)
			}
		})
	}
}

// However the world looks, nobody who is called for loses access, nothing
// that is not ours is touched, and carrying the plan out leaves nothing to do.
func TestDecideIsNeverTooMuchAndConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := world(t)
		plan := Decide(in)
		if diff := cmp.Diff(plan, Decide(in)); diff != "" {
			t.Fatalf("equal inputs, other plan:\n%s", diff)
		}
		for _, id := range append(plan.Revoke, plan.Hold.People...) {
			if in.Held[id].Standing != Holds {
				t.Fatalf("%s would lose what is not ours: %+v", id, in.Held[id])
			}
			for _, c := range in.Callers {
				if c.Integration.State == Active && c.Members[id] && !in.People[id].Disabled && !in.People[id].Gone {
					t.Fatalf("%s would lose access although %s calls for it", id, c.Integration.ID)
				}
			}
		}
		carryOut(in, plan)
		if again := Decide(in); !again.Empty() {
			t.Fatalf("carried out, and still to do: %+v", again)
		}
	})
}

func world(t *rapid.T) Input {
	in := Input{People: map[string]Person{}, Held: map[string]Grant{}, Now: now, Excused: map[string]bool{}}
	for k := range rapid.IntRange(0, 12).Draw(t, "people") {
		id := fmt.Sprintf("p%d", k)
		in.People[id] = Person{
			ID: id, UPN: rapid.SampledFrom([]string{id + "@contoso.example", "", "x#EXT#@contoso.example"}).Draw(t, "upn"),
			Disabled: rapid.Bool().Draw(t, "disabled"), Gone: rapid.IntRange(0, 9).Draw(t, "gone") == 0,
		}
		if s := rapid.SampledFrom([]Standing{None, Holds, Preserved, Refused}).Draw(t, "standing"); s != None {
			in.Held[id] = Grant{Person: id, Email: id + "@contoso.example", Standing: s, For: []string{"i0"}, Since: now}
		}
	}
	in.Grants = len(in.Held)
	for k := range rapid.IntRange(1, 3).Draw(t, "integrations") {
		s := rapid.SampledFrom([]State{Active, Active, Paused, Held, Deleting}).Draw(t, "state")
		c := caller(integration(fmt.Sprintf("i%d", k), state(s)))
		c.Integration.RemovalLimit = Limit{Count: rapid.IntRange(0, 3).Draw(t, "count")}
		for id := range in.People {
			c.Members[id] = rapid.Bool().Draw(t, "member")
		}
		in.Callers = append(in.Callers, c)
	}
	return in
}

// carryOut does to the ledger what a bridge does, its holds approved.
func carryOut(in Input, plan Plan) {
	for _, id := range append(plan.Revoke, plan.Hold.People...) {
		delete(in.Held, id)
	}
	for _, w := range append(plan.Make, plan.Amend...) {
		g := in.Held[w.Person.ID]
		if g.Standing != Preserved {
			g.Standing = Holds
		}
		g.Person, g.Email, g.For = w.Person.ID, w.Email, w.For
		in.Held[w.Person.ID] = g
	}
}

func TestIntegrationSaysEveryMistakeAtOnce(t *testing.T) {
	err := Integration{EmailProperty: "upn", Target: Target{Type: "door", ID: -1}, RemovalLimit: Limit{Percent: 120}}.Check()
	for _, field := range []string{
		"name", "entra_connection_id", "entra_group_id", "kisi_connection_id", "target.type", "target.id",
		"email_property", "existing_access", "disabled_accounts", "removal_limit.percent",
	} {
		if err == nil || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("no word of %s in:\n%v", field, err)
		}
	}
}

func TestNamesAreReadBack(t *testing.T) {
	target := Target{Connection: "kisi", Type: TargetTeam, ID: 7}
	w := ApplyOf(target, "ada", Revoke, ByPull, now)
	kind, name, err := ParseKey(w.Key())
	if err != nil || kind != Apply {
		t.Fatalf("ParseKey(%q) = %v, %v", w.Key(), kind, err)
	}
	gotTarget, person, err := ParseApply(name)
	if err != nil || gotTarget != target || person != "ada" {
		t.Errorf("ParseApply(%q) = %v, %q, %v", name, gotTarget, person, err)
	}
	group := Group{Connection: "tenant", ID: "2e58"}
	if got, err := ParseGroup(group.String()); err != nil || got != group {
		t.Errorf("ParseGroup(%q) = %v, %v", group, got, err)
	}
	for _, bad := range []string{"", "pull", "pull:"} {
		if _, _, err := ParseKey(bad); err == nil {
			t.Errorf("ParseKey(%q) is content", bad)
		}
	}
}

func FuzzEmail(f *testing.F) {
	for _, s := range []string{"ada@contoso.example", "", "Ada <ada@contoso.example>", "a#EXT#@x", "@", "a@b@c", "ä@ö.example", "a b@c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		address, why := Person{UPN: s}.Email(EmailUPN)
		if (address == "") == (why == "") {
			t.Errorf("Email of %q = %q and %q, want one of them", s, address, why)
		}
	})
}
