package graphsim

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDeltaTellsTheWholeGroupFirstAndNetChangesAfter(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada", "bob")
	w.group("lab", "cai")

	link := w.wantRound(groupsDelta("hq"), tale{"hq": {"+ada", "+bob"}})
	link = w.wantRound(link, tale{})

	w.person("dee", "eve")
	w.Join("hq", "dee", "eve")
	w.Leave("hq", "ada", "dee") // dee came and went: no net change
	w.Join("lab", "dee")        // another stream
	link = w.wantRound(link, tale{"hq": {"-ada", "+eve"}})

	w.Leave("hq", "bob")
	w.Join("hq", "bob")
	w.wantRound(link, tale{})
}

func TestDeltaGivesMembersTheirTypeAndRemovedOnesAReason(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	w.group("inner")
	w.AddDevice("gate")
	w.AddServicePrincipal("robot")
	w.Join("hq", "inner", "gate", "robot")

	page := w.get(groupsDelta("hq"))
	want := []object{{"id": "hq", "displayName": "hq doors", "members@delta": []any{
		object{"@odata.type": "#microsoft.graph.user", "id": "ada"},
		object{"@odata.type": "#microsoft.graph.device", "id": "gate"},
		object{"@odata.type": "#microsoft.graph.group", "id": "inner"},
		object{"@odata.type": "#microsoft.graph.servicePrincipal", "id": "robot"},
	}}}
	if diff := cmp.Diff(want, page.values()); diff != "" {
		t.Errorf("first round (-want +got):\n%s", diff)
	}

	w.Leave("hq", "ada")
	w.AddGroup("hq", "Headquarters")
	page = w.get(page.body["@odata.deltaLink"].(string))
	want = []object{{"id": "hq", "displayName": "Headquarters", "members@delta": []any{
		object{"@odata.type": "#microsoft.graph.user", "id": "ada", "@removed": object{"reason": "deleted"}},
	}}}
	if diff := cmp.Diff(want, page.values()); diff != "" {
		t.Errorf("second round (-want +got):\n%s", diff)
	}
}

func TestMembersAreAbsentFromDeltaWhenNoneChanged(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	_, link := w.round(groupsDelta())
	w.AddGroup("hq", "Headquarters")
	want := []object{{"id": "hq", "displayName": "Headquarters"}}
	if diff := cmp.Diff(want, w.get(link).values()); diff != "" {
		t.Errorf("after a rename (-want +got):\n%s", diff)
	}
}

func TestDeltaPagesSplitGroupsAndMixThem(t *testing.T) {
	w := newWorld(t, Options{PageSize: 10})
	want := tale{}
	for _, g := range []string{"hq", "lab"} {
		w.group(g)
		for i := range 35 {
			id := fmt.Sprintf("%s%02d", g, i)
			w.person(id)
			w.Join(g, id)
			want[g] = append(want[g], "+"+id)
		}
	}
	w.wantRound(groupsDelta(), want)

	mixed, empty := 0, 0
	for link, more := groupsDelta(), true; more; {
		page := w.get(link)
		switch ids := page.pluck("id"); len(ids) {
		case 0:
			empty++
		case 2:
			mixed++
		}
		link, more = page.body["@odata.nextLink"].(string)
		_, last := page.body["@odata.deltaLink"]
		if more == last {
			t.Errorf("a page must bear a next link or a delta link, and not both: %v", page.body)
		}
	}
	if mixed == 0 || empty == 0 {
		t.Errorf("of the pages %d were mixed and %d empty, want some of each", mixed, empty)
	}
}

func TestAPageReadTwiceSaysTheSame(t *testing.T) {
	w := newWorld(t, Options{PageSize: 2})
	w.group("hq", "ada", "bob", "cai", "dee", "eve")
	next := w.get(groupsDelta()).body["@odata.nextLink"].(string)
	first, _ := w.round(next)
	w.Leave("hq", "dee") // belongs to the next round
	second, _ := w.round(next)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("second reading (-first +second):\n%s", diff)
	}
}

func TestChangesMadeDuringARoundComeInTheNext(t *testing.T) {
	w := newWorld(t, Options{PageSize: 2})
	w.group("hq", "ada", "bob", "cai")
	next := w.get(groupsDelta()).body["@odata.nextLink"].(string)
	w.Leave("hq", "ada")
	_, link := w.round(next)
	w.wantRound(link, tale{"hq": {"-ada"}})
}

func TestDeletedGroupsComeAsRemoved(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	w.group("lab", "bob")
	_, link := w.round(groupsDelta())

	w.DeleteGroup("hq")
	link = w.wantRound(link, tale{"hq": {"removed: changed"}})
	w.wantRound(groupsDelta(), tale{"lab": {"+bob"}})

	for _, read := range []string{"hq", "hq/members", "hq/transitiveMembers"} {
		w.want(http.StatusNotFound, "GET", "/v1.0/groups/"+read, "")
	}
	w.want(http.StatusNotFound, "POST", "/v1.0/subscriptions", subscription("groups/hq"))
	r := w.want(http.StatusOK, "POST", "/v1.0/users/ada/checkMemberGroups", `{"groupIds":["hq"]}`)
	if diff := cmp.Diff([]any{}, r.body["value"]); diff != "" {
		t.Errorf("groups that are deleted and hold ada (-want +got):\n%s", diff)
	}

	w.RestoreGroup("hq")
	link = w.wantRound(link, tale{"hq": {"+ada"}})
	if diff := cmp.Diff([]any{"ada"}, w.get("/v1.0/groups/hq/members").pluck("id")); diff != "" {
		t.Errorf("members once it is restored (-want +got):\n%s", diff)
	}

	w.PurgeGroup("hq")
	link = w.wantRound(link, tale{"hq": {"removed: deleted"}})
	w.wantRound(link, tale{})
}

func TestGroupDeltaIsSilentAboutSoftDeletedPeopleUntilTheyArePurged(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada", "bob")
	_, link := w.round(groupsDelta())

	w.DeleteUser("ada")
	w.UpdateUser("bob", func(u *User) { u.AccountEnabled = false })
	link = w.wantRound(link, tale{})
	if diff := cmp.Diff([]string{"ada", "bob"}, w.Members("hq")); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}

	w.PurgeUser("ada")
	w.wantRound(link, tale{"hq": {"-ada"}})
}

func TestUsersDeltaTellsOfLeavers(t *testing.T) {
	w := newWorld(t, Options{})
	w.person("ada", "bob", "cai")
	first := graphHost + "/v1.0/users/delta?$select=id,userPrincipalName,accountEnabled"
	_, link := w.round(first)

	w.UpdateUser("ada", func(u *User) { u.AccountEnabled = false })
	w.DeleteUser("bob")
	w.PurgeUser("cai")
	page := w.get(link)
	want := []object{
		{"id": "ada", "userPrincipalName": "ada@contoso.example", "accountEnabled": false},
		{"id": "bob", "@removed": object{"reason": "changed"}},
		{"id": "cai", "@removed": object{"reason": "deleted"}},
	}
	if diff := cmp.Diff(want, page.values()); diff != "" {
		t.Errorf("users/delta (-want +got):\n%s", diff)
	}

	latest := w.wantRound(first+"&$deltatoken=latest", tale{})
	w.RestoreUser("bob")
	w.wantRound(latest, tale{"bob": nil})
	w.wantRound(page.body["@odata.deltaLink"].(string), tale{"bob": nil})
	w.wantRound(first+"&$filter=id eq 'bob'", tale{"bob": nil})
}

func TestLatestGivesALinkFromNowOn(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	link := w.wantRound(groupsDelta()+"&$deltatoken=latest", tale{})
	w.Leave("hq", "ada")
	w.wantRound(link, tale{"hq": {"-ada"}})
}

func TestReplayTellsTheRoundBeforeOnceMore(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada", "bob")
	_, link := w.round(groupsDelta())
	w.Leave("hq", "ada")
	_, link = w.round(link)

	w.SetReplay(true)
	link = w.wantRound(link, tale{"hq": {"-ada"}})
	w.wantRound(link, tale{})
}

func TestDeltaAcceptsEverySpellingOfTheFunction(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	for _, call := range []string{"delta", "delta()", "microsoft.graph.delta()"} {
		w.wantRound(graphHost+"/v1.0/groups/"+call+"?%24select=members", tale{"hq": {"+ada"}})
	}
}

func TestExpiredLinksAskForANewStart(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	w.group("lab", "bob")
	_, link := w.round(groupsDelta("hq"))

	w.ExpireLinks()
	gone := w.want(http.StatusGone, "GET", link, "")
	if diff := cmp.Diff("resyncRequired", gone.code()); diff != "" {
		t.Errorf("code (-want +got):\n%s", diff)
	}
	link = w.wantRound(gone.header.Get("Location"), tale{"hq": {"+ada"}})

	w.ForgetLinks()
	gone = w.want(http.StatusBadRequest, "GET", link, "")
	if diff := cmp.Diff("syncStateNotFound", gone.code()); diff != "" {
		t.Errorf("code (-want +got):\n%s", diff)
	}
}

func TestDeltaLinksLiveSevenDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.group("hq", "ada")
		_, link := w.round(groupsDelta())
		time.Sleep(7*24*time.Hour - time.Second)
		w.get(link)
		time.Sleep(time.Second)
		w.want(http.StatusBadRequest, "GET", link, "")
	})
}

func TestDeltaShowsChangesOnlyAfterTheReplicationLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.group("hq", "ada")
		w.SetReplicationLag(time.Minute)
		link := w.wantRound(groupsDelta(), tale{})

		time.Sleep(time.Minute)
		link = w.wantRound(link, tale{"hq": {"+ada"}})

		w.Leave("hq", "ada")
		w.DeleteUser("ada")
		time.Sleep(59 * time.Second)
		link = w.wantRound(link, tale{})
		w.wantRound(groupsDelta(), tale{"hq": {"+ada"}})
		if got := w.get("/v1.0/groups/hq/members").values(); len(got) != 0 {
			t.Errorf("the plain member list holds %v, want nobody: it has a lag of its own", got)
		}
		if got := w.get("/v1.0/groups/hq/members/microsoft.graph.user").values(); len(got) != 1 {
			t.Errorf("the cast list holds %v, want ada: it is read from the index", got)
		}

		time.Sleep(time.Second)
		w.wantRound(link, tale{"hq": {"-ada"}})
	})
}

func TestDeltaRefusesWhatItDoesNotKnow(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq", "ada")
	_, link := w.round(groupsDelta())
	many := make([]string, maxDeltaIDs+1)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for name, target := range map[string]string{
		"no $select":          "/v1.0/groups/delta",
		"no members":          "/v1.0/groups/delta?$select=id",
		"$top":                groupsDelta() + "&$top=5",
		"$orderby":            groupsDelta() + "&$orderby=id",
		"$expand":             groupsDelta() + "&$expand=members",
		"an unknown property": groupsDelta() + ",shoeSize",
		"another filter":      groupsDelta() + "&$filter=" + strings.ReplaceAll("displayName eq 'hq'", " ", "+"),
		"51 ids":              groupsDelta(many...),
		"an option twice":     groupsDelta() + "&$select=members",
		"a link with more":    link + "&$select=id,members",
		"another's link":      strings.Replace(link, "groups", "users", 1),
	} {
		t.Run(name, func(t *testing.T) { w.in(t).refused("GET", target, "") })
	}
}
