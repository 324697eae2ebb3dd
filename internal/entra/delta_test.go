package entra_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
)

// changes reads what happened since link, and wants it read.
func (w world) changes(t *testing.T, group, link string) access.Changes {
	t.Helper()
	c, err := w.Changes(t.Context(), group, link)
	if err != nil {
		t.Fatalf("changes of %s: %v", group, err)
	}
	if c.Link == "" || c.Link == link {
		t.Errorf("the link is %q after %q; want a new one", c.Link, link)
	}
	return c
}

// users are people as members.
func users(ids ...string) []access.Member {
	var members []access.Member
	for _, id := range ids {
		members = append(members, access.Member{ID: id, Kind: access.KindUser})
	}
	return members
}

// told compares changes but for the link, which is Graph's own affair.
func told(t *testing.T, got, want access.Changes) {
	t.Helper()
	got.Link = ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestTheFirstChangesAreTheWholeGroupHoweverManyPagesItTakes(t *testing.T) {
	for _, n := range []int{0, 1, 99, 2500} {
		t.Run(fmt.Sprint(n, " members"), func(t *testing.T) {
			w := newWorld(t, func(s *setup) { s.sim.PageSize = 100 })
			w.group("hq", crowd("p", n)...)
			c := w.changes(t, "hq", "")
			told(t, c, access.Changes{Full: true, Name: "hq doors", Joined: users(w.Server.Members("hq")...)})
			if len(c.Joined) != n {
				t.Errorf("%d joined, want %d", len(c.Joined), n)
			}
			if pages := w.Calls("GET /v1.0/groups/delta"); pages < n/100 {
				t.Errorf("%d pages of 100 were read, for %d members", pages, n)
			}
		})
	}
}

// unfiltered asks for the whole stream: Graph may tell of other groups than
// those that a filter names.
func unfiltered(s *setup) {
	s.via = func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if q := r.URL.Query(); q.Has("$filter") {
				r = r.Clone(r.Context())
				q.Del("$filter")
				r.URL.RawQuery = q.Encode()
			}
			return next.RoundTrip(r)
		})
	}
}

func TestOtherGroupsInTheStreamAreIgnored(t *testing.T) {
	w := newWorld(t, unfiltered)
	w.group("lab", crowd("l", 250)...)
	w.group("hq", crowd("h", 250)...)
	w.group("yard", crowd("y", 250)...)
	first := w.changes(t, "hq", "")
	told(t, first, access.Changes{Full: true, Name: "hq doors", Joined: users(crowd("h", 250)...)})

	w.Join("lab", "h-0001")
	w.Leave("yard", "y-0001")
	w.DeleteGroup("yard")
	if c := w.changes(t, "hq", first.Link); !c.Empty() {
		t.Errorf("changes of other groups came through: %+v", c)
	}
}

func TestMembersKeepTheirKind(t *testing.T) {
	w := newWorld(t)
	w.group("hq", "ada")
	w.AddGroup("inner", "inside")
	w.AddDevice("laptop")
	w.AddServicePrincipal("robot")
	w.Join("hq", "inner", "laptop", "robot")
	want := []access.Member{
		{ID: "ada", Kind: access.KindUser},
		{ID: "inner", Kind: access.KindGroup},
		{ID: "laptop", Kind: access.KindOther},
		{ID: "robot", Kind: access.KindOther},
	}
	told(t, w.changes(t, "hq", ""), access.Changes{Full: true, Name: "hq doors", Joined: want})
}

func TestALinkTellsWhoJoinedAndLeftSince(t *testing.T) {
	w := newWorld(t)
	w.group("hq", "ada", "bob", "eve")
	w.person("cyd", "dan")
	first := w.changes(t, "hq", "")

	w.Join("hq", "dan", "cyd")
	w.Leave("hq", "eve", "bob")
	second := w.changes(t, "hq", first.Link)
	told(t, second, access.Changes{Name: "hq doors", Joined: users("cyd", "dan"), Left: []string{"bob", "eve"}})

	w.Leave("hq", "dan")
	told(t, w.changes(t, "hq", second.Link), access.Changes{Name: "hq doors", Left: []string{"dan"}})
}

func TestManyChangesSinceALinkComeOnSeveralPages(t *testing.T) {
	w := newWorld(t)
	w.group("hq", crowd("old", 250)...)
	w.person(crowd("new", 250)...)
	first := w.changes(t, "hq", "")
	w.Leave("hq", crowd("old", 250)...)
	w.Join("hq", crowd("new", 250)...)
	told(t, w.changes(t, "hq", first.Link),
		access.Changes{Name: "hq doors", Joined: users(crowd("new", 250)...), Left: crowd("old", 250)})
}

func TestNothingHappenedIsEmptyWithANewLink(t *testing.T) {
	w := newWorld(t)
	w.group("hq", "ada")
	link := w.changes(t, "hq", "").Link
	for range 3 {
		c := w.changes(t, "hq", link) // wants another link each time
		if !c.Empty() {
			t.Errorf("nothing happened, and %+v was told", c)
		}
		link = c.Link
	}
}

// Order means nothing in delta, so that a page with both says neither.
func TestWhoJoinedAndLeftInOneAnswerIsUnsure(t *testing.T) {
	const page = `{"value":[
		{"id":"hq","displayName":"hq doors","members@delta":[
			{"@odata.type":"#microsoft.graph.user","id":"ada"},{"@odata.type":"#microsoft.graph.user","id":"bob"}]},
		{"id":"hq","members@delta":[
			{"@odata.type":"#microsoft.graph.user","id":"ada","@removed":{"reason":"deleted"}}]}],
		"@odata.deltaLink":"https://graph.example/v1.0/groups/delta?$deltatoken=next"}`
	w := newWorld(t, signedIn, answering(http.StatusOK, page))
	c := w.changes(t, "hq", graphHost+"/v1.0/groups/delta?$deltatoken=before")
	told(t, c, access.Changes{Name: "hq doors", Joined: users("bob"), Unsure: true})
}

func TestADeletedGroupIsToldWithItsReason(t *testing.T) {
	w := newWorld(t)
	w.group("hq", "ada")
	first := w.changes(t, "hq", "")
	w.DeleteGroup("hq")
	second := w.changes(t, "hq", first.Link)
	told(t, second, access.Changes{Deleted: "changed"})
	w.PurgeGroup("hq")
	told(t, w.changes(t, "hq", second.Link), access.Changes{Deleted: "deleted"})
}

func TestAGroupThatIsNotThereIsMissing(t *testing.T) {
	w := newWorld(t)
	w.group("hq", "ada")
	w.DeleteGroup("hq")
	for _, id := range []string{"nowhere", "hq"} {
		_, err := w.Changes(t.Context(), id, "")
		if !fault.Is(err, fault.Missing) || fault.Hint(err) == "" {
			t.Errorf("a full read of %s: %v; want missing, with a hint", id, err)
		}
	}
}

func TestALinkThatIsNoLongerKnownAsksForAResync(t *testing.T) {
	for name, forget := range map[string]func(world){
		"410 resyncRequired":    func(w world) { w.ExpireLinks() },
		"400 syncStateNotFound": func(w world) { w.ForgetLinks() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.group("hq", "ada")
			link := w.changes(t, "hq", "").Link
			forget(w)
			_, err := w.Changes(t.Context(), "hq", link)
			if !errors.Is(err, access.ErrResync) {
				t.Errorf("error %v; want ErrResync", err)
			}
			told(t, w.changes(t, "hq", ""), access.Changes{Full: true, Name: "hq doors", Joined: users("ada")})
		})
	}
}

// A round that broke off must not pass for the group: those on the pages that
// did not come would seem to have left.
func TestAPageThatDoesNotComeFailsTheWholeRound(t *testing.T) {
	w := newWorld(t)
	w.group("hq", crowd("p", 350)...)
	w.SetFault(graphsim.Fault{Route: "GET /v1.0/groups/delta", Status: http.StatusServiceUnavailable, Skip: 2, Times: 1})
	c, err := w.Changes(t.Context(), "hq", "")
	if !fault.Is(err, fault.Busy) || len(c.Joined) > 0 || c.Link != "" {
		t.Errorf("%d joined, link %q, error %v; want busy and nothing else", len(c.Joined), c.Link, err)
	}
}

func TestALastPageWithoutALinkIsNotTaken(t *testing.T) {
	w := newWorld(t, signedIn, answering(http.StatusOK, `{"value":[]}`))
	if _, err := w.Changes(t.Context(), "hq", ""); !fault.Is(err, fault.Busy) {
		t.Errorf("error %v; want busy", err)
	}
}
