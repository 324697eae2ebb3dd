package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"

	"kisibridge/internal/access"
	"kisibridge/internal/graphsim"
)

// manyGroups makes n groups with doors of their own; ids come back.
func (w *world) manyGroups(n int) []string {
	ids := make([]string, n)
	for k := range ids {
		ids[k] = fmt.Sprintf("g%03d", k)
		w.graph.AddGroup(ids[k], ids[k])
		w.rules[ids[k]] = rule{entra: ids[k], kisi: w.kisi.AddGroup(ids[k])}
	}
	return ids
}

// wantSubscriptions says to what Graph tells us changes of.
func (w *world) wantSubscriptions(want ...string) {
	w.t.Helper()
	got := []string{}
	for _, s := range w.graph.Subscriptions() {
		got = append(got, s.Resource)
	}
	slices.Sort(got)
	want = append([]string{}, want...)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("subscriptions (-want +got):\n%s", diff)
	}
}

func resources(ids []string, more ...string) []string {
	for _, id := range ids {
		more = append(more, "groups/"+id)
	}
	return more
}

// slowSubscriptions has Graph take its time over subscriptions, so that something can
// happen while one kind takes the place of the other.
func (w *world) slowSubscriptions(d time.Duration) {
	for _, method := range []string{"POST", "DELETE"} {
		w.graph.SetFault(graphsim.Fault{Route: method + " /v1.0/subscriptions", Hang: d})
	}
}

// wantNoGap has ada join groups one after the other, a second apart, each of
// which must be seen without a sweep.
func (w *world) wantNoGap(groups []string) {
	w.t.Helper()
	for _, id := range groups {
		w.join(id, "ada")
		w.after(time.Second)
	}
	w.settle()
	for _, id := range groups {
		w.wantDoors(id, "ada")
		w.leave(id, "ada")
	}
	w.after(30 * time.Second)
	for _, id := range groups {
		w.wantDoors(id)
	}
}

func TestRule13FromTheHundredthGroupOnOneSubscriptionTellsOfAll(t *testing.T) {
	// Rule 13.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		ids := w.manyGroups(101)
		for _, id := range ids[:90] {
			w.integrate(id)
		}
		w.after(time.Minute)
		w.wantSubscriptions(resources(ids[:90], "users")...)

		// There: some of the groups change while their own ones are deleted.
		w.slowSubscriptions(400 * time.Millisecond)
		for _, id := range ids[90:] {
			w.integrate(id)
		}
		w.wantNoGap(ids[80:100])
		w.wantSubscriptions("groups", "users")
		w.wantNoGap(ids[:10])

		// And back, after a day: nothing is lost while each gets its own again.
		for _, id := range ids[70:] {
			w.must(w.app.Engine().Delete(t.Context(), id))
		}
		w.after(time.Minute)
		w.wantSubscriptions("groups", "users")
		w.end()
		w.after(25 * time.Hour)
		w.start()
		w.after(2 * time.Second)
		w.wantNoGap(ids[40:60])
		w.after(time.Minute)
		w.wantSubscriptions(resources(ids[:70], "users")...)
		w.wantNoGap(ids[:10])
	})
}

func TestRule13WhereOthersUsedUpTheQuotaOneSubscriptionTellsOfAll(t *testing.T) {
	// Rule 13.
	for _, quota := range []int{2, 3} {
		t.Run(fmt.Sprint(quota), func(t *testing.T) {
			story(t, func(t *testing.T) {
				w := newWorld(t, func(w *world) { w.graph.SetQuota(quota) })
				w.person("ada")
				ids := w.manyGroups(5)
				for _, id := range ids {
					w.integrate(id)
				}
				w.after(aMinute)
				w.wantSubscriptions("groups", "users")
				w.wantNoGap(ids)
				w.wantState(ids[0], access.Active)
			})
		})
	}
}

func TestRule13WhereNeitherMayBeHadTheGroupsAreReadEveryMinute(t *testing.T) {
	// Rule 13.
	story(t, func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.graph.SetQuota(0) })
		w.person("ada", "bob")
		w.join("hq", "ada", "bob")
		w.join("lab", "ada")
		w.integrate("hq")
		w.integrate("lab")
		w.after(2 * time.Minute)
		w.wantSubscriptions()
		w.leave("hq", "ada")
		w.graph.UpdateUser("bob", func(u *graphsim.User) { u.AccountEnabled = false })
		w.join("lab", "bob")
		w.after(aMinute)
		w.wantDoors("hq")
		w.wantDoors("lab", "ada")

		// The others give some back: at the next sweep we take what we need, of
		// either kind.
		w.graph.SetQuota(100)
		w.sweep()
		if got := w.subscribed(); !slices.Equal(got, []string{"groups"}) && !slices.Equal(got, []string{"hq", "lab"}) {
			t.Errorf("subscribed to %v, want both groups, or all", got)
		}
		w.join("hq", "ada")
		w.settle()
		w.wantDoors("hq", "ada")
	})
}

// A flood is 1,000 notifications of the tenant-wide subscription in one body.
func (w *world) flood(seed int, more ...string) {
	w.t.Helper()
	subs := w.graph.Subscriptions()
	at := slices.IndexFunc(subs, func(s graphsim.Subscription) bool { return s.Resource == "groups" })
	if at < 0 {
		w.t.Fatal("there is no subscription of all groups")
	}
	ids := more
	for k := range 1000 - len(more) {
		ids = append(ids, fmt.Sprintf("x%06d", seed*1000+k))
	}
	items := make([]string, len(ids))
	for k, id := range ids {
		items[k] = fmt.Sprintf(`{"subscriptionId":%q,"clientState":%q,"tenantId":%q,"changeType":"updated","resource":"Groups/%s","resourceData":{"id":%q}}`,
			subs[at].ID, subs[at].ClientState, graphsim.DefaultTenant, id, id)
	}
	r := httptest.NewRequest(http.MethodPost, "/webhooks/graph", strings.NewReader(`{"value":[`+strings.Join(items, ",")+`]}`))
	r.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	w.app.Handler().ServeHTTP(answer, r)
	if answer.Code != http.StatusAccepted {
		w.t.Fatalf("a flood was answered %d", answer.Code)
	}
}

// wantNothingToDo says that neither the bridge nor its queue has any work.
func (w *world) wantNothingToDo() {
	w.t.Helper()
	for _, key := range []string{"kb:{wakes}:work", "kb:{wakes}:watch"} {
		if n, err := w.redis.Exists(w.t.Context(), key).Result(); err != nil || n != 0 {
			w.t.Errorf("%s is there (%v), want no work", key, err)
		}
	}
	inspector := asynq.NewInspectorFromRedisClient(w.redis)
	queues, err := inspector.Queues()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, q := range queues {
		info, err := inspector.GetQueueInfo(q)
		if err != nil {
			w.t.Fatal(err)
		}
		if n := info.Pending + info.Active + info.Scheduled + info.Retry; n != 0 {
			w.t.Errorf("queue %s has %d tasks, want none", q, n)
		}
	}
}

func TestRule13NotificationsOfGroupsThatNobodyUsesMakeNoWork(t *testing.T) {
	// Rule 13.
	story(t, func(t *testing.T) {
		w := newWorld(t, func(w *world) { w.graph.SetQuota(2) })
		w.person("ada")
		w.integrate("hq")
		w.integrate("lab")
		w.after(14*time.Minute + 23500*time.Millisecond) // the first sweep is over, the next is not due, and no watch begins
		w.wantSubscriptions("groups", "users")
		w.wantNothingToDo()
		for k := range 200 { // 200,000 notifications
			w.flood(k)
		}
		synctest.Wait()
		w.wantNothingToDo()
		calls := len(w.graph.Log())
		w.settle()
		if n := len(w.graph.Log()) - calls; n != 0 {
			t.Errorf("%d calls to Graph after the flood, want none", n)
		}

		// Among many others one of ours is heard.
		w.graph.SetDelivery(graphsim.Delivery{Drop: true})
		w.join("hq", "ada")
		w.settle()
		w.wantDoors("hq")
		w.flood(0, "hq")
		w.settle()
		w.wantDoors("hq", "ada")
	})
}
