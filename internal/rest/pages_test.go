package rest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/api"
	"kisibridge/internal/access"
	"kisibridge/internal/store"
)

// pages reads a list to its end, and gives the ids in order, and the most
// round trips that one page took.
func (w *world) pages(c *counter, path, id string, limit int) (ids []string, trips []string) {
	w.t.Helper()
	for cursor, n := "", 0; n < 200; n++ {
		c.take()
		rec := w.want(200, "GET", fmt.Sprintf("%slimit=%d&cursor=%s", path, limit, url.QueryEscape(cursor)), "")
		if t := c.take(); len(t) > len(trips) {
			trips = t
		}
		var page struct {
			Items      []map[string]json.RawMessage
			NextCursor string `json:"next_cursor"`
		}
		w.check(json.Unmarshal(rec.Body.Bytes(), &page))
		if len(page.Items) > limit {
			w.t.Errorf("a page has %d items, asked for were %d", len(page.Items), limit)
		}
		for _, item := range page.Items {
			var name string
			w.check(json.Unmarshal(item[id], &name))
			ids = append(ids, name)
		}
		if cursor = page.NextCursor; cursor == "" {
			return ids, trips
		}
	}
	w.t.Fatalf("%s does not end", path)
	return nil, nil
}

func TestAThousandIntegrationsPageInTwoRoundTrips(t *testing.T) {
	w, c := newWorld(t), &counter{}
	var want []string
	for k := range 1000 {
		i := access.Integration{
			ID: fmt.Sprintf("i%03d", k), Name: fmt.Sprintf("Doors %03d", 999-k), Group: access.Group{Connection: "contoso", ID: fmt.Sprint("g", k)},
			Target: access.Target{Connection: "doors", Type: access.TargetGroup, ID: k + 1}, Created: time.Now(),
		}.WithDefaults()
		w.check(w.store.AddIntegration(t.Context(), i))
		want = append([]string{i.ID}, want...)
	}
	w.redis.AddHook(c)
	got, trips := w.pages(c, "/v1/integrations?", "id", 200)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("integrations by name (-want +got):\n%s", diff)
	}
	if len(trips) > 2 {
		t.Errorf("a page took %d round trips: %q", len(trips), trips)
	}
}

func TestFiveThousandPeoplePageInTwoRoundTrips(t *testing.T) {
	w, c := newWorld(t), &counter{}
	var people []string
	for k := range 5000 {
		people = append(people, fmt.Sprintf("p%04d", k))
	}
	w.integration("hq", 1, people...)
	w.redis.AddHook(c)
	w.want(200, "GET", "/v1/integrations", "") // this process knows the rules
	for _, tc := range []struct {
		query string
		limit int
		want  []string
	}{
		{"", 200, people},
		{"state=pending&", 50, people[4999:]},
		{"search=P00&", 7, people[:100]},
	} {
		got, trips := w.pages(c, "/v1/integrations/hq/people?"+tc.query, "entra_user_id", tc.limit)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("people %q (-want +got):\n%s", tc.query, diff)
		}
		if len(trips) > 2 {
			t.Errorf("a page %q took %d round trips: %q", tc.query, len(trips), trips)
		}
	}
}

func TestAPageTellsOfPeopleWhatExplainTells(t *testing.T) {
	w := furnished(t)
	page := read[api.AccountPage](t, w.want(200, "GET", "/v1/integrations/hq/people?limit=200", ""))
	if len(page.Items) != 4 {
		t.Fatalf("%d people, want 4", len(page.Items))
	}
	for _, got := range page.Items {
		want := read[api.Account](t, w.want(200, "GET", "/v1/integrations/hq/people/"+got.EntraUserID, ""))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-explained +listed):\n%s", got.EntraUserID, diff)
		}
	}
}

func TestEveryListPagesToItsEnd(t *testing.T) {
	w, c := furnished(t), &counter{}
	for k := range 5 {
		w.queues.bury(fmt.Sprint("apply.", k))
		w.check(w.store.AddRun(t.Context(), "hq", store.Run{At: time.UnixMilli(int64(2000 + k)), Cause: "sweep"}))
		w.check(w.store.AddEvent(t.Context(), store.Event{At: time.Now(), What: "x", Integrations: []string{"hq"}, Person: fmt.Sprint("p", k)}))
	}
	for _, tc := range []struct{ path, id string }{
		{"/v1/connections?", "id"},
		{"/v1/connections/contoso/groups?", "id"},
		{"/v1/connections/doors/teams?", "id"},
		{"/v1/integrations?", "id"},
		{"/v1/integrations/hq/runs?", "id"},
		{"/v1/events?", "id"},
		{"/v1/events?integration=hq&", "id"},
		{"/v1/subscriptions?", "scope"},
		{"/v1/keys?", "id"},
		{"/v1/queues/dead?", "id"},
		{"/v1/integrations/hq/people?", "entra_user_id"},
	} {
		want, _ := w.pages(c, tc.path, tc.id, 200)
		if once := slices.Compact(slices.Sorted(slices.Values(want))); len(once) < 2 || len(once) != len(want) {
			t.Errorf("%s: the items are %q", tc.path, want)
		}
		for _, limit := range []int{1, 2} {
			got, _ := w.pages(c, tc.path, tc.id, limit)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s by %d (-at once +paged):\n%s", tc.path, limit, diff)
			}
		}
	}
}

func TestACursorIsGoodForItsListOnly(t *testing.T) {
	w := furnished(t)
	next := read[api.IntegrationPage](t, w.want(200, "GET", "/v1/integrations?limit=1", "")).NextCursor
	for _, path := range []string{"/v1/connections?", "/v1/events?", "/v1/integrations/hq/people?", "/v1/keys?"} {
		w.want(400, "GET", path+"cursor="+next, "")
	}
	last := read[api.AccountPage](t, w.want(200, "GET", "/v1/integrations/hq/people?limit=1", "")).NextCursor
	w.want(400, "GET", "/v1/integrations/hq/people?search=a&cursor="+last, "")
}

func FuzzCursor(f *testing.F) {
	w := furnished(f)
	paths := slices.Sorted(maps.Keys(map[string]bool{
		"/v1/connections": true, "/v1/connections/contoso/groups": true, "/v1/integrations": true, "/v1/integrations/hq/people": true,
		"/v1/integrations/hq/runs": true, "/v1/integrations/hq/hold": true, "/v1/events": true, "/v1/keys": true, "/v1/queues/dead": true,
	}))
	for k, path := range paths {
		var page struct {
			NextCursor string `json:"next_cursor"`
		}
		w.check(json.Unmarshal(w.want(200, "GET", path+"?limit=1", "").Body.Bytes(), &page))
		f.Add(uint8(k), page.NextCursor)
	}
	f.Add(uint8(0), "AAAA")
	f.Fuzz(func(t *testing.T, which uint8, cursor string) {
		w.redis.Del(t.Context(), w.redis.Keys(t.Context(), "kb:{tally:*").Val()...)
		path := paths[int(which)%len(paths)] + "?cursor=" + url.QueryEscape(cursor)
		if rec := w.do(request{method: "GET", path: path, role: "admin"}); rec.Code != 200 && rec.Code != 400 {
			t.Errorf("%s: %d: %s", path, rec.Code, rec.Body)
		}
	})
}
