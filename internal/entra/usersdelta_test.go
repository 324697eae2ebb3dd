package entra_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
)

// peopleChanged wants ids to have changed since link, and gives the next one.
func (w world) peopleChanged(t *testing.T, link string, ids ...string) string {
	t.Helper()
	c, err := w.PeopleChanges(t.Context(), link)
	if err != nil {
		t.Fatalf("changes of people: %v", err)
	}
	if c.Link == "" || c.Link == link {
		t.Errorf("the link is %q after %q; want a new one", c.Link, link)
	}
	if diff := cmp.Diff(ids, c.IDs, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("people who changed (-want +got):\n%s", diff)
	}
	return c.Link
}

func TestThePeopleWhoAreThereAreNoChange(t *testing.T) {
	w := newWorld(t)
	w.person(crowd("p", 500)...)
	link := w.peopleChanged(t, "")
	if n := w.Calls("GET /v1.0/users/delta"); n != 1 {
		t.Errorf("%d pages were read for the link of now, want 1", n)
	}
	w.peopleChanged(t, w.peopleChanged(t, link))
}

func TestWhoeverChangedIsNamedHoweverThatWas(t *testing.T) {
	w := newWorld(t)
	w.person("ada", "bob", "cyd", "dan", "eve", "fay")
	link := w.peopleChanged(t, "")
	w.UpdateUser("fay", func(u *graphsim.User) { u.AccountEnabled = false })
	w.UpdateUser("ada", func(u *graphsim.User) { u.Mail = nil })
	w.UpdateUser("ada", func(u *graphsim.User) { u.DisplayName = "Ada" })
	w.DeleteUser("dan")
	w.PurgeUser("cyd")
	w.person("new")
	link = w.peopleChanged(t, link, "ada", "cyd", "dan", "fay", "new")
	w.RestoreUser("dan")
	w.peopleChanged(t, link, "dan")
}

func TestManyPeopleWhoChangedComeOnSeveralPages(t *testing.T) {
	w := newWorld(t)
	ids := crowd("p", 350)
	w.person(ids...)
	link := w.peopleChanged(t, "")
	for _, id := range ids {
		w.DeleteUser(id)
	}
	w.peopleChanged(t, link, ids...)
}

func TestAPageOfPeopleThatDoesNotComeFailsTheWholeRound(t *testing.T) {
	w := newWorld(t)
	link := w.peopleChanged(t, "")
	w.person(crowd("p", 350)...)
	w.SetFault(graphsim.Fault{Route: "GET /v1.0/users/delta", Status: http.StatusServiceUnavailable, Skip: 2, Times: 1})
	c, err := w.PeopleChanges(t.Context(), link)
	wantFault(t, err, fault.Busy, 0)
	if diff := cmp.Diff(access.PeopleChanges{}, c); diff != "" {
		t.Errorf("changes beside the error (-want +got):\n%s", diff)
	}
	w.peopleChanged(t, link, crowd("p", 350)...)
}

func TestALinkOfPeopleThatIsNoLongerKnownAsksForAResync(t *testing.T) {
	for name, forget := range map[string]func(world){
		"410 resyncRequired":    func(w world) { w.ExpireLinks() },
		"400 syncStateNotFound": func(w world) { w.ForgetLinks() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			link := w.peopleChanged(t, "")
			forget(w)
			if _, err := w.PeopleChanges(t.Context(), link); !errors.Is(err, access.ErrResync) {
				t.Errorf("error %v; want ErrResync", err)
			}
			w.peopleChanged(t, "")
		})
	}
	w := newWorld(t)
	if _, err := w.PeopleChanges(t.Context(), "https://elsewhere.example/v1.0/users/delta"); !errors.Is(err, access.ErrResync) {
		t.Errorf("a link of another host: error %v; want ErrResync", err)
	}
}

func TestARoundOfPeopleThatCannotBeReadIsBusy(t *testing.T) {
	for _, body := range []string{`{"value":[]}`, `{"value":[{}],"@odata.deltaLink":"https://graph.example/next"}`} {
		t.Run(body, func(t *testing.T) {
			w := newWorld(t, signedIn, answering(http.StatusOK, body))
			_, err := w.PeopleChanges(t.Context(), graphHost+"/before")
			wantFault(t, err, fault.Busy, 0)
		})
	}
}
