package graphsim

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDeltaLiesOnceAboutWhoLeft(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada", "bob", "cai")
	w.group("lab", "ada")
	_, link := w.round(groupsDelta("hq"))
	_, other := w.round(groupsDelta("lab"))

	w.SetFalseLeave("hq", "ada", "bob")
	w.wantRound(other, tale{})
	w.wantRound(groupsDelta("hq"), tale{"hq": {"+ada", "+bob", "+cai"}})
	w.Leave("hq", "cai")
	link = w.wantRound(link, tale{"hq": {"-cai", "-ada", "-bob"}})
	link = w.wantRound(link, tale{})
	if diff := cmp.Diff([]string{"ada", "bob"}, w.Members("hq")); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}

	w.SetFalseLeave("hq", "ada")
	link = w.wantRound(link, tale{"hq": {"-ada"}})
	w.SetFalseLeave("hq", "ada")
	w.SetFalseLeave("hq")
	w.wantRound(link, tale{})
}

func TestMemberListsOmitPeopleUntilTheyAreToldNotTo(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada", "bob")
	const list = "/v1.0/groups/hq/members?$select=id"
	w.SetFalseMembers("hq", "ada")
	for range 2 {
		if diff := cmp.Diff([]any{"bob"}, w.get(list).pluck("id")); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
	}
	r := w.want(http.StatusOK, "POST", "/v1.0/users/ada/checkMemberGroups", `{"groupIds":["hq"]}`)
	if diff := cmp.Diff([]any{"hq"}, r.body["value"]); diff != "" {
		t.Errorf("groups of the one who is omitted (-want +got):\n%s", diff)
	}
	w.SetFalseMembers("hq")
	if diff := cmp.Diff([]any{"ada", "bob"}, w.get(list).pluck("id")); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestTheQuotaCanChange(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq")
	w.subscribe("groups")
	w.subscribe("groups/hq")
	w.SetQuota(2)
	w.want(http.StatusForbidden, "POST", "/v1.0/subscriptions", subscription("users"))
	w.want(http.StatusOK, "POST", "/_sim/quota", `{"quota":3}`)
	w.subscribe("users")
	w.want(http.StatusForbidden, "POST", "/v1.0/subscriptions", subscription("users", "changeType", "deleted"))
}

func TestLiesCanBeToldByHand(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada", "bob")
	_, link := w.round(groupsDelta())
	w.want(http.StatusOK, "POST", "/_sim/groups/hq doors/lies", `{"left":["ada@contoso.example"],"missing":["bob"]}`)
	w.wantRound(link, tale{"hq": {"-ada"}})
	if diff := cmp.Diff([]any{"ada"}, w.get("/v1.0/groups/hq/members").pluck("id")); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	w.want(http.StatusOK, "POST", "/_sim/groups/hq/lies", `{}`)
	if diff := cmp.Diff([]any{"ada", "bob"}, w.get("/v1.0/groups/hq/members").pluck("id")); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}
