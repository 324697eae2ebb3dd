package webhook_test

import (
	"context"
	"errors"
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
)

var (
	allGroups = access.Group{Connection: "7a1c-Tenant", ID: access.AllGroups}
	allUsers  = access.Group{Connection: "7a1c-Tenant", ID: access.AllUsers}
)

const (
	pullInner  = "pull:7a1c-Tenant/5b77-inner=notice"
	profileAda = "profile:7a1c-Tenant/632f-ada=users"
)

// A census is who is used and known, and what was asked of it.
type census struct {
	used   []string // ids
	broken error
	short  bool     // it answers about less than it was asked
	asked  []string // "groups people" of each call
}

func (c *census) known(_ context.Context, groups, people []access.Group) (used, known []bool, err error) {
	of := func(asked []access.Group) (names []string, yes []bool) {
		for _, g := range asked {
			names = append(names, g.ID)
			yes = append(yes, g.Connection == "7a1c-Tenant" && slices.Contains(c.used, g.ID))
		}
		return names, yes
	}
	g, used := of(groups)
	p, known := of(people)
	c.asked = append(c.asked, strings.Join(g, ",")+" "+strings.Join(p, ","))
	if c.short {
		return used, nil, nil
	}
	return used, known, c.broken
}

// newWideWorld has the two subscriptions of a whole tenant beside the others.
func newWideWorld(t testing.TB) (*world, *census) {
	c := &census{used: []string{"5b77-inner", "0c33-yard", "632f-ada"}}
	w := newWorldOf(t, c.known, nil)
	w.subs[allGroups] = access.Subscription{ID: "sub-groups", Group: allGroups, ClientState: "groups-state"}
	w.subs[allUsers] = access.Subscription{ID: "sub-users", Group: allUsers, ClientState: "users-state"}
	return w, c
}

func ofGroup(resource string) string {
	return change("sub-groups", "groups-state", "7a1c-tenant", resource)
}

func ofUser(resource string) string {
	return change("sub-users", "users-state", "7a1c-tenant", resource)
}

func wideEvent(of, name string) string {
	return `{"subscriptionId":"sub-` + of + `","clientState":"` + of + `-state","lifecycleEvent":"` + name + `"}`
}

func TestANoticeOfAWholeTenantWakesWhatIsUsed(t *testing.T) {
	type counts = map[string]int
	for _, tc := range []struct {
		name     string
		items    []string
		woken    []string
		asked    []string
		outcomes counts
	}{
		{"a group that is used", []string{ofGroup("Groups/5b77-inner")}, []string{pullInner}, []string{"5b77-inner "}, counts{"accepted": 1}},
		{"a group that is not", []string{ofGroup("Groups/dead")}, nil, []string{"dead "}, counts{"unused": 1}},
		{"capitals and a path", []string{ofGroup("/GROUPS/5B77-Inner/members")}, []string{pullInner}, []string{"5b77-inner "}, counts{"accepted": 1}},
		{"a person who is known", []string{ofUser("Users/632f-ada")}, []string{profileAda}, []string{" 632f-ada"}, counts{"accepted": 1}},
		{"a person who is not", []string{ofUser("users/77aa")}, nil, []string{" 77aa"}, counts{"unused": 1}},
		{
			"all of a body in one question, each once",
			[]string{ofGroup("Groups/dead"), ofUser("Users/632f-ada"), ofGroup("groups/5b77-inner"), ofGroup("Groups/DEAD"), ofUser("Users/632F-ADA"), ofGroup("Groups/0c33-yard"), ofUser("Users/gone")},
			[]string{profileAda, "pull:7a1c-Tenant/0c33-yard=notice", pullInner},
			[]string{"dead,5b77-inner,0c33-yard 632f-ada,gone"},
			counts{"accepted": 4, "unused": 3},
		},
		{"single groups beside them", []string{hqChanged(), ofGroup("Groups/dead"), labChanged()}, []string{pullHQ, pullLab}, []string{"dead "}, counts{"accepted": 2, "unused": 1}},
		{"single groups alone ask nothing", []string{hqChanged(), labChanged()}, []string{pullHQ, pullLab}, nil, counts{"accepted": 2}},
		{"a person among the groups", []string{ofGroup("Users/632f-ada")}, nil, nil, counts{"other_group": 1}},
		{"a group among the people", []string{ofUser("Groups/5b77-inner")}, nil, nil, counts{"other_group": 1}},
		{"another tenant", []string{change("sub-groups", "groups-state", "other", "Groups/5b77-inner")}, nil, nil, counts{"other_tenant": 1}},
		{"a foreign client state", []string{change("sub-groups", "users-state", "7a1c-tenant", "Groups/5b77-inner")}, nil, nil, counts{"foreign_state": 1}},
		{
			"ids that are none",
			[]string{ofGroup("Groups"), ofGroup("Groups/"), ofGroup("Groups//members"), ofGroup("Groups/{x}"), ofGroup("Groups/*groups"), ofGroup("Groups/a b"), ofUser(`Users/a\nb`), ofUser(`Users/a\tb`), ofUser("Users/é"), ofUser("Users/" + strings.Repeat("a", 101)), `{"subscriptionId":"sub-users","clientState":"users-state"}`},
			nil, nil,
			counts{"malformed": 11},
		},
		{"the longest id", []string{ofUser("Users/" + strings.Repeat("a", 100))}, nil, []string{" " + strings.Repeat("a", 100)}, counts{"unused": 1}},
		{"groups: reauthorization", []string{wideEvent("groups", "reauthorizationRequired")}, []string{"keep:7a1c-Tenant/*groups=lapse"}, nil, counts{"accepted": 1}},
		{"groups: removal", []string{wideEvent("groups", "subscriptionRemoved")}, []string{"keep:7a1c-Tenant/*groups=lapse+renewed"}, nil, counts{"accepted": 1}},
		{"groups: missed", []string{wideEvent("groups", "missed")}, []string{"keep:7a1c-Tenant/*groups=lapse"}, nil, counts{"accepted": 1}},
		{"users: reauthorization", []string{wideEvent("users", "reauthorizationRequired")}, []string{"keep:7a1c-Tenant/*users=lapse"}, nil, counts{"accepted": 1}},
		{"users: removal", []string{wideEvent("users", "subscriptionRemoved")}, []string{"keep:7a1c-Tenant/*users=renewed", "profiles:7a1c-Tenant=notice"}, nil, counts{"accepted": 1}},
		{"users: missed", []string{wideEvent("users", "missed")}, []string{"profiles:7a1c-Tenant=notice"}, nil, counts{"accepted": 1}},
		{"users: an event nobody heard of", []string{wideEvent("users", "rebooted")}, nil, nil, counts{"unknown_event": 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, c := newWideWorld(t)
				if got := w.notify(tc.items...); got != http.StatusAccepted {
					t.Errorf("answer %d, want 202", got)
				}
				if diff := cmp.Diff(tc.woken, w.woken(), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("woken (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tc.asked, c.asked); diff != "" {
					t.Errorf("asked (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tc.outcomes, w.counted(t, "kisibridge_notifications_total", "outcome")); diff != "" {
					t.Errorf("outcomes (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAPullIsAsUrgentAsARevocationAndCountsFromTheEarliestEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newWideWorld(t)
		now := time.Now()
		at := func(ago time.Duration) string {
			return `{"subscriptionId":"sub-groups","clientState":"groups-state","resource":"Groups/5b77-inner",
			"resourceData":{"eventTime":"` + now.Add(-ago).Format(time.RFC3339) + `"}}`
		}
		w.notify(at(time.Minute), at(time.Hour), at(48*time.Hour), ofUser("Users/632f-ada"))
		inner := access.Group{Connection: "7a1c-Tenant", ID: "5b77-inner"}
		want := [][]access.Wake{{
			access.PullOf(inner, access.Revoke, access.ByNotice, now.Add(-time.Hour)),
			access.ProfileOf("7a1c-Tenant", "632f-ada", access.ByUsers, now),
		}}
		if diff := cmp.Diff(want, w.calls, cmpopts.EquateApproxTime(0)); diff != "" {
			t.Errorf("wakes (-want +got):\n%s", diff)
		}
	})
}

func TestAFloodAboutUnusedGroupsCostsOneQuestionABodyAndNoWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := newWideWorld(t)
		const bodies, each = 200, 1000
		for b := range bodies {
			items := make([]string, each)
			for k := range items {
				items[k] = ofGroup(fmt.Sprintf("Groups/%08x", b*each+k))
			}
			if got := w.notify(items...); got != http.StatusAccepted {
				t.Fatalf("answer %d, want 202", got)
			}
		}
		if len(c.asked) != bodies || len(w.calls) != 0 || w.loads != 1 {
			t.Errorf("%d questions, %d wakes, %d readings of the table, want %d, 0 and 1", len(c.asked), len(w.calls), w.loads, bodies)
		}
		want := map[string]int{"unused": bodies * each}
		if diff := cmp.Diff(want, w.counted(t, "kisibridge_notifications_total", "outcome")); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
	})
}

func TestWhatCannotBeAskedIsAnswered503AndTheRestIsWoken(t *testing.T) {
	for _, tc := range []struct {
		name   string
		broken census
	}{
		{"an error", census{broken: errors.New("redis: ask what is used: connection refused")}},
		{"an answer about something else", census{short: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, c := newWideWorld(t)
				whole := *c
				*c = tc.broken
				items := []string{ofGroup("Groups/5b77-inner"), ofUser("Users/632f-ada"), hqChanged()}
				answer := w.post(notices, jsonType, body(items...))
				if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
					t.Errorf("answer %d %v, want 503 with Retry-After", answer.Code, answer.Header())
				}
				if diff := cmp.Diff([]string{pullHQ}, w.woken()); diff != "" {
					t.Errorf("woken (-want +got):\n%s", diff)
				}
				if got := w.counted(t, "kisibridge_notifications_total", "outcome"); len(got) > 0 {
					t.Errorf("counted %v; Graph will send it again", got)
				}
				*c = whole
				if got := w.notify(items...); got != http.StatusAccepted {
					t.Errorf("the second time %d, want 202", got)
				}
				if diff := cmp.Diff([]string{profileAda, pullHQ, pullHQ, pullInner}, w.woken()); diff != "" {
					t.Errorf("woken at last (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The second judgement, by a newer table, starts from nothing.
func TestABodyIsAskedAboutOnceHoweverOftenItIsJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := newWideWorld(t)
		w.notify(hqChanged())
		w.notify(ofGroup("Groups/5b77-inner"), ofGroup("Groups/dead"), change("sub-x", "x", "", ""))
		if diff := cmp.Diff([]string{"5b77-inner,dead "}, c.asked); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
		want := map[string]int{"accepted": 2, "unused": 1, "unknown_subscription": 1}
		if diff := cmp.Diff(want, w.counted(t, "kisibridge_notifications_total", "outcome")); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
	})
}

func TestWithoutACensusEverythingIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.subs[allGroups] = access.Subscription{ID: "sub-groups", Group: allGroups, ClientState: "groups-state"}
		w.subs[allUsers] = access.Subscription{ID: "sub-users", Group: allUsers, ClientState: "users-state"}
		w.notify(ofGroup("Groups/dead"), ofUser("Users/632f-ada"))
		if diff := cmp.Diff([]string{profileAda, "pull:7a1c-Tenant/dead=notice"}, w.woken()); diff != "" {
			t.Errorf("woken (-want +got):\n%s", diff)
		}
	})
}
