package kisi_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/kisisim"
)

func TestGroupsAndTeamsAreFoundByName(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	hq, lab := sim.AddGroup("HQ doors"), sim.AddGroup("Lab")
	night := sim.AddTeam("Night shift")
	ctx := t.Context()

	for _, tc := range []struct {
		name string
		find func() ([]access.Place, error)
		want []access.Place
	}{
		{"all groups", func() ([]access.Place, error) { return c.Groups(ctx, access.Look, "") }, []access.Place{{ID: hq, Name: "HQ doors"}, {ID: lab, Name: "Lab"}}},
		{"some groups", func() ([]access.Place, error) { return c.Groups(ctx, access.Look, "hq") }, []access.Place{{ID: hq, Name: "HQ doors"}}},
		{"no group", func() ([]access.Place, error) { return c.Groups(ctx, access.Look, "roof") }, nil},
		{"teams", func() ([]access.Place, error) { return c.Teams(ctx, access.Look, "night") }, []access.Place{{ID: night, Name: "Night shift"}}},
	} {
		got, err := tc.find()
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", tc.name, err, diff)
		}
	}
	if got, err := c.Group(ctx, access.Look, hq); got != (access.Place{ID: hq, Name: "HQ doors"}) || err != nil {
		t.Errorf("Group = %v, %v", got, err)
	}
	if got, err := c.Team(ctx, access.Look, night); got != (access.Place{ID: night, Name: "Night shift"}) || err != nil {
		t.Errorf("Team = %v, %v", got, err)
	}
	if _, err := c.Team(ctx, access.Look, hq); !fault.Is(err, fault.Missing) {
		t.Errorf("a team with a group's number: %v, want missing", err)
	}
	if _, err := c.Group(ctx, access.Look, 0); !fault.Is(err, fault.Invalid) {
		t.Errorf("a group without a number: %v, want invalid", err)
	}
}

func TestMoreGroupsThanAPageAreAllFound(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	for n := range 251 {
		sim.AddGroup(fmt.Sprintf("Floor %d", n))
	}
	if got, err := c.Groups(t.Context(), access.Look, "floor"); len(got) != 251 || err != nil {
		t.Errorf("%d groups, %v; want 251", len(got), err)
	}
}

func TestATargetIsDescribedByWhatItFills(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	hq, night := sim.AddGroup("HQ doors"), sim.AddTeam("Night shift")
	for _, tc := range []struct {
		name   string
		target access.Target
		want   access.Place
		class  fault.Class
	}{
		{"a group", group(hq), access.Place{ID: hq, Name: "HQ doors"}, -1},
		{"a team", team(night), access.Place{ID: night, Name: "Night shift"}, -1},
		{"users only", access.Target{Connection: "acme", Type: access.TargetUsers}, access.Place{}, -1},
		{"a group that is gone", group(9999), access.Place{}, fault.Missing},
		{"a kind that nobody knows", access.Target{Connection: "acme", Type: "place", ID: hq}, access.Place{}, fault.Invalid},
	} {
		got, err := c.Describe(t.Context(), access.Look, tc.target)
		if got != tc.want || classOf(err) != tc.class {
			t.Errorf("%s: %v, %v; want %v and class %v", tc.name, got, err, tc.want, tc.class)
		}
	}
	if n := sim.Calls(""); n != 3 {
		t.Errorf("%d calls, want 3: users only is asked nobody about", n)
	}
}

func TestTeamsMayNotBeInThePlan(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	sim.SetFault(kisisim.Fault{Route: "GET /teams", Status: 403})
	if _, err := c.Teams(t.Context(), access.Look, ""); !fault.Is(err, fault.Denied) {
		t.Errorf("got %v, want denied", err)
	}
}
