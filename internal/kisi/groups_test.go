package kisi_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/kisi"
	"kisibridge/internal/kisisim"
)

func TestGroupsAndTeamsAreFoundByName(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	hq, lab := sim.AddGroup("HQ doors"), sim.AddGroup("Lab")
	night := sim.AddTeam("Night shift")
	ctx := t.Context()

	for _, tc := range []struct {
		name string
		find func() ([]kisi.Place, error)
		want []kisi.Place
	}{
		{"all groups", func() ([]kisi.Place, error) { return c.Groups(ctx, access.Look, "") }, []kisi.Place{{hq, "HQ doors"}, {lab, "Lab"}}},
		{"some groups", func() ([]kisi.Place, error) { return c.Groups(ctx, access.Look, "hq") }, []kisi.Place{{hq, "HQ doors"}}},
		{"no group", func() ([]kisi.Place, error) { return c.Groups(ctx, access.Look, "roof") }, nil},
		{"teams", func() ([]kisi.Place, error) { return c.Teams(ctx, access.Look, "night") }, []kisi.Place{{night, "Night shift"}}},
	} {
		got, err := tc.find()
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", tc.name, err, diff)
		}
	}
	if got, err := c.Group(ctx, access.Look, hq); got != (kisi.Place{ID: hq, Name: "HQ doors"}) || err != nil {
		t.Errorf("Group = %v, %v", got, err)
	}
	if got, err := c.Team(ctx, access.Look, night); got != (kisi.Place{ID: night, Name: "Night shift"}) || err != nil {
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

func TestImportsAreThoseThatFillTheGroupNow(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	hq, lab := sim.AddGroup("HQ"), sim.AddGroup("Lab")
	sim.AddImport(hq, "was switched off", false)
	sim.AddImport(lab, "fills the lab", true)
	id := sim.AddImport(hq, "Azure: all staff", true)

	got, err := c.Imports(t.Context(), access.Look, hq)
	want := []kisi.Import{{ID: id, Name: "Azure: all staff", Enabled: true}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Imports: %v (-want +got):\n%s", err, diff)
	}
	if _, err := c.Imports(t.Context(), access.Look, 0); !fault.Is(err, fault.Invalid) {
		t.Errorf("a group without a number: %v, want invalid", err)
	}
}

func TestOtherIntegrationsAreNoImports(t *testing.T) {
	const head = `[{"id":1,"name":"door hook","type":"event_webhook","enabled":true},
		{"id":2,"name":"off","type":"jumpcloud_user_import","enabled":false},
		{"id":3,"name":"JumpCloud","type":"jumpcloud_user_import","enabled":true,"group_id":45}`
	three := map[string]string{"X-Collection-Range": "0-249/3"}
	got, err := scripted(t, answer{status: 200, body: head + "]", header: three}).Imports(t.Context(), access.Look, 45)
	if diff := cmp.Diff([]kisi.Import{{ID: 3, Name: "JumpCloud", Enabled: true}}, got); diff != "" || err != nil {
		t.Errorf("Imports: %v (-want +got):\n%s", err, diff)
	}
	if _, err := scripted(t, answer{status: 200, body: head + "]", header: three}).Imports(t.Context(), access.Look, 46); !fault.Is(err, fault.Bug) {
		t.Errorf("an import of another group: %v, want a bug, for the filter was ignored", err)
	}
}

func TestTeamsMayNotBeInThePlan(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	sim.SetFault(kisisim.Fault{Route: "GET /teams", Status: 403})
	if _, err := c.Teams(t.Context(), access.Look, ""); !fault.Is(err, fault.Denied) {
		t.Errorf("got %v, want denied", err)
	}
}
