package entra_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
)

func TestBelongsTellsInWhichOfTheGroupsEverybodyIs(t *testing.T) {
	w := newWorld(t)
	w.group("hq", "ada", "bob")
	w.group("lab", "cyd")
	w.group("yard", "ada")
	w.AddGroup("inner", "inside")
	w.Join("lab", "inner")
	w.Join("inner", "bob")
	w.person("dan", "eve")
	w.Join("hq", "eve")
	w.DeleteUser("eve")
	got, err := w.Belongs(t.Context(), []string{"dan", "cyd", "ada", "bob", "eve", "nobody", "ada"}, []string{"lab", "hq", "lab"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"ada": {"hq"}, "bob": {"hq", "lab"}, "cyd": {"lab"}, "dan": {}, "eve": {}, "nobody": {},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("memberships (-want +got):\n%s", diff)
	}
}

// Graph takes at most 20 groups a request, and 20 requests a batch.
func TestMembershipsAreCheckedTwentyGroupsAndTwentyRequestsAtATime(t *testing.T) {
	for _, tc := range []struct{ people, groups, requests, batches int }{
		{0, 5, 0, 0}, {5, 0, 0, 0}, {1, 1, 1, 1}, {1, 20, 1, 1}, {1, 21, 2, 1}, {20, 20, 20, 1}, {7, 41, 21, 2}, {45, 1, 45, 3},
	} {
		t.Run(fmt.Sprint(tc.people, " people, ", tc.groups, " groups"), func(t *testing.T) {
			w := newWorld(t)
			people, groups := crowd("p", tc.people), crowd("g", tc.groups)
			w.person(people...)
			want := map[string][]string{}
			for _, p := range people {
				want[p] = groups
			}
			for _, g := range groups {
				w.group(g)
				w.Join(g, people...)
			}
			got, err := w.Belongs(t.Context(), people, groups)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) })); diff != "" {
				t.Errorf("memberships (-want +got):\n%s", diff)
			}
			if n := w.Calls("BATCH POST /users/"); n != tc.requests {
				t.Errorf("%d requests, want %d", n, tc.requests)
			}
			if n := w.Calls("POST /v1.0/$batch"); n != tc.batches {
				t.Errorf("%d batches, want %d", n, tc.batches)
			}
		})
	}
}

func TestWhoIsThrottledForAMomentIsCheckedAgainAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, signedIn)
		people := crowd("p", 20)
		w.group("hq", people...)
		w.SetFault(graphsim.Fault{Route: "BATCH POST /users/p-0007", Status: 429, RetryAfter: 2, Times: 2})
		began := time.Now()
		got, err := w.Belongs(t.Context(), people, []string{"hq"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"hq"}, got["p-0007"]); diff != "" || len(got) != 20 {
			t.Errorf("%d people, the throttled one (-want +got):\n%s", len(got), diff)
		}
		if n, took := w.Calls("BATCH POST /users/"), time.Since(began); n != 20+2 || took != 4*time.Second {
			t.Errorf("%d people were asked about in %v; want 22 in 4s", n, took)
		}
	})
}

// Access is taken from people who belong to nothing.
func TestACheckThatFailedIsAnErrorAndNeverAnAbsence(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault graphsim.Fault
		class fault.Class
		after time.Duration
	}{
		{"throttled", graphsim.Fault{Status: 429, RetryAfter: 7}, fault.Busy, 7 * time.Second},
		{"throttled without a time", graphsim.Fault{Status: 429}, fault.Busy, 0},
		{"unavailable", graphsim.Fault{Status: 503, RetryAfter: 3}, fault.Busy, 3 * time.Second},
		{"broken", graphsim.Fault{Status: 500}, fault.Busy, 0},
		{"refused", graphsim.Fault{Status: 403}, fault.Denied, 0},
		{"not understood", graphsim.Fault{Status: 400}, fault.Invalid, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			people := crowd("p", 45)
			w.group("hq", people...)
			tc.fault.Route, tc.fault.Skip, tc.fault.Times = "BATCH POST /users/", 30, 1
			w.SetFault(tc.fault)
			got, err := w.Belongs(t.Context(), people, []string{"hq"})
			wantFault(t, err, tc.class, tc.after)
			if len(got) > 0 {
				t.Errorf("%d people were told beside the error", len(got))
			}
		})
	}
}

func TestOnlyGraphItselfSaysWhoBelongsToNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		item string
		want map[string][]string
	}{
		"404 of Graph":          {`{"id":"0","status":404,"body":{"error":{"code":"Request_ResourceNotFound","message":"Resource 'ada' does not exist"}}}`, map[string][]string{"ada": {}}},
		"no group":              {`{"id":"0","status":200,"body":{"value":[]}}`, map[string][]string{"ada": {}}},
		"a group, spelt anyhow": {`{"id":"0","status":200,"body":{"value":["HQ"]}}`, map[string][]string{"ada": {"hq"}}},
		"404 of a group":        {`{"id":"0","status":404,"body":{"error":{"code":"Request_ResourceNotFound","message":"Resource 'hq' does not exist"}}}`, nil},
		"404 without a word":    {`{"id":"0","status":404}`, nil},
		"no list":               {`{"id":"0","status":200,"body":{}}`, nil},
		"no body":               {`{"id":"0","status":200}`, nil},
		"null":                  {`{"id":"0","status":200,"body":{"value":null}}`, nil},
		"another group":         {`{"id":"0","status":200,"body":{"value":["lab"]}}`, nil},
		"another answer":        {`{"id":"1","status":200,"body":{"value":[]}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, signedIn, answering(http.StatusOK, `{"responses":[`+tc.item+`]}`))
			got, err := w.Belongs(t.Context(), []string{"ada"}, []string{"hq"})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("memberships (-want +got):\n%s", diff)
			}
			if tc.want == nil {
				wantFault(t, err, fault.Busy, 0)
			}
		})
	}
}

func TestAnEmptyIDIsNotChecked(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct{ people, groups []string }{{[]string{""}, []string{"hq"}}, {[]string{"ada"}, []string{"hq", ""}}} {
		_, err := w.Belongs(t.Context(), tc.people, tc.groups)
		wantFault(t, err, fault.Invalid, 0)
	}
	if n := w.Calls("POST /v1.0/$batch"); n > 0 {
		t.Errorf("%d batches were sent, want none", n)
	}
}

func TestTheSecondWitnessIsNotMovedByAListThatLies(t *testing.T) {
	w := newWorld(t)
	w.group("hq", "ada", "bob")
	link := w.changes(t, "hq", "").Link
	w.SetFalseLeave("hq", "ada")
	w.SetFalseMembers("hq", "ada")
	if c := w.changes(t, "hq", link); !cmp.Equal(c.Left, []string{"ada"}) {
		t.Errorf("%v left; want the lie that ada did", c.Left)
	}
	if members, _, err := w.Client.Members(t.Context(), "hq"); err != nil || len(members) != 1 {
		t.Errorf("members %v, error %v; want the lie that bob is alone", members, err)
	}
	got, err := w.Belongs(t.Context(), []string{"ada", "bob"}, []string{"hq"})
	if diff := cmp.Diff(map[string][]string{"ada": {"hq"}, "bob": {"hq"}}, got); diff != "" || err != nil {
		t.Errorf("error %v, memberships (-want +got):\n%s", err, diff)
	}
}
