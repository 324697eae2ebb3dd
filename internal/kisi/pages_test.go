package kisi_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisi"
	"kisibridge/internal/kisisim"
)

func TestListsAreReadToTheirEnd(t *testing.T) {
	for _, tc := range []struct{ people, userPages, rowPages int }{
		{0, 1, 1},
		{1, 1, 1},
		{99, 1, 1},
		{100, 1, 1},
		{101, 2, 1},
		{249, 3, 1},
		{250, 3, 1},
		{251, 3, 2},
		{999, 10, 4},
		{1000, 10, 4},
		{1001, 11, 5},
	} {
		t.Run(fmt.Sprint(tc.people), func(t *testing.T) {
			sim, c := organization(t, kisisim.Options{})
			hq := sim.AddGroup("HQ")
			populate(sim, hq, tc.people)

			users := map[int]bool{}
			err := c.EachUser(t.Context(), access.Look, func(page []access.User, total int) bool {
				for _, u := range page {
					users[u.ID] = true
				}
				return total == tc.people
			})
			if len(users) != tc.people || err != nil {
				t.Errorf("%d users, %v; want %d", len(users), err, tc.people)
			}
			holders := map[int]bool{}
			err = c.EachRow(t.Context(), access.Look, group(hq), func(page []access.Row, total int) bool {
				for _, r := range page {
					holders[r.User] = true
				}
				return total == tc.people
			})
			if len(holders) != tc.people || err != nil {
				t.Errorf("%d holders, %v; want %d", len(holders), err, tc.people)
			}
			if got := sim.Calls("GET /users"); got != tc.userPages {
				t.Errorf("%d pages of users, want %d", got, tc.userPages)
			}
			if got := sim.Calls("GET /role_assignments"); got != tc.rowPages {
				t.Errorf("%d pages of assignments, want %d", got, tc.rowPages)
			}
		})
	}
}

func TestTheLongestListThatKisiShowsIsReadWhole(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	hq := sim.AddGroup("HQ")
	populate(sim, hq, 20_250)
	got := 0
	count := func(page []access.Row, _ int) bool { got += len(page); return true }

	if err := c.EachRow(t.Context(), access.Look, group(hq), count); got != 20_250 || err != nil {
		t.Errorf("%d rows, %v; want 20250", got, err)
	}
	if n := sim.Calls("GET /role_assignments"); n != 81 {
		t.Errorf("%d pages, want 81, the last at offset 20000", n)
	}
	populate(sim, hq, 1)
	calls := sim.Calls("")
	err := c.EachRow(t.Context(), access.Look, group(hq), count)
	if !errors.Is(err, kisi.ErrCut) || !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v, want it said that one row more is cut off", err)
	}
	if got := sim.Calls("") - calls; got != 1 {
		t.Errorf("%d calls to find out, want 1", got)
	}
}

func TestTheLongestListOfUsersIsReadWhole(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	for k := range 20_100 {
		sim.AddUser(fmt.Sprintf("p%05d@contoso.example", k), "")
	}
	got := 0
	count := func(page []access.User, _ int) bool { got += len(page); return true }
	if err := c.EachUser(t.Context(), access.Look, count); got != 20_100 || err != nil {
		t.Errorf("%d users, %v; want 20100", got, err)
	}
	sim.AddUser("one-more@contoso.example", "")
	if err := c.EachUser(t.Context(), access.Look, count); !errors.Is(err, kisi.ErrCut) || !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v, want it said that one user more is cut off", err)
	}
}

func TestShortPagesAreCutWhereKisiStops(t *testing.T) {
	// A Kisi that gives half of what is asked for reaches half as far.
	half := roundTrip(func(r *http.Request) (*http.Response, error) {
		offset, err := strconv.Atoi(r.URL.Query().Get("offset"))
		if err != nil || offset > 20_000 {
			t.Errorf("offset %d was asked for: %v", offset, err)
		}
		body := "["
		for k := range 50 {
			body += fmt.Sprintf(`{"id":%d},`, offset+k+1)
		}
		return answer{
			status: 200, body: body[:len(body)-1] + "]",
			header: map[string]string{"X-Collection-Range": fmt.Sprintf("%d-%d/20100", offset, offset+99)},
		}.RoundTrip(r)
	})
	seen := 0
	err := scripted(t, half).EachUser(t.Context(), access.Look, func(page []access.User, _ int) bool {
		seen += len(page)
		return true
	})
	if !errors.Is(err, kisi.ErrCut) || seen != 20_050 {
		t.Errorf("%d rows, %v; want 20050 and the rest cut off", seen, err)
	}
}

func TestAVisitorWhoHasSeenEnoughEndsTheList(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	populate(sim, sim.AddGroup("HQ"), 300)
	if err := c.EachUser(t.Context(), access.Look, func([]access.User, int) bool { return false }); err != nil {
		t.Errorf("got %v, want no error", err)
	}
	if got := sim.Calls("GET /users"); got != 1 {
		t.Errorf("%d pages, want 1", got)
	}
}

func TestAListThatOthersChangeMeanwhile(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(*kisisim.Server)
		want fault.Class // -1: no error
		rows int
	}{
		{"grows at its end, and comes whole", func(s *kisisim.Server) { s.AddUser("new@contoso.example", "New") }, -1, 151},
		{"loses a row that was read, and another slips by", func(s *kisisim.Server) { s.RemoveUser(s.Users()[5].ID) }, fault.Busy, 100},
		{"loses a row that was not read", func(s *kisisim.Server) { s.RemoveUser(s.Users()[120].ID) }, fault.Busy, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sim := kisisim.New(kisisim.Options{Rate: -1})
			populate(sim, sim.AddGroup("HQ"), 150)
			c := client(t, kisi.Options{
				APIKey: kisisim.DefaultAPIKey, Transport: meanwhile(sim, func() { tc.do(sim) }),
			})
			seen := 0
			err := c.EachUser(t.Context(), access.Look, func(page []access.User, _ int) bool {
				seen += len(page)
				return true
			})
			if got := classOf(err); got != tc.want || seen != tc.rows {
				t.Errorf("%d rows and %v, want %d and class %v", seen, err, tc.rows, tc.want)
			}
			if tc.want == -1 {
				return
			}
			again := client(t, kisi.Options{APIKey: kisisim.DefaultAPIKey, Transport: graphsim.RoundTripper(sim)})
			if err := again.EachUser(t.Context(), access.Look, func([]access.User, int) bool { return true }); err != nil {
				t.Errorf("the second time: %v, want a whole list", err)
			}
		})
	}
}

func TestARowThatComesTwiceIsShownOnce(t *testing.T) {
	// Somebody entered before the first row, so that the second page begins
	// with the last row of the first.
	pages := map[string]string{
		"0":   `[{"id":1},{"id":2}]`,
		"2":   `[{"id":2},{"id":3}]`,
		"4":   `[]`,
		"250": `[]`,
	}
	c := scripted(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		return answer{
			status: 200, body: pages[r.URL.Query().Get("offset")],
			header: map[string]string{"X-Collection-Range": "0-99/4"},
		}.RoundTrip(r)
	}))
	var ids []int
	err := c.EachUser(t.Context(), access.Look, func(page []access.User, _ int) bool {
		for _, u := range page {
			ids = append(ids, u.ID)
		}
		return true
	})
	if fmt.Sprint(ids) != "[1 2 3]" || !fault.Is(err, fault.Busy) {
		t.Errorf("got %v, %v; want [1 2 3] and busy, for one of 4 did not come", ids, err)
	}
}

func TestABrokenPageIsNoList(t *testing.T) {
	whole := map[string]string{"X-Collection-Range": "0-99/1"}
	for _, tc := range []struct {
		name   string
		answer answer
	}{
		{"no total", answer{status: 200, body: `[]`}},
		{"a strange total", answer{status: 200, body: `[]`, header: map[string]string{"X-Collection-Range": "0-9/many"}}},
		{"a total below nothing", answer{status: 200, body: `[]`, header: map[string]string{"X-Collection-Range": "0-9/-1"}}},
		{"null", answer{status: 200, body: `null`, header: whole}},
		{"an object", answer{status: 200, body: `{"users":[]}`, header: whole}},
		{"a row without an id", answer{status: 200, body: `[{"email":"ada@contoso.example"}]`, header: whole}},
		{"less than the total", answer{status: 200, body: `[]`, header: whole}},
		{"more than the total", answer{status: 200, body: `[{"id":1},{"id":2}]`, header: whole}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := scripted(t, tc.answer).EachUser(t.Context(), access.Look, func([]access.User, int) bool { return true })
			if !fault.Is(err, fault.Busy) {
				t.Errorf("got %v, want busy", err)
			}
		})
	}
}

func TestAFailureInTheMiddleIsNoEnd(t *testing.T) {
	for _, f := range []kisisim.Fault{
		{Route: "GET /users", Status: 502, Body: html},
		{Route: "GET /users", Status: 200, Body: html},
		{Route: "GET /users", Status: 429},
		{Route: "GET /users", Lost: true},
	} {
		sim, c := organization(t, kisisim.Options{})
		populate(sim, sim.AddGroup("HQ"), 150)
		f.Skip, f.Times = 1, 1
		sim.SetFault(f)
		err := c.EachUser(t.Context(), access.Look, func([]access.User, int) bool { return true })
		if !fault.Is(err, fault.Busy) {
			t.Errorf("%+v: got %v, want busy", f, err)
		}
	}
}
