package graphsim

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// heard returns the resources and members of all that arrived, one line each.
func heard(got []arrival) []string {
	var lines []string
	for _, a := range got {
		for _, n := range a.Value {
			lines = append(lines, line(n))
		}
	}
	return lines
}

func line(n object) string {
	if event, ok := n["lifecycleEvent"].(string); ok {
		return event
	}
	text := n["changeType"].(string) + " " + n["resource"].(string)
	members, _ := n["resourceData"].(object)["members@delta"].([]any)
	for _, m := range members {
		m := m.(object)
		sign := " +"
		if m["@removed"] == "deleted" {
			sign = " -"
		}
		text += sign + m["id"].(string)
	}
	return text
}

func (w *world) wantHeard(want ...string) {
	w.t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(want, heard(w.bridge.took())); diff != "" {
		w.t.Errorf("heard (-want +got):\n%s", diff)
	}
}

func TestAMembershipChangeIsToldAsGraphTellsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Tenant: "t1"})
		w.group("hq", "ada", "bob")
		id := w.subscribe("groups/hq/members")
		w.Leave("hq", "ada", "bob")
		synctest.Wait()
		want := []object{{
			"subscriptionId":                 id,
			"subscriptionExpirationDateTime": w.Subscriptions()[0].Expires.UTC().Format(time.RFC3339),
			"clientState":                    "s3cret",
			"changeType":                     "updated",
			"tenantId":                       "t1",
			"resource":                       "Groups/hq",
			"resourceData": object{
				"@odata.type": "#Microsoft.Graph.Group", "@odata.id": "Groups/hq", "id": "hq", "organizationId": "t1",
				"members@delta": []any{object{"id": "ada", "@removed": "deleted"}, object{"id": "bob", "@removed": "deleted"}},
			},
		}}
		if diff := cmp.Diff(want, w.bridge.took()[0].Value); diff != "" {
			t.Errorf("notification (-want +got):\n%s", diff)
		}
		if ok, failed := w.Deliveries(); ok != 1 || failed != 0 {
			t.Errorf("deliveries: %d taken, %d failed, want 1 and 0", ok, failed)
		}
	})
}

func TestEachSubscriptionHearsWhatItAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.group("hq", "ada")
		w.group("lab")
		w.subscribe("groups", "changeType", "deleted")
		w.subscribe("groups/hq")
		w.subscribe("users")

		w.Join("lab", "ada")
		w.wantHeard()
		w.UpdateUser("ada", func(u *User) { u.AccountEnabled = false })
		w.wantHeard("updated Users/ada")
		w.UpdateUser("ada", func(u *User) {})
		w.wantHeard()
		w.PurgeUser("ada")
		synctest.Wait()
		got := map[string]bool{}
		for _, l := range heard(w.bridge.took()) {
			got[l] = true
		}
		if diff := cmp.Diff(map[string]bool{"updated Groups/hq -ada": true, "deleted Users/ada": true}, got); diff != "" {
			t.Errorf("heard of a purge (-want +got):\n%s", diff)
		}
		w.DeleteGroup("hq")
		w.wantHeard("updated Groups/hq")
		w.PurgeGroup("lab")
		w.wantHeard("deleted Groups/lab")
	})
}

func TestSubscriptionsToAWholeTenantHearOfEachChangeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.group("hq", "ada", "bob")
		w.group("lab")
		w.subscribe("groups")
		w.subscribe("/Users")

		w.Join("lab", "ada", "bob")
		w.wantHeard("updated Groups/lab +ada +bob")
		w.Leave("hq", "bob")
		w.wantHeard("updated Groups/hq -bob")
		w.AddGroup("yard", "Yard")
		w.wantHeard("updated Groups/yard")
		w.DeleteGroup("lab")
		w.wantHeard("updated Groups/lab")
		w.RestoreGroup("lab")
		w.wantHeard("updated Groups/lab")
		w.DeleteUser("ada")
		w.wantHeard("updated Users/ada")
		w.RestoreUser("ada")
		w.wantHeard("updated Users/ada")
		w.UpdateUser("ada", func(u *User) { u.UserType = "Guest" })
		w.wantHeard("updated Users/ada")
	})
}

func TestSubscriptionsOfOneURLShareABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.group("hq")
		w.person("ada")
		w.subscribe("groups")
		w.subscribe("groups/hq")
		w.subscribe("groups/hq/members")
		w.Join("hq", "ada")
		synctest.Wait()
		got := w.bridge.took()
		if len(got) != 1 || len(got[0].Value) != 3 {
			t.Errorf("got %v, want one body of three notifications", got)
		}
	})
}

func TestRefusedNotificationsAreRetriedForFourHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.group("hq", "ada")
		w.subscribe("groups/hq")
		w.bridge.answer(http.StatusServiceUnavailable)
		began := time.Now()
		w.Leave("hq", "ada")

		time.Sleep(15 * time.Second)
		var at []time.Duration
		for _, a := range w.bridge.took() {
			at = append(at, a.At.Sub(began))
		}
		if diff := cmp.Diff([]time.Duration{0, 2 * time.Second, 6 * time.Second, 14 * time.Second}, at); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}

		time.Sleep(3 * time.Hour)
		w.bridge.answer(0)
		w.bridge.took()
		time.Sleep(15 * time.Minute)
		w.wantHeard("updated Groups/hq -ada")
		time.Sleep(2 * time.Hour)
		w.wantHeard()
	})
}

func TestNobodyIsToldAfterFourHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.group("hq", "ada")
		w.subscribe("groups/hq")
		w.bridge.answer(http.StatusInternalServerError)
		w.Leave("hq", "ada")
		time.Sleep(4 * time.Hour)
		w.bridge.took()
		w.bridge.answer(0)
		time.Sleep(4 * time.Hour)
		w.wantHeard()
	})
}

func TestRetriesEndWithTheSubscriptionAndWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.group("hq", "ada")
		id := w.subscribe("groups/hq")
		w.bridge.answer(http.StatusInternalServerError)
		w.Leave("hq", "ada")
		w.wantHeard("updated Groups/hq -ada")
		w.RemoveSubscription(id, false)
		time.Sleep(time.Hour)
		w.wantHeard()

		w.subscribe("groups/hq")
		w.Join("hq", "ada")
		w.wantHeard("updated Groups/hq +ada")
		w.Close() // the bubble fails if a goroutine outlives it
		w.Leave("hq", "ada")
		w.wantHeard()
	})
}

func TestDeliveriesCanBeDelayedDroppedDoubledAndReordered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.group("hq", "ada", "bob", "cai")
		w.subscribe("groups/hq")

		w.SetDelivery(Delivery{Delay: time.Minute})
		w.Leave("hq", "ada")
		w.wantHeard()
		time.Sleep(time.Minute)
		w.wantHeard("updated Groups/hq -ada")

		w.SetDelivery(Delivery{Drop: true})
		w.Leave("hq", "bob")
		time.Sleep(time.Hour)
		w.wantHeard()

		w.SetDelivery(Delivery{Duplicate: true})
		w.Leave("hq", "cai")
		w.wantHeard("updated Groups/hq -cai", "updated Groups/hq -cai")

		w.SetDelivery(Delivery{Reorder: true})
		w.Join("hq", "ada") // the fourth: not held back
		w.wantHeard("updated Groups/hq +ada")
		w.Join("hq", "bob")
		w.Join("hq", "cai")
		time.Sleep(time.Minute)
		w.wantHeard("updated Groups/hq +cai", "updated Groups/hq +bob")
	})
}

func TestNotificationsDoNotWaitForReplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.group("hq", "ada")
		w.subscribe("groups/hq")
		time.Sleep(time.Hour)
		_, link := w.round(groupsDelta())
		w.SetReplicationLag(5 * time.Minute)
		w.Leave("hq", "ada")
		w.wantHeard("updated Groups/hq -ada")
		link = w.wantRound(link, tale{})
		time.Sleep(5 * time.Minute)
		w.wantRound(link, tale{"hq": {"-ada"}})
	})
}

func TestLifecycleEventsGoToTheirOwnURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		id := w.subscribe("groups", "lifecycleNotificationUrl", "https://bridge.example/webhooks/graph/lifecycle")
		w.SendLifecycle(id, "reauthorizationRequired")
		synctest.Wait()
		got := w.bridge.took()
		if len(got) != 1 || got[0].Path != "/webhooks/graph/lifecycle" || got[0].Value[0]["resource"] != nil {
			t.Errorf("got %v, want one event without a resource at the lifecycle URL", got)
		}
		w.RemoveSubscription(id, true)
		w.wantHeard("subscriptionRemoved")
		if got := w.Subscriptions(); len(got) != 0 {
			t.Errorf("subscriptions left: %v", got)
		}
	})
}
