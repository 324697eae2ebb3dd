package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/redistest"
	"kisibridge/internal/store"
)

func group(id string) access.Group { return access.Group{Connection: "tenant", ID: id} }

func TestRulesAreFoundByWhatTheyServe(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, other, ctx := open(t, c), open(t, c), t.Context()
		if r := must[*store.Rules](t)(other.Rules(ctx)); len(r.All) != 0 {
			t.Fatalf("%d rules in an empty store", len(r.All))
		}
		for _, i := range []access.Integration{
			{ID: "deep", Group: group("root"), Target: doors, Membership: access.Transitive},
			{ID: "flat", Group: group("root"), Target: access.Target{Connection: "kisi", Type: access.TargetTeam, ID: 7}},
		} {
			if err := s.AddIntegration(ctx, i); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.SaveNested(ctx, group("root"), 0, []string{"in1", "in2"}, map[string]bool{"in2": true}); err != nil {
			t.Fatal(err)
		}
		if err := s.SaveNested(ctx, group("root"), 0, []string{"in3"}, nil); !fault.Is(err, fault.Clash) {
			t.Errorf("inner groups gathered before somebody else's got %v, want a clash", err)
		}
		r := must[*store.Rules](t)(other.Rules(ctx)) // what one process changes, the other sees
		ids := func(of []access.Integration) string {
			var all []string
			for _, i := range of {
				all = append(all, i.ID)
			}
			return fmt.Sprint(all)
		}
		for _, tc := range []struct{ what, got, want string }{
			{"root", ids(r.OfGroup(group("root"))), "[deep flat]"},
			{"an inner group", ids(r.OfGroup(group("in2"))), "[deep]"},
			{"an unused group", ids(r.OfGroup(group("in3"))), "[]"},
			{"the doors", ids(r.OfTarget(doors)), "[deep]"},
			{"all groups", fmt.Sprint(r.Groups()), "[tenant/in1 tenant/in2 tenant/root]"},
			{"read by deep", fmt.Sprint(r.Reads(r.All[0])), "[tenant/root tenant/in1 tenant/in2]"},
			{"lost", fmt.Sprint(r.Lost(group("root"), group("in1")), r.Lost(group("root"), group("in2"))), "false true"},
			{"read by flat", fmt.Sprint(r.Reads(r.All[1])), "[tenant/root]"},
		} {
			if tc.got != tc.want {
				t.Errorf("%s: %s, want %s", tc.what, tc.got, tc.want)
			}
		}
		if err := s.DropNested(ctx, group("root")); err != nil {
			t.Fatal(err)
		}
		if err := s.RemoveIntegration(ctx, "flat"); err != nil {
			t.Fatal(err)
		}
		r = must[*store.Rules](t)(other.Rules(ctx))
		if got := ids(r.All) + fmt.Sprint(r.Groups()); got != "[deep][tenant/root]" {
			t.Errorf("after the removal: %s, want deep and its group", got)
		}
	})
}

func TestVerdictsAreWrittenOnlyOverWhatWasRead(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		empty := must[store.Verdicts](t)(s.Verdicts(ctx, doors))
		say := map[string]access.Verdict{
			"ada": {State: access.Waits, At: now}, "632fa1b2-0000-4000-8000-00000000000a": {State: access.Released, At: now, By: "eve of security"},
		}
		saved := must[store.Verdicts](t)(s.SaveVerdicts(ctx, doors, empty, say, "26 of 30"))
		if _, err := s.SaveVerdicts(ctx, doors, empty, say, ""); !fault.Is(err, fault.Clash) {
			t.Errorf("a second pass got %v, want a clash", err)
		}
		got := must[store.Verdicts](t)(s.Verdicts(ctx, doors))
		if diff := cmp.Diff(saved, got, cmpopts.EquateApproxTime(time.Millisecond)); diff != "" {
			t.Errorf("verdicts (-saved +got):\n%s", diff)
		}
		if diff := cmp.Diff(say, got.Of); diff != "" {
			t.Errorf("verdicts (-said +got):\n%s", diff)
		}
		if h := got.Hold(); h.Why != "26 of 30" || !slices.Equal(h.People, []string{"ada"}) || h.Since.IsZero() {
			t.Errorf("the hold is %+v, want ada's", h)
		}
		got = must[store.Verdicts](t)(s.SaveVerdicts(ctx, doors, got, map[string]access.Verdict{"ada": {}}, ""))
		if h := got.Hold(); h.Why != "" || len(h.People) != 0 {
			t.Errorf("the hold is %+v, want none", h)
		}
		if again := must[store.Verdicts](t)(s.Verdicts(ctx, doors)); len(again.Of) != 1 || again.Rev != 2 {
			t.Errorf("verdicts are %+v, want the released one, revision 2", again)
		}
	})
}

func TestAnEntryOfTheLedgerIsReadBackWhole(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		for k, g := range []access.Grant{
			{Person: "632fa1b2-0000-4000-8000-00000000000a"},
			{Person: "632FA1B2-0000-4000-8000-00000000000A", Email: "a\tb@contoso.example"},
			{
				Person: "ada", Email: "ada@contoso.example", User: 12, Row: 9001, Standing: access.Preserved, For: []string{"hq", "lab"},
				Adopted: true, Name: "Ada", Cause: access.ByNotice | access.BySweep, Since: now, Why: "tab\tand | bar",
				Old: &access.Holding{Email: "old@contoso.example", User: 1, Row: 2}, Intent: &access.Intent{Op: access.ToClear, Process: "p1", At: now},
			},
		} {
			g = must[access.Grant](t)(s.SaveGrant(ctx, doors, g))
			got := must[map[string]access.Grant](t)(s.Grants(ctx, doors, g.Person))[g.Person]
			if k == 1 {
				g.Email = "a b@contoso.example" // a tab is no part of an address
			}
			if diff := cmp.Diff(g, got); diff != "" {
				t.Errorf("entry %d (-want +got):\n%s", k, diff)
			}
		}
		if n := must[int](t)(s.Holders(ctx, doors)); n != 1 {
			t.Errorf("%d people hold a grant, want the one who holds an old one", n)
		}
	})
}

func TestWhoseDetailsChangedIsMarkedInTheirGroups(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		for _, g := range []string{"a", "b"} {
			must[int64](t)(s.SaveMembership(ctx, group(g), 0, access.Changes{Joined: []access.Member{{ID: "ada", Kind: access.KindUser}, {ID: "in", Kind: access.KindGroup}}}, now))
		}
		must[int64](t)(s.SaveMembership(ctx, group("b"), 1, access.Changes{Left: []string{"ada"}}, now))
		before := must[store.Membership](t)(s.Membership(ctx, group("a")))
		in := must[[]access.Group](t)(s.MarkChanged(ctx, []access.Group{group("a"), group("b")}, []string{"ada", "in", "nobody"}))
		if fmt.Sprint(in) != "[tenant/a]" {
			t.Errorf("marked in %v, want a alone", in)
		}
		after := must[store.Membership](t)(s.Membership(ctx, group("a")))
		if after.Rev == before.Rev || after.Edition == before.Edition {
			t.Errorf("the group is at %d/%s as before, so that a pull that runs could take the mark for settled", after.Rev, after.Edition)
		}
		if inner := must[[]string](t)(s.Inner(ctx, group("a"))); !slices.Equal(inner, []string{"in"}) {
			t.Errorf("inner groups %v, want in", inner)
		}
	})
}

func TestOneLookTellsWhomNotificationsAreAbout(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		if err := s.UseGroup(ctx, group("a")); err != nil {
			t.Fatal(err)
		}
		must[[]string](t)(s.SavePeople(ctx, "tenant", []access.Person{{ID: "ada", Name: "Ada"}}, now))
		used, known, err := s.Known(ctx, []access.Group{group("x"), group("a")}, []access.Group{group("ada"), group("bob")})
		if err != nil || fmt.Sprint(used, known) != "[false true] [true false]" {
			t.Errorf("used %v, known %v, %v; want a and ada", used, known, err)
		}
		var all []string
		err = s.EachKnown(ctx, "tenant", func(ids []string) error { all = append(all, ids...); return nil })
		if err != nil || fmt.Sprint(all) != "[ada]" {
			t.Errorf("known are %v, %v; want ada", all, err)
		}
	})
}

func TestTheAuditTrailIsReadInOrderAndFromAnywhere(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		for k := range 1203 {
			if err := s.AddEvent(ctx, store.Event{At: now, What: "granted", Count: k}); err != nil {
				t.Fatal(err)
			}
		}
		read := func(after string) (events []store.Event) {
			if err := s.EachEvent(ctx, after, func(e store.Event) bool { events = append(events, e); return true }); err != nil {
				t.Fatal(err)
			}
			return events
		}
		all := read("")
		if len(all) != 1203 || all[1202].Count != 1202 {
			t.Fatalf("%d events, want 1,203 in order", len(all))
		}
		if rest := read(all[1200].ID); len(rest) != 2 || rest[0].Count != 1201 {
			t.Errorf("after the 1,201st come %+v, want two", rest)
		}
	})
}

func TestAKisiUserStandsForEverybodyWhoSharesTheAddress(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		for _, person := range []string{"bob", "ada", "bob"} {
			if err := s.Meet(ctx, "kisi", 12, person); err != nil {
				t.Fatal(err)
			}
		}
		if got := must[[]string](t)(s.Met(ctx, "kisi", 12)); !slices.Equal(got, []string{"ada", "bob"}) {
			t.Errorf("user 12 is %v, want ada and bob", got)
		}
		if got := must[[]string](t)(s.Met(ctx, "kisi", 13)); len(got) != 0 {
			t.Errorf("user 13 is %v, want nobody", got)
		}
	})
}

func TestAnOldReadingOfAPersonUndoesNothingNewer(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		save := func(name string, began time.Time) string {
			return fmt.Sprint(must[[]string](t)(s.SavePeople(ctx, "tenant", []access.Person{{ID: "ada", Name: name}}, began)))
		}
		if got := save("new", now); got != "[]" {
			t.Errorf("refused %s, want nobody", got)
		}
		if got := save("old", now.Add(-time.Second)); got != "[ada]" {
			t.Errorf("an older reading refused %s, want ada", got)
		}
		if err := s.Touch(ctx, "tenant", []string{"ada"}, now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if got := save("in between", now.Add(time.Second)); got != "[ada]" {
			t.Errorf("a reading from before a change refused %s, want ada", got)
		}
		if got := must[map[string]access.Person](t)(s.People(ctx, "tenant", []string{"ada"}))["ada"].Name; got != "new" {
			t.Errorf("ada is %s, want as read last", got)
		}
		if got := save("newest", now.Add(time.Hour)); got != "[]" {
			t.Errorf("refused %s, want nobody", got)
		}
	})
}
