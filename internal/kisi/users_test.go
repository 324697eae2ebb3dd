package kisi_test

import (
	"slices"
	"strings"
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

func TestWhoamiTellsWhoseKeyItIs(t *testing.T) {
	_, c := organization(t, kisisim.Options{})
	got, err := c.Whoami(t.Context(), access.Look)
	want := kisi.Caller{
		ID: 71, Email: "bridge@contoso.example", Name: "Kisi Bridge",
		Organization: kisi.Organization{ID: 12, Name: "Contoso", Domain: "contoso"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Whoami: %v (-want +got):\n%s", err, diff)
	}
}

func TestAWrongKeyIsDenied(t *testing.T) {
	sim := kisisim.New(kisisim.Options{})
	c := client(t, kisi.Options{APIKey: "another", Transport: graphsim.RoundTripper(sim)})
	if _, err := c.Whoami(t.Context(), access.Look); !fault.Is(err, fault.Denied) {
		t.Errorf("got %v, want denied", err)
	}
}

func TestFindUserTakesOnlyTheAddressThatWasAskedFor(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	sim.AddUser("ada@contoso.example.evil", "Not Ada")
	sim.AddUser("nada@contoso.example", "Nada")
	ada := sim.AddUser("Ada@Contoso.example", "Ada Byron")

	got, found, err := c.FindUser(t.Context(), access.Allow, " ADA@contoso.example ")
	want := access.User{ID: ada, Email: "Ada@Contoso.example", Name: "Ada Byron"}
	if diff := cmp.Diff(want, got); diff != "" || !found || err != nil {
		t.Errorf("FindUser: %v, %v (-want +got):\n%s", found, err, diff)
	}
	for _, email := range []string{"da@contoso.example", "ada@contoso"} {
		if got, found, err := c.FindUser(t.Context(), access.Allow, email); found || err != nil {
			t.Errorf("FindUser(%s) = %v, %v; want nobody", email, got, err)
		}
	}
}

func TestFindUserLeavesTwinsToAPerson(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	sim.AddUser("ada@contoso.example", "Ada")
	sim.AddUser("ADA@contoso.example", "Ada")
	_, found, err := c.FindUser(t.Context(), access.Allow, "ada@contoso.example")
	if found || !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "two Kisi users bear this address") {
		t.Errorf("got %v, %v; want invalid, for there are two", found, err)
	}
}

func TestFindUserDoesNotTrustAnIgnoredFilter(t *testing.T) {
	sim, c := organization(t, kisisim.Options{IgnoreFilters: true})
	populate(sim, sim.AddGroup("HQ"), 101)
	if _, _, err := c.FindUser(t.Context(), access.Allow, "p00100@contoso.example"); !fault.Is(err, fault.Bug) {
		t.Errorf("got %v, want a bug: the one asked for is on page two", err)
	}
	if _, found, err := c.FindUser(t.Context(), access.Allow, "p00007@contoso.example"); !found || err != nil {
		t.Errorf("got %v, %v; want the one who is on the page all the same", found, err)
	}
}

func TestFindUserWithoutAnAddressAsksNobody(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	if _, _, err := c.FindUser(t.Context(), access.Allow, " "); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v, want invalid", err)
	}
	if n := sim.Calls(""); n != 0 {
		t.Errorf("%d calls, want none", n)
	}
}

func TestUserIsMissingWhenGone(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	id := sim.AddUser("ada@contoso.example", "Ada Byron")
	got, err := c.User(t.Context(), access.Allow, id)
	if diff := cmp.Diff(access.User{ID: id, Email: "ada@contoso.example", Name: "Ada Byron"}, got); diff != "" || err != nil {
		t.Errorf("User: %v (-want +got):\n%s", err, diff)
	}
	sim.RemoveUser(id)
	if _, err := c.User(t.Context(), access.Allow, id); !fault.Is(err, fault.Missing) {
		t.Errorf("got %v, want missing", err)
	}
}

func TestCreateUserDecidesAboutMailForGood(t *testing.T) {
	for _, tc := range []struct {
		name                string
		silent              bool
		sendEmails, confirm bool
	}{
		{"somebody who signs in", false, true, false},
		{"somebody who never hears of it", true, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sim, c := organization(t, kisisim.Options{})
			got, err := c.CreateUser(t.Context(), access.Import, access.NewUser{
				Email: "ada@contoso.example", Name: "Ada Byron", Person: "8a2c", Silent: tc.silent,
			})
			if err != nil {
				t.Fatal(err)
			}
			made := sim.Users()[0]
			if diff := cmp.Diff(access.User{ID: made.ID, Email: "ada@contoso.example", Name: "Ada Byron"}, got); diff != "" {
				t.Errorf("CreateUser (-want +got):\n%s", diff)
			}
			if made.SendEmails != tc.sendEmails || made.Confirm != tc.confirm {
				t.Errorf("send_emails %v, confirm %v; want %v, %v", made.SendEmails, made.Confirm, tc.sendEmails, tc.confirm)
			}
			if diff := cmp.Diff(map[string]any{"entra_object_id": "8a2c"}, made.Metadata); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCreateUserClashesWithAnAddressThatExists(t *testing.T) {
	for name, o := range map[string]kisisim.Options{"409": {}, "422": {RefuseBy422: true}} {
		t.Run(name, func(t *testing.T) {
			sim, c := organization(t, o)
			sim.AddUser("Ada@contoso.example", "Ada")
			_, err := c.CreateUser(t.Context(), access.Import, access.NewUser{Email: "ada@contoso.example"})
			if !fault.Is(err, fault.Clash) {
				t.Errorf("got %v, want a clash", err)
			}
		})
	}
}

func TestCreateUserSaysWhyKisiRefusesAnAddress(t *testing.T) {
	_, c := organization(t, kisisim.Options{Blacklist: []string{"bounced@contoso.example"}})
	_, err := c.CreateUser(t.Context(), access.Import, access.NewUser{Email: "bounced@contoso.example", Person: "8a2c"})
	want := "kisi: create the user of 8a2c: Kisi answered 422: email can't be blank or invalid"
	if !fault.Is(err, fault.Invalid) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAnswersAboutSomebodyElseAreNotTaken(t *testing.T) {
	stranger := scripted(t, answer{status: 200, body: `{"id":13,"email":"eve@contoso.example"}`})
	if got, err := stranger.User(t.Context(), access.Allow, 12); !fault.Is(err, fault.Busy) {
		t.Errorf("User = %v, %v; want busy", got, err)
	}
	if got, err := stranger.CreateUser(t.Context(), access.Allow, access.NewUser{Email: "ada@contoso.example"}); !fault.Is(err, fault.Unknown) {
		t.Errorf("CreateUser = %v, %v; want unknown", got, err)
	}
	if got, err := stranger.Grant(t.Context(), access.Allow, doors, 12, true); !fault.Is(err, fault.Unknown) {
		t.Errorf("Grant = %v, %v; want unknown", got, err)
	}
	nameless := scripted(t, answer{status: 200, body: `{}`})
	if got, err := nameless.Whoami(t.Context(), access.Look); !fault.Is(err, fault.Busy) {
		t.Errorf("Whoami = %v, %v; want busy", got, err)
	}
	if got, err := nameless.CreateUser(t.Context(), access.Allow, access.NewUser{}); !fault.Is(err, fault.Unknown) {
		t.Errorf("CreateUser = %v, %v; want unknown", got, err)
	}
}

func TestAUserWhomSearchesMissCanBeUsedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, c := organization(t, kisisim.Options{SearchLag: 3 * time.Second})
		hq := sim.AddGroup("HQ")
		made, err := c.CreateUser(t.Context(), access.Allow, access.NewUser{Email: "ada@contoso.example"})
		if err != nil {
			t.Fatal(err)
		}
		if _, found, err := c.FindUser(t.Context(), access.Allow, "ada@contoso.example"); found || err != nil {
			t.Errorf("found %v, %v; want the search to lag", found, err)
		}
		if _, err := c.CreateUser(t.Context(), access.Allow, access.NewUser{Email: "ada@contoso.example"}); !fault.Is(err, fault.Clash) {
			t.Errorf("got %v, want a clash with whom the search does not show", err)
		}
		if _, err := c.Grant(t.Context(), access.Allow, group(hq), made.ID, true); err != nil {
			t.Errorf("got %v, want the id to do", err)
		}
		time.Sleep(3 * time.Second)
		if got, found, err := c.FindUser(t.Context(), access.Allow, "ada@contoso.example"); !found || got.ID != made.ID || err != nil {
			t.Errorf("got %v, %v, %v; want user %d", got, found, err, made.ID)
		}
	})
}

func TestAUserIsLockedWhenEitherSwitchIsOff(t *testing.T) {
	for _, tc := range []struct {
		body string
		want bool
	}{
		{`{"id":12}`, false},
		{`{"id":12,"access_enabled":null,"scim_access_enabled":null}`, false},
		{`{"id":12,"access_enabled":true,"scim_access_enabled":true}`, false},
		{`{"id":12,"access_enabled":false,"scim_access_enabled":true}`, true},
		{`{"id":12,"access_enabled":true,"scim_access_enabled":false}`, true},
	} {
		got, err := scripted(t, answer{status: 200, body: tc.body}).User(t.Context(), access.Look, 12)
		if got.Locked != tc.want || err != nil {
			t.Errorf("%s: locked %v, %v; want %v", tc.body, got.Locked, err, tc.want)
		}
	}
}

func TestUsersByIDAreReadAHundredAtATime(t *testing.T) {
	for _, tc := range []struct{ people, calls int }{{0, 0}, {1, 1}, {99, 1}, {100, 1}, {101, 2}, {250, 3}} {
		sim, c := organization(t, kisisim.Options{})
		populate(sim, sim.AddGroup("HQ"), 300)
		var ids []int
		var want []access.User
		for _, u := range sim.Users()[:tc.people] {
			ids = append(ids, u.ID)
			want = append(want, access.User{ID: u.ID, Email: u.Email, Name: u.Name})
		}
		slices.Reverse(ids)
		got, err := c.UsersByID(t.Context(), access.Look, append(ids, ids...))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%d people: %v (-want +got):\n%s", tc.people, err, diff)
		}
		if n := sim.Calls("GET /users"); n != tc.calls {
			t.Errorf("%d people: %d calls, want %d", tc.people, n, tc.calls)
		}
	}
}

func TestUsersByIDLeavesOutWhoIsGoneAndShowsWhoIsLocked(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	ada, bob := sim.AddUser("ada@contoso.example", "Ada"), sim.AddUser("bob@contoso.example", "Bob")
	sim.SetUserFlags(bob, false, true)
	eve := sim.AddUser("eve@contoso.example", "Eve")
	sim.RemoveUser(eve)
	got, err := c.UsersByID(t.Context(), access.Look, []int{eve, bob, ada})
	want := []access.User{
		{ID: ada, Email: "ada@contoso.example", Name: "Ada"},
		{ID: bob, Email: "bob@contoso.example", Name: "Bob", Locked: true},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("UsersByID: %v (-want +got):\n%s", err, diff)
	}
}

func TestUsersByIDDoesNotTrustAnIgnoredFilter(t *testing.T) {
	sim, c := organization(t, kisisim.Options{IgnoreFilters: true})
	ada := sim.AddUser("ada@contoso.example", "Ada")
	sim.AddUser("bob@contoso.example", "Bob")
	if got, err := c.UsersByID(t.Context(), access.Look, []int{ada}); !fault.Is(err, fault.Bug) || got != nil {
		t.Errorf("got %v, %v; want a bug, for nobody asked for Bob", got, err)
	}
	if _, err := c.UsersByID(t.Context(), access.Look, []int{ada, 0}); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v, want invalid: 0 is nobody", err)
	}
}

func TestRenameChangesTheNameOnly(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	ada, ctx := sim.AddUser("ada@contoso.example", "Ada"), t.Context()
	before := sim.Users()[0]
	if err := c.Rename(ctx, access.Look, ada, " Ada Byron "); err != nil {
		t.Fatal(err)
	}
	before.Name = "Ada Byron"
	if diff := cmp.Diff(before, sim.Users()[0]); diff != "" {
		t.Errorf("the user (-want +got):\n%s", diff)
	}
	if err := c.Rename(ctx, access.Look, 9999, "Nobody"); !fault.Is(err, fault.Missing) {
		t.Errorf("somebody who is gone: %v, want missing", err)
	}
	for id, name := range map[int]string{0: "Nobody", ada: " "} {
		if err := c.Rename(ctx, access.Look, id, name); !fault.Is(err, fault.Invalid) {
			t.Errorf("Rename(%d, %q): %v, want invalid", id, name, err)
		}
	}
}
