package kisi_test

import (
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
