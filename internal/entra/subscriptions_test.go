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
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
)

// ours is what a subscription to a group is asked for with.
func ours(group string) access.Subscription {
	return access.Subscription{
		Group: access.Group{Connection: graphsim.DefaultTenant, ID: group}, ClientState: "proof of " + group,
		URL: hookURL, Expires: time.Now().Add(48 * time.Hour),
	}
}

// subscribe makes a subscription and wants it made.
func (w world) subscribe(t *testing.T, group string) access.Subscription {
	t.Helper()
	s, err := w.Subscribe(t.Context(), ours(group))
	if err != nil {
		t.Fatalf("subscribe to %s: %v", group, err)
	}
	return s
}

func TestASubscriptionAsksForAllThatTheBridgeNeedsToHear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, signedIn, validating)
		w.group("hq", "ada")
		got := w.subscribe(t, "hq")
		want := ours("hq")
		want.Created = time.Now()
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(want, "ID")); diff != "" {
			t.Errorf("subscription (-want +got):\n%s", diff)
		}
		there := []graphsim.Subscription{{
			ID: got.ID, Resource: "groups/hq", ChangeType: "updated,deleted", ClientState: want.ClientState,
			NotificationURL: hookURL, LifecycleNotificationURL: hookURL + "/lifecycle", Expires: want.Expires,
		}}
		if diff := cmp.Diff(there, w.Server.Subscriptions()); diff != "" {
			t.Errorf("subscriptions at Graph (-want +got):\n%s", diff)
		}
	})
}

func TestASubscriptionCanBeToAllGroupsOrAllPeople(t *testing.T) {
	for group, resource := range map[string]string{access.AllGroups: "groups", access.AllUsers: "users"} {
		t.Run(resource, func(t *testing.T) {
			w := newWorld(t, validating)
			s := w.subscribe(t, group)
			there := w.Server.Subscriptions()[0]
			if there.Resource != resource || there.ChangeType != "updated,deleted" {
				t.Errorf("Graph was asked for %s of %s; want updated,deleted of %s", there.ChangeType, there.Resource, resource)
			}
			got, err := w.Client.Subscriptions(t.Context())
			want := []access.Subscription{{ID: s.ID, Group: ours(group).Group, URL: hookURL, Expires: s.Expires}}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("error %v, subscriptions (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestWithoutThePermissionToReadPeopleThereIsNoSubscriptionToThem(t *testing.T) {
	w := newWorld(t, validating)
	w.HidePeople(true)
	_, err := w.Subscribe(t.Context(), ours(access.AllUsers))
	wantFault(t, err, fault.Denied, 0)
	if hint := fault.Hint(err); !strings.Contains(hint, "User.Read.All") {
		t.Errorf("the hint %q does not name User.Read.All", hint)
	}
}

func TestAWishForTooLongALifeIsCutToWhatGraphAllows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, signedIn, validating)
		w.group("hq", "ada")
		asked := ours("hq")
		asked.Expires = time.Now().Add(365 * 24 * time.Hour)
		most := time.Now().Add(41_760 * time.Minute)
		made, err := w.Subscribe(t.Context(), asked)
		if err != nil || made.Expires.After(most) || made.Expires.Before(most.Add(-2*time.Hour)) {
			t.Errorf("made until %v, error %v; want a little before %v", made.Expires, err, most)
		}
		made.Expires = asked.Expires
		renewed, err := w.Renew(t.Context(), made)
		if err != nil || renewed.Expires.After(most) {
			t.Errorf("renewed until %v, error %v; want a little before %v", renewed.Expires, err, most)
		}
	})
}

func TestASubscriptionThatGraphRefusesSaysWhatToDo(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change []func(*setup)
		before func(*testing.T, world)
		class  fault.Class
		hint   string
		made   int // subscriptions that stand at Graph afterwards
	}{
		{
			name: "one exists already", change: []func(*setup){validating}, class: fault.Clash, made: 1,
			before: func(t *testing.T, w world) { w.subscribe(t, "hq") },
		}, {
			name: "the permission is missing", change: []func(*setup){validating}, class: fault.Denied, hint: "Group.Read.All",
			before: func(_ *testing.T, w world) { w.DenySubscriptions(true) },
		}, {
			name: "the quota is used up", class: fault.Denied, hint: "quota", made: 1,
			change: []func(*setup){validating, func(s *setup) { s.sim.SubscriptionQuota = 1 }},
			before: func(t *testing.T, w world) { w.group("lab"); w.subscribe(t, "lab") },
		}, {
			name: "nothing answers", class: fault.Invalid, hint: "KISIBRIDGE_PUBLIC_URL",
		}, {
			name: "something else answers", change: []func(*setup){elsewhere}, class: fault.Invalid, hint: "KISIBRIDGE_PUBLIC_URL",
		}, {
			name: "the group is deleted", change: []func(*setup){validating}, class: fault.Missing,
			before: func(_ *testing.T, w world) { w.DeleteGroup("hq") },
		}, {
			name: "throttled", change: []func(*setup){validating}, class: fault.Busy,
			before: func(_ *testing.T, w world) {
				w.SetFault(graphsim.Fault{Route: "POST /v1.0/subscriptions", Status: 429})
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, tc.change...)
			w.group("hq", "ada")
			if tc.before != nil {
				tc.before(t, w)
			}
			_, err := w.Subscribe(t.Context(), ours("hq"))
			wantFault(t, err, tc.class, 0)
			if hint := fault.Hint(err); !strings.Contains(hint, tc.hint) {
				t.Errorf("the hint %q does not name %s", hint, tc.hint)
			}
			if n := len(w.Server.Subscriptions()); n != tc.made {
				t.Errorf("%d subscriptions stand, want %d", n, tc.made)
			}
		})
	}
}

// elsewhere is a web server that knows nothing of the bridge.
func elsewhere(s *setup) { s.endpoints = http.NotFoundHandler() }

// A subscription whose answer was lost may stand, and a second one would clash.
func TestASubscriptionWhoseAnswerIsLostIsUnknown(t *testing.T) {
	for name, f := range map[string]graphsim.Fault{
		"the connection broke": {Lost: true},
		"broken":               {Status: 500},
		"a gateway gave up":    {Status: 504},
		"a page of a proxy":    {HTML: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, validating)
			w.group("hq", "ada")
			f.Route, f.Times = "POST /v1.0/subscriptions", 1
			w.SetFault(f)
			_, err := w.Subscribe(t.Context(), ours("hq"))
			wantFault(t, err, fault.Unknown, 0)
			if n := w.Calls("POST /v1.0/subscriptions"); n != 1 {
				t.Errorf("it was asked %d times; want once, for the caller to look first", n)
			}
			if n := len(w.Server.Subscriptions()); f.Lost && n != 1 {
				t.Errorf("%d subscriptions stand; want the one whose answer was lost", n)
			}
		})
	}
}

func TestRenewingProlongs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, signedIn, validating)
		w.group("hq", "ada")
		s := w.subscribe(t, "hq")
		time.Sleep(24 * time.Hour)
		w.Client = w.again(t) // the token of the day before has expired
		s.Expires = time.Now().Add(48 * time.Hour)
		got, err := w.Renew(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, got); diff != "" {
			t.Errorf("subscription (-want +got):\n%s", diff)
		}
		if there := w.Server.Subscriptions()[0].Expires; !there.Equal(s.Expires) {
			t.Errorf("at Graph it expires %v, want %v", there, s.Expires)
		}
	})
}

func TestASubscriptionThatGraphRemovedIsMissing(t *testing.T) {
	w := newWorld(t, validating)
	w.group("hq", "ada")
	s := w.subscribe(t, "hq")
	w.RemoveSubscription(s.ID, false)
	_, err := w.Renew(t.Context(), s)
	wantFault(t, err, fault.Missing, 0)
	wantFault(t, w.Reauthorize(t.Context(), s.ID), fault.Missing, 0)
}

func TestReauthorizingLeavesTheExpiryAlone(t *testing.T) {
	w := newWorld(t, validating)
	w.group("hq", "ada")
	s := w.subscribe(t, "hq")
	before := w.Server.Subscriptions()
	if err := w.Reauthorize(t.Context(), s.ID); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, w.Server.Subscriptions()); diff != "" {
		t.Errorf("it changed (-before +after):\n%s", diff)
	}
	if n := w.Calls("POST /v1.0/subscriptions/" + s.ID); n != 1 {
		t.Errorf("Graph was asked %d times, want once", n)
	}
}

func TestWithoutThePermissionASubscriptionIsNotRenewed(t *testing.T) {
	w := newWorld(t, validating)
	w.group("hq", "ada")
	s := w.subscribe(t, "hq")
	w.DenySubscriptions(true)
	_, renewed := w.Renew(t.Context(), s)
	for _, err := range []error{renewed, w.Reauthorize(t.Context(), s.ID)} {
		wantFault(t, err, fault.Denied, 0)
		if hint := fault.Hint(err); !strings.Contains(hint, "Group.Read.All") {
			t.Errorf("the hint %q does not name Group.Read.All", hint)
		}
	}
}

func TestUnsubscribingTwiceIsFine(t *testing.T) {
	w := newWorld(t, validating)
	w.group("hq", "ada")
	s := w.subscribe(t, "hq")
	for range 2 {
		if err := w.Unsubscribe(t.Context(), s.ID); err != nil {
			t.Error(err)
		}
	}
	if left := w.Server.Subscriptions(); len(left) > 0 {
		t.Errorf("subscriptions that are left: %v", left)
	}
}

func TestUnsubscribingThatFailsIsTold(t *testing.T) {
	w := newWorld(t, validating)
	w.group("hq", "ada")
	s := w.subscribe(t, "hq")
	w.SetFault(graphsim.Fault{Route: "DELETE /v1.0/subscriptions", Status: 503})
	wantFault(t, w.Unsubscribe(t.Context(), s.ID), fault.Busy, 0)
}

// Graph gives 50 a page here.
func TestSubscriptionsAreListedWithTheirGroupOverAllPages(t *testing.T) {
	w := newWorld(t, validating)
	var want []access.Subscription
	for _, g := range crowd("g", 60) {
		w.AddGroup(g, g)
		s := w.subscribe(t, g)
		want = append(want, access.Subscription{ID: s.ID, Group: s.Group, URL: hookURL, Expires: s.Expires})
	}
	got, err := w.Client.Subscriptions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b access.Subscription) int { return strings.Compare(a.Group.ID, b.Group.ID) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("subscriptions (-want +got):\n%s", diff)
	}
}

func TestAGroupIsReadFromAResourceHoweverItIsSpelt(t *testing.T) {
	for res, group := range map[string]string{
		"groups/hq": "hq", "/Groups/hq": "hq", "Groups/hq/members": "hq", "users/ada": "", "": "",
		"groups": access.AllGroups, "/Groups": access.AllGroups, "users": access.AllUsers, "/USERS": access.AllUsers, "devices": "",
	} {
		t.Run(res, func(t *testing.T) {
			w := newWorld(t, signedIn, answering(http.StatusOK, fmt.Sprintf(`{"value":[{"id":"1","resource":%q}]}`, res)))
			got, err := w.Client.Subscriptions(t.Context())
			want := []access.Subscription{{ID: "1", Group: access.Group{Connection: graphsim.DefaultTenant, ID: group}}}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("error %v, subscriptions (-want +got):\n%s", err, diff)
			}
		})
	}
}

// Graph allows 40 lists in 20 seconds.
func TestListingTooOftenIsBusy(t *testing.T) {
	w := newWorld(t)
	for range 40 {
		if _, err := w.Client.Subscriptions(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.Client.Subscriptions(t.Context())
	wantFault(t, err, fault.Busy, 5*time.Second)
}
