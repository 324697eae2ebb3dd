package graphsim

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestASubscriptionIsMadeAfterBothURLsShookHands(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq")
	lifecycle := "https://bridge.example/webhooks/graph/lifecycle?t=1"
	r := w.want(http.StatusCreated, "POST", "/v1.0/subscriptions",
		subscription("groups/hq/members", "lifecycleNotificationUrl", lifecycle))
	if diff := cmp.Diff("s3cret", r.body["clientState"]); diff != "" {
		t.Errorf("clientState to its maker (-want +got):\n%s", diff)
	}
	id := r.body["id"].(string)
	for _, got := range []object{w.get("/v1.0/subscriptions/" + id).body, w.get("/v1.0/subscriptions").values()[0]} {
		want := []any{id, nil, "groups/hq/members", lifecycle}
		if diff := cmp.Diff(want, []any{got["id"], got["clientState"], got["resource"], got["lifecycleNotificationUrl"]}); diff != "" {
			t.Errorf("as read (-want +got):\n%s", diff)
		}
	}
	for _, mute := range []string{"/webhooks/graph", "/webhooks/graph/lifecycle"} {
		w.bridge.mute = mute
		r := w.want(http.StatusBadRequest, "POST", "/v1.0/subscriptions",
			subscription("groups", "lifecycleNotificationUrl", lifecycle))
		if diff := cmp.Diff("InvalidRequest", r.code()); diff != "" {
			t.Errorf("code when %s is mute (-want +got):\n%s", mute, diff)
		}
	}
	if got := w.Subscriptions(); len(got) != 1 {
		t.Errorf("there are %d subscriptions, want 1", len(got))
	}
}

func TestHandshakesWaitTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		w := newWorld(t, Options{Notify: RoundTripper(slow)})
		began := time.Now()
		w.want(http.StatusBadRequest, "POST", "/v1.0/subscriptions", subscription("groups"))
		if diff := cmp.Diff(10*time.Second, time.Since(began)); diff != "" {
			t.Errorf("waited (-want +got):\n%s", diff)
		}
	})
}

func TestASecondSubscriptionForTheSameIsRefused(t *testing.T) {
	w := newWorld(t, Options{})
	w.group("hq")
	w.subscribe("groups/hq")
	w.want(http.StatusConflict, "POST", "/v1.0/subscriptions", subscription("Groups/hq", "changeType", "deleted,updated"))
	w.subscribe("groups/hq", "changeType", "updated")
}

func TestSubscriptionsAreCounted(t *testing.T) {
	w := newWorld(t, Options{SubscriptionQuota: 1})
	first := w.subscribe("groups")
	w.want(http.StatusForbidden, "POST", "/v1.0/subscriptions", subscription("users"))
	w.want(http.StatusNoContent, "DELETE", "/v1.0/subscriptions/"+first, "")
	w.want(http.StatusNotFound, "DELETE", "/v1.0/subscriptions/"+first, "")
	w.subscribe("users")
}

func TestWithoutThePermissionNothingIsSubscribed(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.subscribe("groups")
	w.DenySubscriptions(true)
	r := w.want(http.StatusForbidden, "POST", "/v1.0/subscriptions", subscription("users"))
	if diff := cmp.Diff("Authorization_RequestDenied", r.code()); diff != "" {
		t.Errorf("code (-want +got):\n%s", diff)
	}
	w.want(http.StatusForbidden, "POST", "/v1.0/subscriptions/"+id+"/reauthorize", "")
}

func TestSubscriptionsLiveUntilTheyExpireOrAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
		id := w.subscribe("groups", "expirationDateTime", in(time.Minute)) // raised to 45 minutes
		time.Sleep(44 * time.Minute)
		r := w.want(http.StatusOK, "PATCH", "/v1.0/subscriptions/"+id, `{"expirationDateTime":"`+in(time.Hour)+`"}`)
		if diff := cmp.Diff(nil, r.body["clientState"]); diff != "" {
			t.Errorf("clientState (-want +got):\n%s", diff)
		}
		w.want(http.StatusNoContent, "POST", "/v1.0/subscriptions/"+id+"/reauthorize", "")
		time.Sleep(59 * time.Minute)
		w.get("/v1.0/subscriptions/" + id)
		time.Sleep(time.Minute)
		w.want(http.StatusNotFound, "PATCH", "/v1.0/subscriptions/"+id, `{"expirationDateTime":"`+in(time.Hour)+`"}`)
		if got := w.Subscriptions(); len(got) != 0 {
			t.Errorf("subscriptions left: %v", got)
		}
	})
}

func TestAMovedNotificationURLIsValidatedFirst(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.subscribe("groups")
	w.bridge.mute = "/elsewhere"
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	move := func(status int, to string) {
		w.want(status, "PATCH", "/v1.0/subscriptions/"+id, `{"expirationDateTime":"`+later+`","notificationUrl":"`+to+`"}`)
	}
	move(http.StatusBadRequest, "https://bridge.example/elsewhere")
	move(http.StatusOK, "https://bridge.example/moved")
	if diff := cmp.Diff("https://bridge.example/moved", w.Subscriptions()[0].NotificationURL); diff != "" {
		t.Errorf("notificationUrl (-want +got):\n%s", diff)
	}
}

func TestListingIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		for range 40 {
			w.get("/v1.0/subscriptions")
		}
		r := w.want(http.StatusTooManyRequests, "GET", "/v1.0/subscriptions", "")
		if diff := cmp.Diff("5", r.header.Get("Retry-After")); diff != "" {
			t.Errorf("Retry-After (-want +got):\n%s", diff)
		}
		time.Sleep(20 * time.Second)
		w.get("/v1.0/subscriptions")
	})
}

func TestListsOfSubscriptionsComeInPages(t *testing.T) {
	w := newWorld(t, Options{})
	want := map[any]bool{}
	for i := range listPage + 3 {
		id := seedID("group", i)
		w.AddGroup(id, id)
		want[w.subscribe("groups/"+id)] = true
	}
	got := map[any]bool{}
	for link, more := "/v1.0/subscriptions", true; more; {
		page := w.get(link)
		for _, id := range page.pluck("id") {
			got[id] = true
		}
		link, more = page.body["@odata.nextLink"].(string)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

func TestSubscriptionsToWhatIsNotThereAreRefused(t *testing.T) {
	w := newWorld(t, Options{})
	w.want(http.StatusNotFound, "POST", "/v1.0/subscriptions", subscription("groups/nowhere/members"))
}

func TestSubscriptionsRefuseWhatTheContractDoesNotName(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.subscribe("groups")
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	for name, body := range map[string]string{
		"unknown field":     subscription("users", "colour", "red"),
		"created":           subscription("users", "changeType", "created,updated"),
		"twice the same":    subscription("users", "changeType", "updated,updated"),
		"no change type":    subscription("users", "changeType", ""),
		"plain http":        subscription("users", "notificationUrl", "http://bridge.example/"),
		"no host":           subscription("users", "lifecycleNotificationUrl", "bridge"),
		"29 days":           subscription("users", "expirationDateTime", in(29*24*time.Hour+time.Minute)),
		"the past":          subscription("users", "expirationDateTime", in(-time.Hour)),
		"no time":           subscription("users", "expirationDateTime", "tomorrow"),
		"long client state": subscription("users", "clientState", strings.Repeat("x", 129)),
		"memberOf":          subscription("users/ada/memberOf"),
		"no resource":       subscription(""),
		"another resource":  subscription("devices"),
	} {
		t.Run(name, func(t *testing.T) { w.in(t).refused("POST", "/v1.0/subscriptions", body) })
	}
	t.Run("lifecycle URL by PATCH", func(t *testing.T) {
		w.in(t).refused("PATCH", "/v1.0/subscriptions/"+id, `{"expirationDateTime":"`+in(time.Hour)+`","lifecycleNotificationUrl":"https://a.example/"}`)
	})
	t.Run("PATCH without expiry", func(t *testing.T) { w.in(t).refused("PATCH", "/v1.0/subscriptions/"+id, `{}`) })
}

func TestPlainHTTPIsTakenWhereItIsAllowed(t *testing.T) {
	w := newWorld(t, Options{AllowHTTP: true})
	w.subscribe("groups", "notificationUrl", "http://127.0.0.1:8080/webhooks/graph")
}
