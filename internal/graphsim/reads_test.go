package graphsim

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAccountEnabledComesOnlyWhenSelected(t *testing.T) {
	w := newWorld(t, Options{})
	w.person("ada")
	if _, there := w.get("/v1.0/users/ada").body["accountEnabled"]; there {
		t.Error("accountEnabled came without being selected")
	}
	got := w.get("/v1.0/users/ADA@contoso.example?$select=id,mail,accountEnabled,userType").body
	want := object{"id": "ada", "mail": "ada@contoso.example", "accountEnabled": true, "userType": "Member"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ada (-want +got):\n%s", diff)
	}
}

func TestGuestsAreFoundByTheirEscapedName(t *testing.T) {
	w := newWorld(t, Options{})
	w.AddUser(User{ID: "ada", UserPrincipalName: "ada_fabrikam.example#EXT#@contoso.example", UserType: "Guest"})
	got := w.get("/v1.0/users/ada_fabrikam.example%23EXT%23@contoso.example?$select=userType,mail").body
	if diff := cmp.Diff(object{"id": "ada", "userType": "Guest", "mail": nil}, got); diff != "" {
		t.Errorf("guest (-want +got):\n%s", diff)
	}
}

func TestDeletedPeopleAreNotFoundButStayInMemberLists(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada", "bob")
	w.DeleteUser("ada")
	w.want(http.StatusNotFound, "GET", "/v1.0/users/ada", "")
	got := w.get("/v1.0/users?$filter=id in ('ada','bob')&$select=id").pluck("id")
	if diff := cmp.Diff([]any{"bob"}, got); diff != "" {
		t.Errorf("people by id (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{"ada", "bob"}, w.get("/v1.0/groups/hq/members").pluck("id")); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	w.HideDeleted(true)
	if diff := cmp.Diff([]any{"bob"}, w.get("/v1.0/groups/hq/members").pluck("id")); diff != "" {
		t.Errorf("members without the deleted (-want +got):\n%s", diff)
	}
}

func TestMemberListsHoldAllKindsAndCastsOnlyPeople(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	w.group("inner", "bob")
	w.AddDevice("gate")
	w.Join("hq", "inner", "gate")
	w.Join("inner", "hq") // a circle

	eventual := []string{"ConsistencyLevel", "eventual"}
	for _, tc := range []struct {
		path string
		want []any
	}{
		{"members", []any{"ada", "gate", "inner"}},
		{"members/microsoft.graph.user", []any{"ada"}},
		{"transitiveMembers", []any{"ada", "bob", "gate", "inner"}},
		{"transitiveMembers/microsoft.graph.user?$count=true", []any{"ada", "bob"}},
	} {
		r := w.get("/v1.0/groups/hq/"+tc.path, eventual...)
		if diff := cmp.Diff(tc.want, r.pluck("id")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.path, diff)
		}
	}
	got := w.get("/v1.0/groups/hq/members?$select=id,mail").values()
	want := []object{
		{"@odata.type": "#microsoft.graph.user", "id": "ada", "mail": "ada@contoso.example"},
		{"@odata.type": "#microsoft.graph.device", "id": "gate"},
		{"@odata.type": "#microsoft.graph.group", "id": "inner", "mail": nil},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plain members (-want +got):\n%s", diff)
	}
	count := w.get("/v1.0/groups/hq/members/$count", eventual...)
	if diff := cmp.Diff("3", count.text); diff != "" {
		t.Errorf("$count (-want +got):\n%s", diff)
	}
}

func TestMemberListsComeInPages(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada", "bob", "cai", "dee", "eve")
	var got []any
	pages := 0
	for link, more := "/v1.0/groups/hq/members?$select=id&$top=2", true; more; pages++ {
		page := w.get(link)
		got = append(got, page.pluck("id")...)
		link, more = page.body["@odata.nextLink"].(string)
	}
	if diff := cmp.Diff([]any{"ada", "bob", "cai", "dee", "eve"}, got); diff != "" || pages != 3 {
		t.Errorf("%d pages, want 3 (-want +got):\n%s", pages, diff)
	}
}

func TestPlainMemberListsHaveALagOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.group("hq", "ada")
		time.Sleep(time.Hour)
		w.SetMemberLag(time.Minute)
		w.Leave("hq", "ada")
		if got := w.get("/v1.0/groups/hq/members").values(); len(got) != 1 {
			t.Errorf("the list holds %v, want ada for a minute yet", got)
		}
		time.Sleep(time.Minute)
		if got := w.get("/v1.0/groups/hq/members").values(); len(got) != 0 {
			t.Errorf("the list holds %v, want nobody", got)
		}
	})
}

func TestWithoutThePermissionPeopleAreBareIDs(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	w.HidePeople(true)
	want := object{"id": "ada", "mail": nil, "accountEnabled": nil, "@odata.type": "#microsoft.graph.user"}
	got := w.get("/v1.0/groups/hq/members?$select=id,mail,accountEnabled").values()[0]
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("member (-want +got):\n%s", diff)
	}
	w.want(http.StatusForbidden, "POST", "/v1.0/subscriptions", subscription("users"))
}

func TestGroupsAreSearchedByName(t *testing.T) {
	w := newWorld(t, Options{})
	w.AddGroup("1", "HQ doors")
	w.AddGroup("2", "Annex of HQ")
	w.AddGroup("3", "Laboratory")
	w.AddGroup("4", "HQ cellar")
	w.DeleteGroup("4")
	search := `/v1.0/groups?$search="displayName:hq"&$count=true&$select=displayName`
	r := w.get(search, "ConsistencyLevel", "eventual")
	if diff := cmp.Diff([]any{"Annex of HQ", "HQ doors"}, r.pluck("displayName")); diff != "" {
		t.Errorf("$search (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(float64(2), r.body["@odata.count"]); diff != "" {
		t.Errorf("@odata.count (-want +got):\n%s", diff)
	}
	r = w.get("/v1.0/groups?$filter=startswith(displayName,'hq')&$top=1")
	if diff := cmp.Diff([]any{"HQ doors"}, r.pluck("displayName")); diff != "" {
		t.Errorf("startswith (-want +got):\n%s", diff)
	}
	w.refused("GET", search, "")
}

func TestABatchAnswersEachItemOnItsOwn(t *testing.T) {
	w := newWorld(t, Options{})
	w.person("ada", "bob")
	w.SetFault(Fault{Route: "BATCH GET /users/bob", Status: 429, RetryAfter: 7, Times: 1})
	r := w.want(http.StatusOK, "POST", "/v1.0/$batch", `{"requests":[
		{"id":"1","method":"GET","url":"/users/ada?$select=id,mail"},
		{"id":"2","method":"GET","url":"/users/bob?$select=id"},
		{"id":"3","method":"GET","url":"/users/zoe?$select=id"},
		{"id":"4","method":"GET","url":"/users/ada","dependsOn":["3"]},
		{"id":"5","method":"POST","url":"/users/ada/checkMemberGroups","headers":{"Content-Type":"application/json"},
		 "body":{"groupIds":["hq"]}}]}`)
	got := map[string]float64{}
	for _, a := range r.body["responses"].([]any) {
		a := a.(object)
		got[a["id"].(string)] = a["status"].(float64)
		if after := a["headers"].(object)["Retry-After"]; a["id"] == "2" && after != "7" {
			t.Errorf("the throttled item says Retry-After %v, want 7", after)
		}
	}
	if diff := cmp.Diff(map[string]float64{"1": 200, "2": 429, "3": 404, "4": 424, "5": 200}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if got := w.Calls("BATCH GET /users/"); got != 3 {
		t.Errorf("%d items were read, want 3", got)
	}
}

func TestCheckMemberGroupsSeesNestedMembership(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("inner", "ada")
	w.group("hq")
	w.group("lab")
	w.Join("hq", "inner")
	w.Join("inner", "hq")
	r := w.want(http.StatusOK, "POST", "/v1.0/users/ada/checkMemberGroups", `{"groupIds":["hq","inner","lab"]}`)
	if diff := cmp.Diff([]any{"hq", "inner"}, r.body["value"]); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestCheckMemberGroupsIsStrict(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	const check = "/v1.0/users/ada/checkMemberGroups"
	w.refused("POST", check, `{"groupIds":[]}`)
	w.refused("POST", check, `{"groupIds":[""]}`)
	w.refused("POST", check, `{"groupIds":["`+strings.Repeat(`hq","`, 20)+`hq"]}`)
	w.refused("POST", check+"?$select=id", `{"groupIds":["hq"]}`)
	w.DeleteUser("ada")
	w.want(http.StatusNotFound, "POST", check, `{"groupIds":["hq"]}`)
	w.HidePeople(true)
	w.want(http.StatusForbidden, "POST", check, `{"groupIds":["hq"]}`)
}

func TestAPriorityIsLowNormalOrHigh(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	const header = "x-ms-throttle-priority"
	for _, p := range []string{"low", "normal", "high"} {
		w.get("/v1.0/groups/hq", header, p)
	}
	*w.breach = true
	w.want(http.StatusBadRequest, "GET", "/v1.0/groups/hq", "", header, "urgent")
	r := w.want(http.StatusOK, "POST", "/v1.0/$batch",
		`{"requests":[{"id":"1","method":"GET","url":"/users/ada","headers":{"`+header+`":"Low"}}]}`)
	if status := r.body["responses"].([]any)[0].(object)["status"]; status != float64(http.StatusBadRequest) {
		t.Errorf("an item of a batch with a wrong priority answered %v", status)
	}
	if got := len(w.Violations()); got != 2 {
		t.Errorf("%d violations, want 2: %v", got, w.Violations())
	}
}

func TestEachPageOfASearchNeedsItsHeader(t *testing.T) {
	w := newWorld(t, Options{})
	for _, id := range []string{"a", "b", "c"} {
		w.AddGroup(id, "doors of "+id)
	}
	const search, header = `/v1.0/groups?$search="displayName:doors"&$top=1`, "ConsistencyLevel"
	next := w.get(search, header, "eventual").body["@odata.nextLink"].(string)
	w.refused("GET", next, "")
	if diff := cmp.Diff([]any{"b"}, w.get(next, header, "eventual").pluck("id")); diff != "" {
		t.Errorf("second page (-want +got):\n%s", diff)
	}
	w.get(w.get("/v1.0/groups?$top=1").body["@odata.nextLink"].(string))
}

func TestGetByIDsResolvesAnyKindWithoutAccountEnabled(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	r := w.want(http.StatusOK, "POST", "/v1.0/directoryObjects/getByIds", `{"ids":["hq","ada","nobody"]}`)
	if diff := cmp.Diff([]any{"hq", "ada"}, r.pluck("id")); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	if _, there := r.values()[1]["accountEnabled"]; there {
		t.Error("getByIds told accountEnabled")
	}
	r = w.want(http.StatusOK, "POST", "/v1.0/directoryObjects/getByIds", `{"ids":["hq","ada"],"types":["user"]}`)
	if diff := cmp.Diff([]any{"ada"}, r.pluck("id")); diff != "" {
		t.Errorf("people only (-want +got):\n%s", diff)
	}
}

func TestBodiesMayBePacked(t *testing.T) {
	w := newWorld(t, Options{})
	w.person("ada")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(`{"ids":["ada"]}`)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	w.want(http.StatusOK, "POST", "/v1.0/directoryObjects/getByIds", packed.String(), "Content-Encoding", "gzip")
}

func TestTheOrganizationIsTheTenant(t *testing.T) {
	w := newWorld(t, Options{Tenant: "t1"})
	if diff := cmp.Diff([]any{"t1"}, w.get("/v1.0/organization?$select=id").pluck("id")); diff != "" {
		t.Errorf("organization (-want +got):\n%s", diff)
	}
}

func TestReadsRefuseWhatTheContractDoesNotName(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	ids := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprint("u", i)
		}
		return strings.Join(list, "','")
	}
	items := func(n int) string {
		list := make([]batchItem, n)
		for i := range list {
			list[i] = batchItem{ID: fmt.Sprint(i), Method: "GET", URL: "/users/ada"}
		}
		text, _ := json.Marshal(map[string]any{"requests": list})
		return string(text)
	}
	for _, tc := range []struct{ name, method, target, body string }{
		{"unknown route", "GET", "/v1.0/me", ""},
		{"unknown method", "DELETE", "/v1.0/users/ada", ""},
		{"unknown option", "GET", "/v1.0/users/ada?$expand=manager", ""},
		{"option without $", "GET", "/v1.0/users/ada?select=id", ""},
		{"unknown property", "GET", "/v1.0/users/ada?$select=shoeSize", ""},
		{"member property of a group", "GET", "/v1.0/groups/hq?$select=accountEnabled", ""},
		{"page too large", "GET", "/v1.0/groups/hq/members?$top=1000", ""},
		{"16 ids", "GET", "/v1.0/users?$filter=id in ('" + ids(16) + "')", ""},
		{"everybody", "GET", "/v1.0/users", ""},
		{"filter of something else", "GET", "/v1.0/users?$filter=mail eq 'a'", ""},
		{"id without quotes", "GET", "/v1.0/users?$filter=id eq ada", ""},
		{"made-up page", "GET", "/v1.0/groups/hq/members?$skiptoken=1", ""},
		{"count without the header", "GET", "/v1.0/groups/hq/members/$count", ""},
		{"nested cast without a count", "GET", "/v1.0/groups/hq/transitiveMembers/microsoft.graph.user", ""},
		{"search without quotes", "GET", "/v1.0/groups?$search=displayName:hq", ""},
		{"unknown field", "POST", "/v1.0/directoryObjects/getByIds", `{"ids":["ada"],"what":1}`},
		{"1,001 ids", "POST", "/v1.0/directoryObjects/getByIds", `{"ids":["` + strings.ReplaceAll(ids(1001), "'", `"`) + `"]}`},
		{"accountEnabled by getByIds", "POST", "/v1.0/directoryObjects/getByIds?$select=accountEnabled", `{"ids":["ada"]}`},
		{"broken JSON", "POST", "/v1.0/$batch", `{"requests":`},
		{"21 items", "POST", "/v1.0/$batch", items(21)},
		{"the same id twice", "POST", "/v1.0/$batch", strings.ReplaceAll(items(2), `"1"`, `"0"`)},
		{"absolute item", "POST", "/v1.0/$batch", strings.ReplaceAll(items(1), "/users", graphHost+"/v1.0/users")},
		{"versioned item", "POST", "/v1.0/$batch", strings.ReplaceAll(items(1), "/users", "/v1.0/users")},
	} {
		t.Run(tc.name, func(t *testing.T) { w.in(t).refused(tc.method, tc.target, tc.body) })
	}
}
