package kisi_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisi"
	"kisibridge/internal/kisisim"
)

func TestAccessIsGivenListedAndTaken(t *testing.T) {
	for _, kind := range []string{access.TargetGroup, access.TargetTeam} {
		t.Run(kind, func(t *testing.T) {
			sim, c := organization(t, kisisim.Options{})
			target := group(sim.AddGroup("HQ"))
			holders := func() []string { return sim.Holders(target.ID) }
			if kind == access.TargetTeam {
				target = team(sim.AddTeam("Night shift"))
				holders = func() []string { return sim.TeamMembers(target.ID) }
			}
			ada, ctx := sim.AddUser("ada@contoso.example", "Ada"), t.Context()
			bob := sim.AddUser("bob@contoso.example", "Bob")
			if _, err := c.Grant(ctx, access.Allow, target, bob, true); err != nil {
				t.Fatal(err)
			}

			row, err := c.Grant(ctx, access.Allow, target, ada, true)
			if err != nil || row.ID == 0 || row.User != ada {
				t.Fatalf("Grant = %v, %v; want a row of user %d", row, err, ada)
			}
			if _, err := c.Grant(ctx, access.Allow, target, ada, true); !fault.Is(err, fault.Clash) {
				t.Errorf("a second Grant: %v, want a clash", err)
			}
			rows, err := c.Rows(ctx, access.Look, target, ada)
			if diff := cmp.Diff([]access.Row{row}, rows); diff != "" || err != nil {
				t.Errorf("Rows: %v (-want +got):\n%s", err, diff)
			}
			if err := c.Revoke(ctx, access.Revoke, target, row.ID); err != nil {
				t.Errorf("Revoke: %v", err)
			}
			if err := c.Revoke(ctx, access.Revoke, target, row.ID); !fault.Is(err, fault.Missing) {
				t.Errorf("a second Revoke: %v, want missing", err)
			}
			rows, err = c.Rows(ctx, access.Look, target, ada)
			if len(rows) != 0 || err != nil {
				t.Errorf("Rows = %v, %v; want none", rows, err)
			}
			if diff := cmp.Diff([]string{"bob@contoso.example"}, holders()); diff != "" {
				t.Errorf("holders (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAGrantIsBasicForGoodAndMailsOnlyWhenAsked(t *testing.T) {
	for _, notify := range []bool{true, false} {
		sim, c := organization(t, kisisim.Options{})
		hq, ada := sim.AddGroup("HQ"), sim.AddUser("ada@contoso.example", "Ada")
		row, err := c.Grant(t.Context(), access.Allow, group(hq), ada, notify)
		if err != nil {
			t.Fatal(err)
		}
		got := sim.Assignments()[0]
		got.CreatedAt = time.Time{}
		want := kisisim.Assignment{
			ID: row.ID, RoleID: "group_basic", AppliesToType: "Group", AppliesToID: hq,
			AssigneeType: "User", AssigneeID: ada, Notify: notify, CreatedByType: "User", CreatedByID: 71,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("assignment (-want +got):\n%s", diff)
		}
		if mails := len(sim.Mails()); mails != 1 == notify {
			t.Errorf("%d mails with notify %v", mails, notify)
		}
	}
}

func TestAGrantSaysThatUserOrTargetIsGone(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	hq, night := sim.AddGroup("HQ"), sim.AddTeam("Night shift")
	ada := sim.AddUser("ada@contoso.example", "Ada")
	for _, tc := range []struct {
		name   string
		target access.Target
		user   int
	}{
		{"no such user, group", group(hq), 9999},
		{"no such user, team", team(night), 9999},
		{"no such group", group(9999), ada},
		{"no such team", team(9999), ada},
	} {
		if _, err := c.Grant(t.Context(), access.Allow, tc.target, tc.user, true); !fault.Is(err, fault.Missing) {
			t.Errorf("%s: got %v, want missing", tc.name, err)
		}
	}
}

func TestWhatIsNotOursIsNeverShown(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	hq, lab := sim.AddGroup("HQ"), sim.AddGroup("Lab")
	sim.AddClutter(hq)
	populate(sim, lab, 3)
	var manager int
	for _, u := range sim.Users() {
		if u.Email == "manager@contoso.example" {
			manager = u.ID
		}
	}
	ada := sim.AddUser("ada@contoso.example", "Ada")
	ours := sim.AddAssignment(kisisim.Assignment{AppliesToID: hq, AssigneeID: ada})
	tomorrow := time.Now().Add(24 * time.Hour)
	eve := sim.AddUser("eve@contoso.example", "Eve")
	sim.AddAssignment(kisisim.Assignment{AppliesToID: hq, AssigneeID: eve, ValidFrom: &tomorrow})
	kim := sim.AddUser("kim@contoso.example", "Kim")
	visit := sim.AddAssignment(kisisim.Assignment{AppliesToID: hq, AssigneeID: kim, ValidUntil: &tomorrow})

	var got []access.Row
	err := c.EachRow(t.Context(), access.Look, group(hq), func(page []access.Row, _ int) bool {
		got = append(got, page...)
		return true
	})
	want := []access.Row{{ID: ours, User: ada, Email: "ada@contoso.example"}, {ID: visit, User: kim, Email: "kim@contoso.example"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("EachRow: %v (-want +got):\n%s", err, diff)
	}
	for user, want := range map[int][]access.Row{manager: nil, eve: nil, ada: {want[0]}} {
		got, err := c.Rows(t.Context(), access.Look, group(hq), user)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Rows of %d: %v (-want +got):\n%s", user, err, diff)
		}
	}
}

func TestARowBearsAnEmailWhereTheListTellsIt(t *testing.T) {
	const assignment = `[{"id":1,"role_id":"group_basic","applies_to_type":"Group","applies_to_id":45,"assignee_type":"User","assignee_id":12`
	const membership = `[{"id":1,"team_id":45,"member_type":"User","member_id":12`
	for _, tc := range []struct {
		name, list, party, want string
		target                  access.Target
	}{
		{"an assignee", assignment, `,"assignee":{"id":12,"email":"ada@contoso.example"}`, "ada@contoso.example", group(45)},
		{"no assignee", assignment, ``, "", group(45)},
		{"somebody else", assignment, `,"assignee":{"id":13,"email":"eve@contoso.example"}`, "", group(45)},
		{"a null", assignment, `,"assignee":null`, "", group(45)},
		{"a name", assignment, `,"assignee":"Ada"`, "", group(45)},
		{"a member", membership, `,"member":{"id":12,"email":"ada@contoso.example"}`, "ada@contoso.example", team(45)},
		{"no member", membership, ``, "", team(45)},
	} {
		c := scripted(t, answer{
			status: 200, body: tc.list + tc.party + "}]", header: map[string]string{"X-Collection-Range": "0-249/1"},
		})
		got, err := c.Rows(t.Context(), access.Look, tc.target, 12)
		if diff := cmp.Diff([]access.Row{{ID: 1, User: 12, Email: tc.want}}, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", tc.name, err, diff)
		}
	}
}

func TestExpiredAccessIsNoAccessAndMayBeInTheWay(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	hq, ada := sim.AddGroup("HQ"), sim.AddUser("ada@contoso.example", "Ada")
	past := time.Now().Add(-time.Hour)
	sim.AddAssignment(kisisim.Assignment{AppliesToID: hq, AssigneeID: ada, ValidUntil: &past})
	if _, err := c.Grant(t.Context(), access.Allow, group(hq), ada, true); !fault.Is(err, fault.Clash) {
		t.Errorf("got %v, want a clash", err)
	}
	if rows, err := c.Rows(t.Context(), access.Allow, group(hq), ada); len(rows) != 0 || err != nil {
		t.Errorf("got %v, %v; want none", rows, err)
	}
}

func TestInAWorldOfDuplicatesAllAreShown(t *testing.T) {
	// The police of the stand-in is off duty: here Kisi makes the second one.
	sim := kisisim.New(kisisim.Options{Rate: -1, DoubleAssignments: true})
	c := client(t, kisi.Options{APIKey: kisisim.DefaultAPIKey, Transport: graphsim.RoundTripper(sim)})
	hq, ada := sim.AddGroup("HQ"), sim.AddUser("ada@contoso.example", "Ada")
	var want []access.Row
	for range 2 {
		row, err := c.Grant(t.Context(), access.Allow, group(hq), ada, false)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, row)
	}
	got, err := c.Rows(t.Context(), access.Allow, group(hq), ada)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Rows: %v (-want +got):\n%s", err, diff)
	}
}

func TestAnIgnoredFilterStopsEverything(t *testing.T) {
	sim, c := organization(t, kisisim.Options{IgnoreFilters: true})
	hq, lab := sim.AddGroup("HQ"), sim.AddGroup("Lab")
	night, day := sim.AddTeam("Night shift"), sim.AddTeam("Day shift")
	ada, bob := sim.AddUser("ada@contoso.example", "Ada"), sim.AddUser("bob@contoso.example", "Bob")
	sim.AddAssignment(kisisim.Assignment{AppliesToID: lab, AssigneeID: ada})
	sim.AddMembership(day, bob)
	for _, target := range []access.Target{group(hq), team(night)} {
		if rows, err := c.Rows(t.Context(), access.Look, target, ada); rows != nil || !fault.Is(err, fault.Bug) {
			t.Errorf("Rows of %v = %v, %v; want a bug", target, rows, err)
		}
		err := c.EachRow(t.Context(), access.Look, target, func(page []access.Row, _ int) bool {
			t.Errorf("%v was shown", page)
			return true
		})
		if !fault.Is(err, fault.Bug) {
			t.Errorf("EachRow of %v: %v, want a bug", target, err)
		}
	}
}

func TestWhatGivesNoAccessIsNotAskedFor(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	people := access.Target{Connection: "acme", Type: access.TargetUsers}
	ctx := t.Context()
	rows := func(target access.Target, user int) error {
		_, err := c.Rows(ctx, access.Look, target, user)
		return err
	}
	give := func(target access.Target, user int) error {
		_, err := c.Grant(ctx, access.Allow, target, user, true)
		return err
	}
	for name, err := range map[string]error{
		"the access of users only":     rows(people, 12),
		"all access of users only":     c.EachRow(ctx, access.Look, people, nil),
		"a grant to users only":        give(people, 12),
		"a revocation from users only": c.Revoke(ctx, access.Revoke, people, 4711),
		"a group without a number":     rows(group(0), 12),
		"the access of nobody":         rows(doors, 0),
		"a grant to nobody":            give(doors, 0),
		"a revocation of nothing":      c.Revoke(ctx, access.Revoke, doors, 0),
	} {
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v, want invalid", name, err)
		}
	}
	if n := sim.Calls(""); n != 0 {
		t.Errorf("%d calls, want none", n)
	}
}

func TestALostAnswerIsUnknownAndTheWriteTookEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, c := organization(t, kisisim.Options{})
		hq, ada := sim.AddGroup("HQ"), sim.AddUser("ada@contoso.example", "Ada")
		ctx := t.Context()

		sim.SetFault(kisisim.Fault{Route: "POST /role_assignments", Lost: true, Times: 1})
		if _, err := c.Grant(ctx, access.Allow, group(hq), ada, true); !fault.Is(err, fault.Unknown) {
			t.Errorf("Grant: %v, want unknown", err)
		}
		rows, err := c.Rows(ctx, access.Allow, group(hq), ada)
		if len(rows) != 1 || err != nil {
			t.Fatalf("Rows = %v, %v; want the grant that nobody was told of", rows, err)
		}

		sim.SetFault(kisisim.Fault{Route: "DELETE /role_assignments", Lost: true, Hang: time.Hour, Times: 1})
		began := time.Now()
		err = c.Revoke(ctx, access.Revoke, group(hq), rows[0].ID)
		if !fault.Is(err, fault.Unknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Revoke: %v, want unknown, for the time was over", err)
		}
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("gave up after %v, want 20s", took)
		}
		if sim.Opens(hq, "ada@contoso.example") {
			t.Error("Ada opens doors")
		}
		if err := c.Revoke(ctx, access.Revoke, group(hq), rows[0].ID); !fault.Is(err, fault.Missing) {
			t.Errorf("Revoke again: %v, want missing", err)
		}
	})
}

func TestAKisiThatHangsIsGivenUpOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := kisisim.New(kisisim.Options{Rate: -1})
		c := client(t, kisi.Options{
			APIKey: kisisim.DefaultAPIKey, Transport: graphsim.RoundTripper(sim), Timeout: 3 * time.Second,
		})
		sim.SetFault(kisisim.Fault{Hang: time.Hour})
		began := time.Now()
		if _, err := c.Whoami(t.Context(), access.Look); !fault.Is(err, fault.Busy) {
			t.Errorf("a read: %v, want busy", err)
		}
		if _, err := c.CreateUser(t.Context(), access.Import, access.NewUser{Email: "ada@contoso.example"}); !fault.Is(err, fault.Unknown) {
			t.Errorf("a write: %v, want unknown", err)
		}
		if took := time.Since(began); took != 6*time.Second {
			t.Errorf("two calls took %v, want 3 s each", took)
		}
	})
}

func TestKisiCountsAndEverybodyGoesSlower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := kisisim.New(kisisim.Options{TolerateRate: true})
		lim := &limiter{}
		c := client(t, kisi.Options{
			APIKey: kisisim.DefaultAPIKey, Transport: graphsim.RoundTripper(sim), Limiter: lim,
		})
		// The stand-in says 429 in three shapes: with a time, without a word, and without a time.
		for n := range 8 {
			_, err := c.Whoami(t.Context(), access.Look)
			want := fault.Class(-1)
			if n >= 5 {
				want = fault.Busy
			}
			if got := classOf(err); got != want {
				t.Errorf("call %d: %v, want class %v", n+1, err, want)
			}
		}
		if diff := cmp.Diff([]time.Duration{time.Second, time.Second, time.Second}, lim.slowed); diff != "" {
			t.Errorf("slowed (-want +got):\n%s", diff)
		}
	})
}
