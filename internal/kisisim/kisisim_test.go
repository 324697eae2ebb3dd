package kisisim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/kisisim"
)

// ask makes a request of the organization, as a well-behaved client would.
func ask(s *kisisim.Server, method, path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://api.kisi.example"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "KISI-LOGIN "+kisisim.DefaultAPIKey)
	r.Header.Set("Accept", "application/json")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func grantBody(user, group int) string {
	return fmt.Sprintf(`{"role_assignment":{"role_id":"group_basic","applies_to_type":"Group","applies_to_id":%d,"assignee_type":"User","assignee_id":%d,"notify":true}}`, group, user)
}

func fast() *kisisim.Server { return kisisim.New(kisisim.Options{Rate: -1}) }

func TestAnswersOfTheContract(t *testing.T) {
	s := fast()
	group, team := s.AddGroup("HQ doors"), s.AddTeam("Guards")
	ada := s.AddUser("ada@contoso.example", "Ada")
	row := s.AddAssignment(kisisim.Assignment{AppliesToID: group, AssigneeID: ada})
	bob := s.AddUser("bob@contoso.example", "Bob")

	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		has                      string
	}{
		{"the caller", "GET", "/user", "", 200, `"organization":{`},
		{"an unknown route", "GET", "/doors", "", 404, `"000404"`},
		{"a user", "GET", fmt.Sprintf("/users/%d", ada), "", 200, `"email":"ada@contoso.example"`},
		{"nobody", "GET", "/users/1", "", 404, `"error"`},
		{"a search finds more than asked", "GET", "/users?email=contoso", "", 200, "bob@contoso.example"},
		{"too long a page", "GET", "/users?limit=101", "", 422, "limit"},
		{"too far a page", "GET", "/role_assignments?offset=20001", "", 422, "offset"},
		{"an unknown option", "GET", "/users?name=ada", "", 400, "name"},
		{"an id without its type", "GET", "/role_assignments?assignee_id=1", "", 422, "assignee_type"},
		{"a new user", "POST", "/users", `{"user":{"email":"cy@contoso.example","name":"Cy"}}`, 200, `"id"`},
		{"a user who exists, in other letters", "POST", "/users", `{"user":{"email":"ADA@contoso.example"}}`, 409, `"000409"`},
		{"a bad address", "POST", "/users", `{"user":{"email":"nobody"}}`, 422, `"errors":{"email"`},
		{"an unknown field", "POST", "/users", `{"user":{"email":"x@contoso.example","role":"owner"}}`, 422, "role"},
		{"an email cannot be changed", "PATCH", fmt.Sprintf("/users/%d", ada), `{"user":{"email":"new@contoso.example"}}`, 422, "email"},
		{"a name can", "PATCH", fmt.Sprintf("/users/%d", ada), `{"user":{"name":"Ada Byron"}}`, 204, ""},
		{"a grant", "POST", "/role_assignments", grantBody(bob, group), 200, `"role_id":"group_basic"`},
		{"the same grant again", "POST", "/role_assignments", grantBody(bob, group), 409, `"000409"`},
		{"a grant to nobody", "POST", "/role_assignments", grantBody(1, group), 404, "error"},
		{"a grant of nothing", "POST", "/role_assignments", `{"role_assignment":{"role_id":"group_basic"}}`, 422, "applies_to_id"},
		{"a revocation", "DELETE", fmt.Sprintf("/role_assignments/%d", row), "", 204, ""},
		{"a second revocation", "DELETE", fmt.Sprintf("/role_assignments/%d", row), "", 404, "error"},
		{"a team membership", "POST", "/team_memberships", fmt.Sprintf(`{"team_membership":{"team_id":%d,"member_type":"User","member_id":%d}}`, team, bob), 200, `"team_id"`},
		{"the same membership", "POST", "/team_memberships", fmt.Sprintf(`{"team_membership":{"team_id":%d,"member_type":"User","member_id":%d}}`, team, bob), 409, `"000409"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := ask(s, tc.method, tc.path, tc.body)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.has) {
				t.Errorf("%s %s: %d %s, want %d with %s", tc.method, tc.path, w.Code, w.Body, tc.status, tc.has)
			}
			if tc.status == 204 && w.Body.Len() > 0 {
				t.Errorf("a body of %q beside 204", w.Body)
			}
		})
	}
}

func TestPagesSayWhatWasAskedFor(t *testing.T) {
	s := fast()
	for k := range 15 {
		s.AddUser(fmt.Sprintf("p%02d@contoso.example", k), "")
	}
	for _, tc := range []struct {
		path, span string
		rows       int
	}{
		{"/users?limit=10&offset=10", "10-19/15", 5},
		{"/users", "0-49/15", 15},
		{"/role_assignments", "*/0", 0},
		{"/users?limit=10&offset=20", "20-29/15", 0},
	} {
		w := ask(s, "GET", tc.path, "")
		var rows []any
		if err := json.Unmarshal(w.Body.Bytes(), &rows); err != nil {
			t.Fatal(err)
		}
		if got := w.Header().Get("X-Collection-Range"); got != tc.span || len(rows) != tc.rows {
			t.Errorf("%s: %s with %d rows, want %s with %d", tc.path, got, len(rows), tc.span, tc.rows)
		}
	}
}

func TestListsHoldRowsThatAreNeverTheBridges(t *testing.T) {
	s := fast()
	group := s.AddGroup("HQ doors")
	s.AddClutter(group)
	w := ask(s, "GET", fmt.Sprintf("/role_assignments?applies_to_type=Group&applies_to_id=%d&limit=250", group), "")
	for _, has := range []string{"group_manager", `"assignee_type":"Team"`, `"assignee_type":"Guest"`} {
		if !strings.Contains(w.Body.String(), has) {
			t.Errorf("no %s in %s", has, w.Body)
		}
	}
	if got := s.Holders(group); len(got) != 0 {
		t.Errorf("%v open the doors, want nobody: what is there is no access", got)
	}
}

func TestBreachesArePoliced(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(s *kisisim.Server, group, ada int)
		want string
	}{
		{"no key", func(s *kisisim.Server, _, _ int) {
			ask(s, "GET", "/user", "", func(r *http.Request) { r.Header.Del("Authorization") })
		}, "no key"},
		{"two live assignments", func(s *kisisim.Server, group, ada int) {
			s.SetOptions(func(o *kisisim.Options) { o.DoubleAssignments = true })
			ask(s, "POST", "/role_assignments", grantBody(ada, group))
			ask(s, "POST", "/role_assignments", grantBody(ada, group))
		}, "2 live assignments"},
		{"a deleted user", func(s *kisisim.Server, _, ada int) { ask(s, "DELETE", fmt.Sprintf("/users/%d", ada), "") }, "was deleted"},
		{"a deprecated route", func(s *kisisim.Server, _, _ int) { ask(s, "GET", "/members", "") }, "deprecated"},
		{"too many requests", func(s *kisisim.Server, _, _ int) {
			s.SetOptions(func(o *kisisim.Options) { o.Rate = 0 })
			for range 6 {
				ask(s, "GET", "/user", "")
			}
		}, "request 6 within a second"},
		{"a row that is protected", func(s *kisisim.Server, group, ada int) {
			id := s.AddAssignment(kisisim.Assignment{AppliesToID: group, AssigneeID: ada})
			s.Protect(id)
			ask(s, "DELETE", fmt.Sprintf("/role_assignments/%d", id), "")
		}, "is not the bridge's to delete"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var told []string
			s := kisisim.New(kisisim.Options{Rate: -1, Violation: func(v string) { told = append(told, v) }})
			tc.do(s, s.AddGroup("HQ doors"), s.AddUser("ada@contoso.example", "Ada"))
			if len(told) != 1 || !strings.Contains(told[0], tc.want) {
				t.Errorf("told %q, want one of %q", told, tc.want)
			}
			if diff := cmp.Diff(told, s.Violations()); diff != "" {
				t.Errorf("kept otherwise than told:\n%s", diff)
			}
		})
	}
}

func TestMailFollowsAccessAndSendEmails(t *testing.T) {
	s := fast()
	group := s.AddGroup("HQ doors")
	create := func(email string, sends bool) int {
		w := ask(s, "POST", "/users", fmt.Sprintf(`{"user":{"email":%q,"send_emails":%v,"confirm":true}}`, email, sends))
		var u struct{ ID int }
		if err := json.Unmarshal(w.Body.Bytes(), &u); err != nil {
			t.Fatal(err)
		}
		return u.ID
	}
	for email, sends := range map[string]bool{"loud@contoso.example": true, "silent@contoso.example": false} {
		ask(s, "POST", "/role_assignments", grantBody(create(email, sends), group))
	}
	if mails := s.Mails(); len(mails) != 1 || mails[0].To != "loud@contoso.example" {
		t.Errorf("mails %v, want one to loud", mails)
	}
}

func TestANewUserIsMissingFromSearchesForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kisisim.New(kisisim.Options{Rate: -1, SearchLag: 3 * time.Second})
		ask(s, "POST", "/users", `{"user":{"email":"ada@contoso.example"}}`)
		found := func() bool { return strings.Contains(ask(s, "GET", "/users?email=ada", "").Body.String(), "ada@") }
		if found() {
			t.Error("found at once")
		}
		if w := ask(s, "POST", "/users", `{"user":{"email":"ada@contoso.example"}}`); w.Code != 409 {
			t.Errorf("a second of the same email: %d, want 409", w.Code)
		}
		time.Sleep(3 * time.Second)
		if !found() {
			t.Error("not found after the lag")
		}
	})
}

func TestFaultsAreWithoutEffectUnlessTheAnswerIsLost(t *testing.T) {
	s := fast()
	s.SetFault(kisisim.Fault{Route: "POST /users", Status: 502, Body: "<html>", Times: 1})
	if w := ask(s, "POST", "/users", `{"user":{"email":"ada@contoso.example"}}`); w.Code != 502 || len(s.Users()) != 0 {
		t.Errorf("%d with %d users, want 502 and none", w.Code, len(s.Users()))
	}
	s.SetFault(kisisim.Fault{Route: "POST /users", Lost: true, Skip: 1, Times: 1})
	ask(s, "POST", "/users", `{"user":{"email":"bob@contoso.example"}}`)
	func() {
		defer func() {
			if p := recover(); fmt.Sprint(p) != http.ErrAbortHandler.Error() {
				t.Error("the answer was not lost")
			}
		}()
		ask(s, "POST", "/users", `{"user":{"email":"cy@contoso.example"}}`)
	}()
	if n := len(s.Users()); n != 2 {
		t.Errorf("%d users, want bob and cy", n)
	}
}

func TestTheThreeShapesOf429(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kisisim.New(kisisim.Options{TolerateRate: true})
		var shapes []string
		for k := range 8 {
			w := ask(s, "GET", "/user", "")
			if k >= 5 {
				shapes = append(shapes, fmt.Sprintf("%d %s %v", w.Code, w.Header().Get("Retry-After"), w.Body.Len() > 0))
			}
		}
		if diff := cmp.Diff([]string{"429 1 true", "429  false", "429  true"}, shapes); diff != "" {
			t.Errorf("shapes (-want +got):\n%s", diff)
		}
		time.Sleep(time.Second)
		if w := ask(s, "GET", "/user", ""); w.Code != 200 {
			t.Errorf("a second later %d, want 200", w.Code)
		}
		if v := s.Violations(); len(v) != 0 {
			t.Errorf("violations %v, want none: the rate is tolerated", v)
		}
	})
}

func TestAPersonCanReadAndChangeItOverHTTP(t *testing.T) {
	s := fast()
	s.AddGroup("HQ doors")
	s.AddTeam("Guards")
	for _, tc := range []struct {
		method, path, body string
		status             int
		has                string
	}{
		{"PUT", "/_sim/groups/HQ%20doors/holders/ada@contoso.example", "", 200, ""},
		{"GET", "/_sim/groups/HQ%20doors/holders", "", 200, "ada@contoso.example"},
		{"GET", "/_sim/state", "", 200, `"holders":["ada@contoso.example"]`},
		{"PATCH", "/_sim/users/ada@contoso.example", `{"access_enabled":false,"name":"Ada"}`, 200, ""},
		{"GET", "/users?email=ada", "", 200, `"access_enabled":false`},
		{"PATCH", "/_sim/users/nobody@contoso.example", `{"access_enabled":false}`, 404, "nobody"},
		{"DELETE", "/_sim/groups/HQ%20doors/holders/ada@contoso.example", "", 200, "1"},
		{"PUT", "/_sim/users/bob@contoso.example", "", 200, "10"},
		{"PUT", "/_sim/teams/guards/members/bob@contoso.example", "", 200, ""},
		{"GET", "/_sim/teams/guards/members", "", 200, "bob@contoso.example"},
		{"DELETE", "/_sim/teams/guards/members/bob@contoso.example", "", 200, "1"},
		{"DELETE", "/_sim/users/bob@contoso.example", "", 200, "gone"},
		{"POST", "/_sim/assignments", `{"role_id":"group_manager","applies_to_id":101,"assignee_id":103}`, 200, ""},
		{"GET", "/_sim/assignments", "", 200, `"role_id":"group_manager"`},
		{"DELETE", "/_sim/assignments/109", "", 200, "gone"},
		{"GET", "/_sim/groups/nowhere/holders", "", 404, "GET /_sim/state lists them"},
		{"POST", "/_sim/faults", `{"route":"GET /user","status":500}`, 200, "500"},
		{"POST", "/_sim/faults", `{"rout":"GET /user"}`, 400, "rout"},
		{"GET", "/user", "", 500, "ffffff"},
		{"DELETE", "/_sim/faults", "", 200, "cleared"},
		{"POST", "/_sim/options", `{"rate":1,"search_lag":"2s"}`, 200, "set"},
		{"POST", "/_sim/options", `{"search_lag":"soon"}`, 400, "use a duration"},
		{"GET", "/_sim/violations", "", 200, "[]"},
		{"GET", "/_sim/mails", "", 200, "null"},
		{"GET", "/_sim/calls", "", 200, "/user"},
	} {
		w := ask(s, tc.method, tc.path, tc.body)
		if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.has) {
			t.Errorf("%s %s: %d %s, want %d with %s", tc.method, tc.path, w.Code, w.Body, tc.status, tc.has)
		}
	}
}
