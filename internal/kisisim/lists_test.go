package kisisim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/kisisim"
)

func TestListsHeedIDsAndQuery(t *testing.T) {
	s := fast()
	hq, lab := s.AddGroup("HQ doors"), s.AddGroup("Lab")
	guards, night := s.AddTeam("Guards"), s.AddTeam("Night shift")
	ada, bob := s.AddUser("ada@contoso.example", "Ada Byron"), s.AddUser("bob@contoso.example", "Bob")
	ask(s, "PATCH", fmt.Sprintf("/users/%d", bob), `{"user":{"notes":"likes engines"}}`)
	adas := s.AddAssignment(kisisim.Assignment{AppliesToID: hq, AssigneeID: ada})
	bobs := s.AddAssignment(kisisim.Assignment{AppliesToID: lab, AssigneeID: bob})
	fill := s.AddImport(hq, "Azure: staff", true)
	hook := number(t, ask(s, "POST", "/integrations", hookBody(allEvents)))
	in, out := s.AddMembership(guards, ada), s.AddMembership(night, bob)

	for _, tc := range []struct {
		path string
		want []int
	}{
		{fmt.Sprintf("/users?ids=%d", bob), []int{bob}},
		{fmt.Sprintf("/users?ids=%d,%d,9999,%d", bob, ada, bob), []int{ada, bob}},
		{"/users?ids=9999", nil},
		{"/users?query=BYRON", []int{ada}},
		{"/users?query=engines", []int{bob}},
		{fmt.Sprintf("/users?query=byron&ids=%d", bob), nil},
		{fmt.Sprintf("/users?group_id=%d", lab), []int{bob}},
		{fmt.Sprintf("/role_assignments?ids=%d", bobs), []int{bobs}},
		{"/role_assignments?query=byron", []int{adas}},
		{fmt.Sprintf("/role_assignments?applies_to_type=Group&applies_to_id=%d&ids=%d,%d", hq, adas, bobs), []int{adas}},
		{fmt.Sprintf("/role_assignments?assignee_type=User&assignee_id=%d", bob), []int{bobs}},
		{fmt.Sprintf("/role_assignments?assignee_type=User&assignee_id=%d&applies_to_type=Group&applies_to_id=%d", bob, hq), nil},
		{fmt.Sprintf("/role_assignments?assignee_type=User&assignee_id=%d", 9999), nil},
		{fmt.Sprintf("/groups?ids=%d", lab), []int{lab}},
		{"/groups?query=doors", []int{hq}},
		{fmt.Sprintf("/teams?ids=%d", night), []int{night}},
		{"/teams?query=guard", []int{guards}},
		{fmt.Sprintf("/integrations?ids=%d", hook), []int{hook}},
		{"/integrations?query=azure", []int{fill}},
		{fmt.Sprintf("/integrations?group_id=%d&enabled=true", hq), []int{fill}},
		{fmt.Sprintf("/team_memberships?ids=%d", in), []int{in}},
		{fmt.Sprintf("/team_memberships?team_id=%d", night), []int{out}},
		{fmt.Sprintf("/team_memberships?member_type=User&member_id=%d", ada), []int{in}},
	} {
		if diff := cmp.Diff(tc.want, listed(t, s, tc.path)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.path, diff)
		}
	}
	if w := ask(s, "GET", "/users?ids=ada", ""); w.Code != 422 {
		t.Errorf("ids that are none: %d, want 422", w.Code)
	}
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("violations %q, want none", v)
	}
}

// listed are the ids that a list gives.
func listed(t *testing.T, s *kisisim.Server, path string) []int {
	t.Helper()
	w := ask(s, "GET", path, "")
	var rows []struct{ ID int }
	if err := json.Unmarshal(w.Body.Bytes(), &rows); err != nil || w.Code != 200 {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	var ids []int
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestWhatIsDeprecatedIsAnsweredWithAWarning(t *testing.T) {
	s := fast()
	hq := s.AddGroup("HQ doors")
	ada, bob := s.AddUser("ada@contoso.example", "Ada"), s.AddUser("bob@contoso.example", "Bob")
	s.AddAssignment(kisisim.Assignment{AppliesToID: hq, AssigneeID: ada})
	row := s.AddAssignment(kisisim.Assignment{AppliesToID: hq, AssigneeID: bob})
	manages := s.AddAssignment(kisisim.Assignment{AppliesToType: "Organization", AppliesToID: 12, AssigneeID: bob, RoleID: "administrator"})
	for _, tc := range []struct {
		path   string
		status int
		warned bool
	}{
		{"/members", 404, true},
		{"/members/12", 404, true},
		{"/shares?group_id=45", 404, true},
		{fmt.Sprintf("/role_assignments?user_id=%d", bob), 200, true},
		{"/role_assignments", 200, false},
		{"/users", 200, false},
	} {
		before := len(s.Violations())
		w := ask(s, "GET", tc.path, "")
		has := w.Header().Get("Deprecation") != "" && w.Header().Get("Sunset") != ""
		if w.Code != tc.status || has != tc.warned || len(s.Violations()) > before != tc.warned {
			t.Errorf("%s: %d, %v, violations %q; want %d, warned %v", tc.path, w.Code, w.Header(), s.Violations()[before:], tc.status, tc.warned)
		}
	}
	for path, want := range map[string][]int{
		fmt.Sprintf("/role_assignments?user_id=%d&group_id=%d", bob, hq): {row},
		"/role_assignments?scope=organization":                           {manages},
		"/role_assignments?place_id=12":                                  nil,
	} {
		if diff := cmp.Diff(want, listed(t, s, path)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestAFaultDoesNotExcuseFromKeyAndRate(t *testing.T) {
	s := kisisim.New(kisisim.Options{})
	s.SetFault(kisisim.Fault{Route: "GET /user", Status: 502})
	if w := ask(s, "GET", "/user", "", func(r *http.Request) { r.Header.Del("Authorization") }); w.Code != 401 {
		t.Errorf("without a key: %d, want 401", w.Code)
	}
	for range 5 {
		if w := ask(s, "GET", "/user", ""); w.Code != 502 {
			t.Errorf("%d, want the fault's 502", w.Code)
		}
	}
	if w := ask(s, "GET", "/user", ""); w.Code != 429 {
		t.Errorf("the sixth within a second: %d, want 429", w.Code)
	}
	if v := s.Violations(); len(v) != 2 {
		t.Errorf("violations %q, want no key and too many", v)
	}
}

func TestAnAssignmentCanBeChanged(t *testing.T) {
	s := fast()
	hq, ada := s.AddGroup("HQ doors"), s.AddUser("ada@contoso.example", "Ada")
	row := s.AddAssignment(kisisim.Assignment{AppliesToID: hq, AssigneeID: ada})
	path := fmt.Sprintf("/role_assignments/%d", row)
	patch := func(fields string) int {
		return ask(s, "PATCH", path, `{"role_assignment":{`+fields+`}}`).Code
	}
	if code := patch(`"valid_until":"2001-01-01T00:00:00Z"`); code != 204 || s.Opens(hq, "ada@contoso.example") {
		t.Errorf("%d; want 204 and no access any more", code)
	}
	if code := patch(`"notify":true`); code != 204 || s.Opens(hq, "ada@contoso.example") || len(s.Mails()) != 1 {
		t.Errorf("%d with %v; want 204, a mail, and still no access", code, s.Mails())
	}
	if code := patch(`"valid_until":null`); code != 204 || !s.Opens(hq, "ada@contoso.example") {
		t.Errorf("%d; want 204 and access for good", code)
	}
	if code := patch(`"assignee_id":7`); code != 422 {
		t.Errorf("another assignee: %d, want 422", code)
	}
	if w := ask(s, "PATCH", "/role_assignments/1", `{"role_assignment":{}}`); w.Code != 404 {
		t.Errorf("nothing: %d, want 404", w.Code)
	}
	before := len(s.Violations())
	s.Protect(row)
	if patch(`"notify":false`); len(s.Violations()) != before+1 {
		t.Errorf("violations %q, want one of a row that is protected", s.Violations()[before:])
	}
}

func TestHandsAreNotPolicedAndWhoIsLockedOutOpensNothing(t *testing.T) {
	s := fast()
	hq, ada := s.AddGroup("HQ doors"), s.AddUser("ada@contoso.example", "Ada")
	s.AddAssignment(kisisim.Assignment{AppliesToID: hq, AssigneeID: ada})
	s.RemoveAssignment(s.AddAssignment(kisisim.Assignment{AppliesToID: hq, AssigneeID: ada}))
	s.AddAssignment(kisisim.Assignment{AppliesToID: hq, AssigneeID: 9999})
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("violations %q, want none by hand", v)
	}
	for _, tc := range []struct{ door, scim bool }{{true, true}, {false, true}, {true, false}} {
		s.SetUserFlags(ada, tc.door, tc.scim)
		if got := s.Opens(hq, "ADA@contoso.example"); got != (tc.door && tc.scim) {
			t.Errorf("%+v: opens %v", tc, got)
		}
		if diff := cmp.Diff([]string{"ada@contoso.example"}, s.Holders(hq)); diff != "" {
			t.Errorf("%+v: holders (-want +got):\n%s", tc, diff)
		}
	}
}

// What the stand-in takes must not hide what the bridge takes, however many
// people there are.
func BenchmarkAGrantAmongThousands(b *testing.B) {
	s := kisisim.New(kisisim.Options{Rate: -1})
	hq := s.AddGroup("HQ doors")
	give := func(k int) {
		user := s.AddUser(fmt.Sprintf("p%05d@contoso.example", k), "")
		ask(s, "GET", fmt.Sprintf("/users?limit=100&email=p%05d@contoso.example", k), "")
		ask(s, "GET", fmt.Sprintf("/role_assignments?assignee_type=User&assignee_id=%d&applies_to_type=Group&applies_to_id=%d", user, hq), "")
		ask(s, "POST", "/role_assignments", grantBody(user, hq))
	}
	for k := range 5000 {
		give(k)
	}
	for k := 5000; b.Loop(); k++ {
		give(k)
	}
}
