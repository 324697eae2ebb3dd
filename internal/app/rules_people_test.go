package app_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/kisisim"
)

// Rules 7, 8 and 9: accounts that are switched off, and addresses.

func TestRule7ADisabledOrDeletedAccountLosesAccessInSecondsAndGetsItBack(t *testing.T) {
	// Rule 7: Graph keeps the memberships; the users subscription tells.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob", "cy", "dan")
		w.join("hq", "ada", "bob", "cy", "dan")
		w.integrate("hq")
		w.settle()
		w.disable(true, "ada")
		w.graph.DeleteUser("bob")
		w.graph.DeleteUser("cy")
		w.settle()
		w.wantDoors("hq", "dan")
		w.wantState("hq", access.Active)
		w.wantPosition("hq", "ada", access.Nothing, "disabled")
		w.wantPosition("hq", "bob", access.Nothing, "deleted")
		w.disable(false, "ada")
		w.graph.RestoreUser("bob")
		w.graph.PurgeUser("cy")
		w.settle()
		w.wantDoors("hq", "ada", "bob", "dan")
	})
}

func TestRule7WhoIsSwitchedOffWhenJoiningWaitsOutside(t *testing.T) {
	// Rule 7: an account that comes disabled gets access when it is enabled.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.disable(true, "ada")
		w.join("hq", "ada")
		w.integrate("hq")
		w.settle()
		w.wantDoors("hq")
		w.wantMails(0)
		w.disable(false, "ada")
		w.settle()
		w.wantDoors("hq", "ada")
	})
}

func TestRule7WithoutASubscriptionOfPeopleTheyAreAskedForEveryMinute(t *testing.T) {
	// Rule 7 and 14: users/delta, where the users subscription is refused.
	story(t, func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.graph.DenySubscriptions(true) })
		w.person("ada", "bob", "cy")
		w.join("hq", "ada", "bob", "cy")
		w.integrate("hq")
		w.settle()
		w.wantDoors("hq", "ada", "bob", "cy")
		w.disable(true, "ada")
		w.graph.DeleteUser("bob")
		w.after(aMinute)
		w.wantDoors("hq", "cy")
		w.disable(false, "ada")
		w.graph.RestoreUser("bob")
		w.after(aMinute)
		w.wantDoors("hq", "ada", "bob", "cy")
	})
}

func TestRule7TheSweepFindsWhoWasSwitchedOffUnheard(t *testing.T) {
	// Rule 7: users/delta in the sweep, also after its link expired.
	for _, lost := range []bool{false, true} {
		variant(t, map[bool]string{false: "link known", true: "link expired"}[lost], func(t *testing.T) {
			w := newWorld(t)
			w.person("ada", "bob", "cy")
			w.join("hq", "ada", "bob", "cy")
			w.integrate("hq")
			w.settle()
			w.end()
			w.disable(true, "ada")
			w.graph.DeleteUser("bob")
			if lost {
				w.graph.ExpireLinks()
			}
			w.start()
			w.sweep()
			w.wantDoors("hq", "cy")
		})
	}
}

func TestRule7ADisabledAccountMayKeepItsAccessAndADeletedOneMayNot(t *testing.T) {
	// Rule 7: disabled_accounts: keep.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob")
		w.join("hq", "ada", "bob")
		w.integrate("hq", func(i *access.Integration) { i.DisabledAccounts = access.DisabledKeep })
		w.settle()
		w.disable(true, "ada", "bob")
		w.settle()
		w.wantDoors("hq", "ada", "bob")
		w.graph.DeleteUser("bob")
		w.settle()
		w.wantDoors("hq", "ada")
	})
}

func TestRule7PeopleWhomNoGroupHoldsCostGraphNothing(t *testing.T) {
	// Rule 7: filtered in Redis without a call to Graph.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.join("hq", "ada")
		w.integrate("hq")
		w.after(45 * time.Second) // the last look after the first reading is over
		strangers := w.people(50)
		w.settle()
		before := w.graph.Calls("")
		w.disable(true, strangers...)
		w.settle()
		if n := w.graph.Calls("") - before; n != 0 {
			t.Errorf("%d calls to Graph about people whom no group holds, want none", n)
		}
	})
}

func TestRule7WhatMayNotBeReadIsNoAbsence(t *testing.T) {
	// Rule 7 and 18: a permission that is taken away hides people's details.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob")
		w.join("hq", "ada", "bob")
		w.integrate("hq")
		w.settle()
		w.graph.HidePeople(true)
		w.must(w.app.Engine().Sync(t.Context(), "hq", true))
		w.sweep()
		w.wantDoors("hq", "ada", "bob")
		w.graph.HidePeople(false)
		w.sweep()
		w.wantDoors("hq", "ada", "bob")
		w.wantMails(2)
	})
}

func TestRule8WhoHasNoUsableEmailIsSkippedWithTheReason(t *testing.T) {
	// Rule 8: null mail, a guest, not an address, 254 and 255 signs, upper case.
	long := func(n int) string { return strings.Repeat("l", n-len("@contoso.example")) + "@contoso.example" }
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "null", "words", "fits", "over", "upper")
		w.graph.AddUser(graphsimGuest("guest"))
		w.mail("", "null")
		w.mail("no address at all", "words")
		w.mail(long(254), "fits")
		w.mail(long(255), "over")
		w.mail("UPPER@Contoso.Example", "upper")
		w.kisi.AddUser("upper@contoso.example", "Upper")
		w.join("hq", "ada", "null", "words", "fits", "over", "upper", "guest")
		w.join("lab", "guest")
		w.integrate("hq", byMail)
		w.integrate("lab")
		w.settle()
		w.wantEmails("hq", "ada@contoso.example", long(254), "upper@contoso.example")
		w.wantEmails("lab")
		w.wantState("hq", access.Active)
		for person, why := range map[string]string{"null": access.NoEmail, "guest": access.NoEmail, "words": access.RefusedByUs, "over": access.RefusedByUs} {
			w.wantPosition("hq", person, access.Skipped, why)
		}
		w.wantPosition("lab", "guest", access.Skipped, access.GuestEmail)

		w.mail("null@contoso.example", "null")
		w.mail("visitor@fabrikam.example", "guest")
		w.settle()
		w.wantEmails("hq", "ada@contoso.example", long(254), "upper@contoso.example", "null@contoso.example", "visitor@fabrikam.example")
	})
}

func TestRule8WhoJoinsWhilePeopleAreHiddenGetsAccessWhenTheyAreShown(t *testing.T) {
	// Rule 8: a permission that comes back changes nobody, so nobody tells.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.integrate("hq")
		w.settle()
		w.graph.HidePeople(true)
		w.join("hq", "ada")
		w.after(45 * time.Second)
		w.wantDoors("hq")
		w.graph.HidePeople(false)
		w.sweep()
		w.wantDoors("hq", "ada")
	})
}

func TestRule8WhoLosesTheMailboxKeepsTheAccess(t *testing.T) {
	// Rule 8: what cannot be known by another address is known by the old one.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.join("hq", "ada")
		w.integrate("hq", byMail)
		w.settle()
		w.mail("", "ada")
		w.settle()
		w.wantDoors("hq", "ada")
		w.leave("hq", "ada")
		w.settle()
		w.wantDoors("hq")
	})
}

func TestRule8WhomKisiRefusesIsTriedAgainOnceADayAndWhenTheAddressChanges(t *testing.T) {
	// Rule 8: an email that Kisi refuses.
	story(t, func(t *testing.T) {
		w := newWorld(t, kisiOption(func(o *kisisim.Options) { o.Blacklist = []string{"ada@contoso.example", "bob@contoso.example"} }))
		w.person("ada", "bob", "cy")
		w.join("hq", "ada", "bob", "cy")
		w.integrate("hq")
		w.settle()
		w.wantDoors("hq", "cy")
		w.wantPosition("hq", "ada", access.RefusedBy, "tried again after")
		w.rename("ada", "ada.lovelace@contoso.example")
		w.settle()
		w.wantEmails("hq", "ada.lovelace@contoso.example", "cy@contoso.example")

		w.kisi.SetOptions(func(o *kisisim.Options) { o.Blacklist = nil })
		w.skip(23 * time.Hour)
		w.sweep()
		w.wantEmails("hq", "ada.lovelace@contoso.example", "cy@contoso.example")
		w.skip(2 * time.Hour)
		w.sweep()
		w.wantEmails("hq", "ada.lovelace@contoso.example", "bob@contoso.example", "cy@contoso.example")
	})
}

func TestRule9TheNewAddressOpensBeforeTheOldOneIsClosed(t *testing.T) {
	// Rule 9: granted before revoked, and back again; another case is no change.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.join("hq", "ada")
		w.integrate("hq")
		w.settle()
		for _, address := range []string{"lovelace@contoso.example", "ada@contoso.example"} {
			before := len(w.kisi.Log())
			w.rename("ada", address)
			w.settle()
			w.wantEmails("hq", address)
			log := w.kisi.Log()[before:]
			made, ended := place(log, "POST /role_assignments"), place(log, "DELETE /role_assignments")
			if made < 0 || ended < made {
				t.Errorf("calls %+v, want the grant of %s before the revocation", log, address)
			}
		}
		before := len(w.kisi.Log())
		w.rename("ada", "ADA@Contoso.example")
		w.settle()
		if n := len(w.kisi.Log()) - before; n != 0 {
			t.Errorf("%d calls to Kisi for an address in capitals, want none", n)
		}
	})
}

// place is where in a log a call of that method and path stands, or -1.
func place(log []kisisim.Call, prefix string) int {
	return slices.IndexFunc(log, func(c kisisim.Call) bool { return strings.HasPrefix(c.Method+" "+c.Path, prefix) })
}

// moving has ada known under an address while Kisi refuses her new one.
func moving(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, kisiOption(func(o *kisisim.Options) { o.Blacklist = []string{"new@contoso.example"} }))
	w.person("ada")
	w.join("hq", "ada")
	w.integrate("hq")
	w.settle()
	w.rename("ada", "new@contoso.example")
	w.settle()
	w.wantDoors("hq", "ada")
	return w
}

func TestRule9TheOldAddressStaysWhileTheNewOneIsRefused(t *testing.T) {
	// Rule 9: and the move is made when Kisi takes the new one.
	story(t, func(t *testing.T) {
		w := moving(t)
		w.wantPosition("hq", "ada", access.RefusedBy, "tried again after")
		w.sweep()
		w.wantDoors("hq", "ada")
		w.kisi.SetOptions(func(o *kisisim.Options) { o.Blacklist = nil })
		w.skip(25 * time.Hour)
		w.sweep()
		w.wantEmails("hq", "new@contoso.example")
	})
}

func TestRule9WhoMovesBackHoldsWhatWasHeldBefore(t *testing.T) {
	// Rule 9: changed back while the new address is refused; then leaves.
	story(t, func(t *testing.T) {
		w := moving(t)
		row := w.row("hq", "ada@contoso.example")
		w.rename("ada", "ada@contoso.example")
		w.settle()
		w.wantPosition("hq", "ada", access.Granted, "")
		if now := w.row("hq", "ada@contoso.example"); now != row {
			t.Errorf("row %d became %d, want the same", row, now)
		}
		w.wantMails(1)
		w.leave("hq", "ada")
		w.settle()
		w.wantDoors("hq")
	})
}

func TestRule9WhoMovesToAThirdAddressHoldsOnlyThat(t *testing.T) {
	// Rule 9: the second was refused.
	story(t, func(t *testing.T) {
		w := moving(t)
		w.rename("ada", "third@contoso.example")
		w.settle()
		w.wantEmails("hq", "third@contoso.example")
	})
}

func TestRule9WhoLeavesWhileMovingHoldsNothing(t *testing.T) {
	// Rule 9: leaves while the new address is refused.
	story(t, func(t *testing.T) {
		w := moving(t)
		w.leave("hq", "ada")
		w.settle()
		w.wantDoors("hq")
		w.kisi.SetOptions(func(o *kisisim.Options) { o.Blacklist = nil })
		w.skip(25 * time.Hour)
		w.sweep()
		w.wantDoors("hq")
	})
}
