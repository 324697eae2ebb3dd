package graphsim

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPeopleCanBeMovedByHandUnderTheirNames(t *testing.T) {
	w := newWorld(t, Options{})
	w.want(http.StatusOK, "POST", "/_sim/groups", `{"id":"hq","displayName":"HQ doors"}`)
	r := w.want(http.StatusOK, "POST", "/_sim/users", `{"userPrincipalName":"ada@contoso.example","mail":"ada@contoso.example"}`)
	ada := r.body["id"].(string)

	w.want(http.StatusOK, "PUT", "/_sim/groups/hq doors/members/ada@contoso.example", "", "Authorization", "")
	if diff := cmp.Diff([]string{ada}, w.Members("hq")); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	w.want(http.StatusOK, "PATCH", "/_sim/users/"+ada, `{"enabled":false,"mail":null,"displayName":"Ada"}`)
	got, _ := w.User(ada)
	want := User{ID: ada, DisplayName: "Ada", UserPrincipalName: "ada@contoso.example", UserType: "Member"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ada (-want +got):\n%s", diff)
	}
	w.want(http.StatusOK, "DELETE", "/_sim/groups/hq/members/"+ada, "")
	if got := w.Members("hq"); len(got) != 0 {
		t.Errorf("members left: %v", got)
	}
	if got := w.Calls(""); got != 0 {
		t.Errorf("the control counted as %d calls of Graph", got)
	}
}

func TestTheStateCanBeRead(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	w.DeleteUser("ada")
	id := w.subscribe("groups")
	got := w.get("/_sim/state").body
	subs := got["subscriptions"].([]any)
	if len(subs) != 1 || subs[0].(object)["id"] != id {
		t.Errorf("subscriptions %v, want %s", subs, id)
	}
	delete(got, "subscriptions")
	want := object{
		"users": []any{object{
			"id": "ada", "displayName": "ada", "userPrincipalName": "ada@contoso.example", "mail": "ada@contoso.example",
			"accountEnabled": true, "userType": "Member", "deleted": true,
		}},
		"groups": []any{object{"id": "hq", "displayName": "hq doors", "members": []any{"ada"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestPeopleAndGroupsCanBeDeletedAndRestoredByHand(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	w.want(http.StatusOK, "DELETE", "/_sim/users/ada@contoso.example", "")
	w.want(http.StatusNotFound, "PATCH", "/_sim/users/ada", `{"enabled":true}`)
	w.want(http.StatusOK, "POST", "/_sim/users/ada/restore", "")
	if _, there := w.User("ada"); !there {
		t.Error("ada was not restored")
	}
	w.want(http.StatusOK, "DELETE", "/_sim/users/ada?purge=true", "")
	if got := w.Members("hq"); len(got) != 0 {
		t.Errorf("members left after a purge: %v", got)
	}
	w.want(http.StatusOK, "DELETE", "/_sim/groups/hq", "")
	w.want(http.StatusNotFound, "GET", "/v1.0/groups/hq", "")
	w.want(http.StatusOK, "POST", "/_sim/groups/hq/restore", "")
	w.get("/v1.0/groups/hq")
}

func TestTroubleCanBeMadeByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.group("hq", "ada")
		id := w.subscribe("groups/hq", "lifecycleNotificationUrl", "https://bridge.example/lifecycle")
		post := func(path, body string) { w.want(http.StatusOK, "POST", "/_sim/"+path, body) }

		post("faults", `{"route":"GET /v1.0/groups","status":500,"hang":"5s"}`)
		began := time.Now()
		w.want(http.StatusInternalServerError, "GET", "/v1.0/groups/hq", "")
		if diff := cmp.Diff(5*time.Second, time.Since(began)); diff != "" {
			t.Errorf("hung (-want +got):\n%s", diff)
		}
		w.want(http.StatusOK, "DELETE", "/_sim/faults", "")

		_, link := w.round(groupsDelta())
		post("lag", `{"delta":"1m"}`)
		post("delivery", `{"delay":"2m"}`)
		w.Leave("hq", "ada")
		w.wantRound(link, tale{})
		w.wantHeard()
		time.Sleep(2 * time.Minute)
		w.wantHeard("updated Groups/hq -ada")
		w.wantRound(link, tale{"hq": {"-ada"}})

		post("links/expire", "")
		w.want(http.StatusGone, "GET", link, "")
		post("links/expire", `{"status":400}`)
		w.want(http.StatusBadRequest, "GET", link, "")

		post("delivery", `{}`)
		post("subscriptions/"+id+"/lifecycle", `{"event":"missed"}`)
		w.wantHeard("missed")
		post("permissions", `{"denySubscriptions":true}`)
		w.want(http.StatusForbidden, "POST", "/v1.0/subscriptions", subscription("users"))
		w.want(http.StatusOK, "DELETE", "/_sim/subscriptions/"+id, "")
		if got := w.Subscriptions(); len(got) != 0 {
			t.Errorf("subscriptions left: %v", got)
		}
	})
}

func TestCallsAndViolationsCanBeRead(t *testing.T) {
	w := newWorld(t, Options{})
	w.refused("GET", "/v1.0/me", "")
	w.get("/v1.0/organization")
	if got := w.get("/_sim/calls?prefix=GET /v1.0/org").body["count"]; got != float64(1) {
		t.Errorf("count is %v, want 1", got)
	}
	want := []any{"GET /v1.0/me: no such route"}
	if diff := cmp.Diff(want, w.get("/_sim/violations").body["violations"]); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
}

func TestTheControlSaysWhatIsWrong(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	for _, tc := range []struct {
		method, target, body string
		status               int
		want                 string
	}{
		{"PUT", "/_sim/groups/lab/members/ada", "", 404, `there is no group "lab"`},
		{"PUT", "/_sim/groups/hq/members/zoe", "", 404, `there is no person, group or device "zoe"`},
		{"DELETE", "/_sim/users/zoe", "", 404, `there is no user "zoe"`},
		{"POST", "/_sim/users", `{}`, 400, "userPrincipalName is needed, such as ada@contoso.example"},
		{"POST", "/_sim/users", `{"userPrincipalName":"ada@contoso.example"}`, 409, "ada@contoso.example exists already"},
		{"POST", "/_sim/groups", `{}`, 400, `displayName is needed, such as "HQ doors"`},
		{"POST", "/_sim/faults", `{"status":200}`, 400, "status must be 400 to 599, not 200"},
		{"POST", "/_sim/links/expire", `{"status":200}`, 400, "status must be 410 or 400, not 200"},
		{"POST", "/_sim/quota", `{}`, 400, "quota is needed, such as 100"},
		{"POST", "/_sim/quota", `{"quota":-1}`, 400, "quota is needed, such as 100"},
		{"POST", "/_sim/groups/lab/lies", `{}`, 404, `there is no group "lab"`},
		{"POST", "/_sim/groups/hq/lies", `{"left":["zoe"]}`, 404, `there is no person, group or device "zoe"`},
		{"DELETE", "/_sim/subscriptions/x", "", 404, `there is no subscription "x"`},
		{"GET", "/_sim/weather", "", 404, "there is no route GET /_sim/weather"},
	} {
		r := w.want(tc.status, tc.method, tc.target, tc.body)
		if diff := cmp.Diff(tc.want, r.body["error"]); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tc.method, tc.target, diff)
		}
	}
	for _, body := range []string{`{"hang":5}`, `{"hang":"soon"}`, `{"what":1}`, `{`} {
		w.want(http.StatusBadRequest, "POST", "/_sim/faults", body)
	}
}
