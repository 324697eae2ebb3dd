package access_test

import (
	"fmt"
	"maps"
	"slices"
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
			Plan{Release: []string{"ada"}},
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
			Plan{Release: []string{"ada"}},
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
			Plan{Release: []string{"ada"}},
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
			tc.in.Pass = true
			if diff := cmp.Diff(tc.want, Decide(tc.in), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Decide (-want +got):\n%s", diff)
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
		for _, id := range slices.Concat(plan.Revoke, plan.Release, plan.Wait) {
			if !in.Held[id].Opens() {
				t.Fatalf("%s would lose what is not ours: %+v", id, in.Held[id])
			}
			for _, c := range in.Callers {
				if c.Integration.State == Active && c.Members[id] && c.Deleted == "" && !in.People[id].Disabled && !in.People[id].Gone &&
					(!c.Integration.NoGuests || !in.People[id].IsGuest()) {
					t.Fatalf("%s would lose access although %s calls for it", id, c.Integration.ID)
				}
			}
		}
		apply := in
		apply.Pass = false
		if p := Decide(apply); len(p.Release) > 0 || len(p.Say) > 0 && p.Why != "" {
			t.Fatalf("an apply judges: %+v", p)
		}
		carryOut(in, plan)
		carryOut(in, Decide(in)) // places that became free in a first batch
		if again := Decide(in); !again.Empty() {
			t.Fatalf("carried out, and still to do: %+v", again)
		}
	})
}

func world(t *rapid.T) Input {
	in := Input{People: map[string]Person{}, Held: map[string]Grant{}, Verdicts: map[string]Verdict{}, Now: now, Pass: true}
	for k := range rapid.IntRange(0, 12).Draw(t, "people") {
		id := fmt.Sprintf("p%d", k)
		in.People[id] = Person{
			ID: id, UPN: rapid.SampledFrom([]string{id + "@contoso.example", "", "x#EXT#@contoso.example", "new" + id + "@contoso.example"}).Draw(t, "upn"),
			Disabled: rapid.Bool().Draw(t, "disabled"), Gone: rapid.IntRange(0, 9).Draw(t, "gone") == 0,
		}
		if s := rapid.SampledFrom([]Standing{None, Holds, Preserved, Refused}).Draw(t, "standing"); s != None {
			g := Grant{Person: id, Email: id + "@contoso.example", Standing: s, For: []string{"i0"}, Since: now}
			if rapid.IntRange(0, 9).Draw(t, "old") == 0 {
				g.Old = &Holding{Email: "old" + g.Email, User: 1, Row: 2}
			}
			in.Held[id] = g
		}
		if s := rapid.SampledFrom([]string{"", "", "", Waits, Doubted, Released, Kept, Later, Early}).Draw(t, "verdict"); s != "" {
			in.Verdicts[id] = Verdict{State: s, At: now.Add(-time.Duration(rapid.IntRange(0, 30).Draw(t, "minutes")) * time.Minute), By: rapid.SampledFrom([]string{"", "somebody"}).Draw(t, "by")}
		}
	}
	in.Grants = len(in.Held)
	for k := range rapid.IntRange(1, 3).Draw(t, "integrations") {
		s := rapid.SampledFrom([]State{Active, Active, Paused, Held, Deleting}).Draw(t, "state")
		c := caller(integration(fmt.Sprintf("i%d", k), state(s)))
		c.Integration.RemovalLimit = &Limit{Count: rapid.IntRange(0, 3).Draw(t, "count")}
		c.Integration.FirstBatch = rapid.SampledFrom([]int{0, 0, 2}).Draw(t, "batch")
		c.Integration.RemovalMode = rapid.SampledFrom([]string{RemoveAtOnce, RemoveAtOnce, RemoveNever, RemoveAfter}).Draw(t, "mode")
		c.Integration.RemovalHours = 1
		c.Integration.NoGuests = rapid.Bool().Draw(t, "guests")
		c.Deleted = rapid.SampledFrom([]string{"", "", "", "deleted"}).Draw(t, "deleted")
		for _, id := range slices.Sorted(maps.Keys(in.People)) {
			c.Members[id] = rapid.Bool().Draw(t, "member")
		}
		in.Callers = append(in.Callers, c)
	}
	return in
}

// carryOut does to the ledger what a bridge does.
func carryOut(in Input, plan Plan) {
	for id, v := range plan.Say {
		in.Verdicts[id] = v
		if v.State == "" {
			delete(in.Verdicts, id)
		}
	}
	for _, id := range plan.Release {
		in.Verdicts[id] = Verdict{State: Released, At: in.Now}
	}
	for _, id := range append(plan.Revoke, plan.Release...) {
		delete(in.Held, id)
	}
	for _, w := range append(plan.Make, plan.Amend...) {
		g := in.Held[w.Person.ID]
		if g.Standing != Preserved {
			g.Standing = Holds
		}
		if w.Email != "" {
			g.Email = w.Email
		}
		g.Person, g.For, g.Old = w.Person.ID, w.For, nil
		in.Held[w.Person.ID] = g
	}
}

func TestIntegrationSaysEveryMistakeAtOnce(t *testing.T) {
	err := Integration{EmailProperty: "upn", Target: Target{Type: "door", ID: -1}, RemovalLimit: &Limit{Percent: 120}, Membership: "deep", RemovalMode: "after", FirstBatch: -1, Exclude: []string{""}}.Check()
	for _, field := range []string{
		"name", "entra_connection_id", "entra_group_id", "kisi_connection_id", "target.type", "target.id",
		"email_property", "existing_access", "disabled_accounts", "removal_limit.percent", "membership", "removal_hours", "first_batch", "exclude",
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
