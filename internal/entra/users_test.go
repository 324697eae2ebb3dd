package entra_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kisibridge/internal/access"
	"kisibridge/internal/entra"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
)

// detailed is what the bridge knows of people whom world.person made.
func detailed(ids ...string) []access.Person {
	var people []access.Person
	for _, id := range ids {
		upn := id + "@contoso.example"
		people = append(people, access.Person{ID: id, Name: "Name of " + id, UPN: upn, Mail: upn})
	}
	return people
}

func TestMembersAreReadWithTheirDetailsHoweverManyPagesItTakes(t *testing.T) {
	for _, tc := range []struct{ n, pages int }{{0, 1}, {1, 1}, {999, 1}, {1000, 2}, {2500, 3}} {
		t.Run(fmt.Sprint(tc.n, " members"), func(t *testing.T) {
			w := newWorld(t)
			ids := crowd("p", tc.n)
			w.group("hq", ids...)
			members, people, err := w.Client.Members(t.Context(), "hq")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(users(ids...), members); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(detailed(ids...), people); diff != "" {
				t.Errorf("people (-want +got):\n%s", diff)
			}
			if got := w.Calls("GET /v1.0/groups/hq/members"); got != tc.pages {
				t.Errorf("%d pages were read, want %d", got, tc.pages)
			}
		})
	}
}

// special fills a group with people who are not like most, and a device.
func special(w world) []access.Person {
	w.group("hq", "ada", "guest", "locked", "nomail")
	w.UpdateUser("guest", func(u *graphsim.User) { u.UserType = "Guest" })
	w.UpdateUser("locked", func(u *graphsim.User) { u.AccountEnabled = false })
	w.UpdateUser("nomail", func(u *graphsim.User) { u.Mail = nil })
	people := detailed("ada", "guest", "locked", "nomail")
	people[1].Guest = true
	people[2].Disabled = true
	people[3].Mail = ""
	return people
}

func TestMembersTellWhoIsDisabledWhoIsAGuestAndWhoHasNoMail(t *testing.T) {
	w := newWorld(t)
	want := special(w)
	w.AddDevice("laptop")
	w.AddGroup("inner", "inside")
	w.Join("hq", "laptop", "inner")
	members, people, err := w.Client.Members(t.Context(), "hq")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, people); diff != "" {
		t.Errorf("people (-want +got):\n%s", diff)
	}
	all := append(users("ada", "guest", "locked", "nomail"), access.Member{ID: "inner", Kind: access.KindGroup}, access.Member{ID: "laptop", Kind: access.KindOther})
	byID := cmpopts.SortSlices(func(a, b access.Member) bool { return a.ID < b.ID })
	if diff := cmp.Diff(all, members, byID); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestMembersOfAGroupThatIsNotThereAreMissing(t *testing.T) {
	w := newWorld(t)
	if _, _, err := w.Client.Members(t.Context(), "nowhere"); !fault.Is(err, fault.Missing) {
		t.Errorf("error %v; want missing", err)
	}
}

func TestAMemberPageThatDoesNotComeFailsTheWholeList(t *testing.T) {
	w := newWorld(t)
	w.group("hq", crowd("p", 1000)...)
	w.SetFault(graphsim.Fault{Route: "GET /v1.0/groups/hq/members", Status: http.StatusServiceUnavailable, Skip: 1})
	members, people, err := w.Client.Members(t.Context(), "hq")
	if !fault.Is(err, fault.Busy) || len(members)+len(people) > 0 {
		t.Errorf("%d members, %d people, error %v; want busy and nobody", len(members), len(people), err)
	}
}

// Without User.Read.All Graph answers 200 with bare ids. Taken at their word,
// everybody would have lost their address.
func TestPeopleWhomWeMayNotReadAreDenied(t *testing.T) {
	for name, read := range map[string]func(*testing.T, world) (int, error){
		"Members": func(t *testing.T, w world) (int, error) {
			members, people, err := w.Client.Members(t.Context(), "hq")
			return len(members) + len(people), err
		},
		"People": func(t *testing.T, w world) (int, error) {
			people, err := w.People(t.Context(), []string{"ada", "bob"})
			return len(people), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.group("hq", "ada", "bob")
			w.HidePeople(true)
			n, err := read(t, w)
			if !fault.Is(err, fault.Denied) || n > 0 {
				t.Errorf("%d read, error %v; want denied and nobody", n, err)
			}
			if hint := fault.Hint(err); !strings.Contains(hint, "User.Read.All") {
				t.Errorf("the hint %q does not name User.Read.All", hint)
			}
		})
	}
}

func TestPeopleAreReadTwentyARequestAndSorted(t *testing.T) {
	for _, tc := range []struct{ n, batches int }{{0, 0}, {1, 1}, {20, 1}, {21, 2}, {45, 3}} {
		t.Run(fmt.Sprint(tc.n, " people"), func(t *testing.T) {
			w := newWorld(t)
			ids := crowd("p", tc.n)
			w.person(ids...)
			asked := slices.Clone(ids)
			slices.Reverse(asked)
			people, err := w.People(t.Context(), asked)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(detailed(ids...), people, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("people (-want +got):\n%s", diff)
			}
			if got := w.Calls("POST /v1.0/$batch"); got != tc.batches {
				t.Errorf("%d batches, want %d", got, tc.batches)
			}
		})
	}
}

func TestPeopleTellsWhoIsDisabledWhoIsAGuestAndWhoHasNoMail(t *testing.T) {
	w := newWorld(t)
	want := special(w)
	got, err := w.People(t.Context(), []string{"ada", "guest", "locked", "nomail"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("people (-want +got):\n%s", diff)
	}
}

func TestWhoWasDeletedIsGoneAmongThoseWhoAreThere(t *testing.T) {
	w := newWorld(t)
	ids := crowd("p", 45)
	w.person(ids...)
	w.DeleteUser("p-0007")
	w.DeleteUser("p-0030")
	w.PurgeUser("p-0030")
	want := detailed(ids...)
	for _, i := range []int{7, 30} {
		want[i] = access.Person{ID: ids[i], Gone: true}
	}
	got, err := w.People(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("people (-want +got):\n%s", diff)
	}
}

// Each item of a batch has a status of its own, and only 404 is an absence.
func TestAPersonWhoWasNotReadIsAnErrorAndNeverAnAbsence(t *testing.T) {
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
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			ids := crowd("p", 45)
			w.person(ids...)
			tc.fault.Route, tc.fault.Skip, tc.fault.Times = "BATCH GET /users/", 30, 1
			w.SetFault(tc.fault)
			people, err := w.People(t.Context(), ids)
			wantFault(t, err, tc.class, tc.after)
			if len(people) > 0 {
				t.Errorf("%d people were told beside the error", len(people))
			}
		})
	}
}

func TestABatchThatFailsAsAWholeIsBusy(t *testing.T) {
	for name, f := range map[string]graphsim.Fault{
		"throttled":   {Status: 429, RetryAfter: 7},
		"broken":      {Status: 500},
		"unavailable": {Status: 503},
		"lost":        {Lost: true},
		"a page":      {HTML: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ids := crowd("p", 45)
			w.person(ids...)
			f.Route, f.Times = "POST /v1.0/$batch", 1
			w.SetFault(f)
			people, err := w.People(t.Context(), ids)
			wantFault(t, err, fault.Busy, time.Duration(f.RetryAfter)*time.Second)
			if len(people) > 0 {
				t.Errorf("%d people were told beside the error", len(people))
			}
		})
	}
}

func TestAPersonTheBatchForgetsIsBusy(t *testing.T) {
	w := newWorld(t, signedIn, answering(http.StatusOK, `{"responses":[]}`))
	_, err := w.People(t.Context(), []string{"ada"})
	wantFault(t, err, fault.Busy, 0)
}

func TestCheckReadsTheRolesOfTheToken(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(world)
		want   entra.Permissions
	}{
		{"all", func(world) {}, entra.Permissions{GroupMemberReadAll: true, UserReadAll: true, GroupReadAll: true}},
		{"no people", func(w world) { w.HidePeople(true) }, entra.Permissions{GroupMemberReadAll: true, GroupReadAll: true}},
		{"no subscriptions", func(w world) { w.DenySubscriptions(true) }, entra.Permissions{GroupMemberReadAll: true, UserReadAll: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			tc.change(w)
			got, err := w.Check(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("permissions (-want +got):\n%s", diff)
			}
		})
	}
}

// dated makes the other side's clock differ from ours.
func dated(ahead time.Duration) func(*setup) {
	return func(s *setup) {
		s.via = func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				answer, err := next.RoundTrip(r)
				if err == nil {
					answer.Header.Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
				}
				return answer, err
			})
		}
	}
}

func TestCheckTellsHowFarTheClocksDiffer(t *testing.T) {
	for _, ahead := range []time.Duration{0, 5 * time.Minute, -time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, signedIn, dated(ahead))
				p, err := w.Check(t.Context())
				if err != nil || p.Skew != ahead {
					t.Errorf("the skew is %v, error %v; want %v", p.Skew, err, ahead)
				}
			})
		})
	}
}
