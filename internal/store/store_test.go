package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/redistest"
	"kisibridge/internal/store"
)

var (
	hq    = access.Group{Connection: "tenant", ID: "2e58"}
	doors = access.Target{Connection: "kisi", Type: access.TargetGroup, ID: 45}
	now   = time.UnixMilli(1_800_000_000_000)
)

func open(t *testing.T, c *redis.Client) *store.Store {
	t.Helper()
	s, err := store.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestMembershipAndLinkChangeTogetherOrNotAtAll(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		rev := must[int64](t)(s.SaveMembership(ctx, hq, 0, access.Changes{
			Link: "one", Name: "HQ doors", Joined: []access.Member{
				{ID: "ada", Kind: access.KindUser}, {ID: "bob", Kind: access.KindUser}, {ID: "printer", Kind: access.KindOther},
			},
		}, now))

		_, err := s.SaveMembership(ctx, hq, 0, access.Changes{Link: "stale", Left: []string{"ada"}}, now)
		if !fault.Is(err, fault.Clash) {
			t.Fatalf("a slow pull got %v, want a clash", err)
		}
		got := must[store.Membership](t)(s.Membership(ctx, hq))
		want := store.Membership{Link: "one", Rev: rev, Edition: "1", Name: "HQ doors", Pulled: now, Others: 1}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("membership (-want +got):\n%s", diff)
		}
		must[int64](t)(s.SaveMembership(ctx, hq, rev, access.Changes{Link: "two", Compared: true, Ahead: true}, now))
		if m := must[store.Membership](t)(s.Membership(ctx, hq)); !m.Listed.Equal(now) || !m.Ahead.Equal(now) || m.Edition != "1" {
			t.Errorf("a reading of the list leaves %+v, want its time, and the members as they were", m)
		}
		members := must[map[string]bool](t)(s.Members(ctx, hq))
		if diff := cmp.Diff(map[string]bool{"ada": true, "bob": true}, members); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
		if one := must[map[string]bool](t)(s.Members(ctx, hq, "ada", "printer", "nobody")); len(one) != 1 || !one["ada"] {
			t.Errorf("of ada, a printer and nobody, %v are people of the group, want ada", one)
		}
	})
}

func TestWhoChangedIsRememberedUntilWoken(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		rev := must[int64](t)(s.SaveMembership(ctx, hq, 0, access.Changes{Joined: []access.Member{
			{ID: "ada", Kind: access.KindUser}, {ID: "inner", Kind: access.KindGroup},
		}}, now))
		ids, upTo, err := s.Changed(ctx, hq)
		if err != nil || !slices.Equal(ids, []string{"ada"}) || upTo != rev {
			t.Fatalf("changed are %v up to %d, %v; want ada up to %d", ids, upTo, err, rev)
		}
		// Somebody leaves between the reading and the waking.
		must[int64](t)(s.SaveMembership(ctx, hq, rev, access.Changes{Left: []string{"ada", "inner", "stranger"}}, now))
		if err := s.Woken(ctx, hq, upTo); err != nil {
			t.Fatal(err)
		}
		ids, _, err = s.Changed(ctx, hq)
		if err != nil || !slices.Equal(ids, []string{"ada"}) {
			t.Errorf("changed are %v, %v; want ada still, for the later change", ids, err)
		}
		if m := must[store.Membership](t)(s.Membership(ctx, hq)); m.Others != 0 {
			t.Errorf("%d members are no people, want 0", m.Others)
		}
	})
}

func TestTheLedgerIsWrittenOnlyOverWhatWasRead(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		g := access.Grant{Person: "ada", Intent: &access.Intent{Op: access.ToGrant, Process: "p1", At: now}, Since: now}
		g = must[access.Grant](t)(s.SaveGrant(ctx, doors, g))
		if _, err := s.SaveGrant(ctx, doors, access.Grant{Person: "ada"}); !fault.Is(err, fault.Clash) {
			t.Errorf("a second writer got %v, want a clash", err)
		}
		if open := must[[]string](t)(s.Open(ctx, doors, now)); !slices.Equal(open, []string{"ada"}) {
			t.Errorf("open intents of %v, want ada", open)
		}
		g.Intent, g.Standing, g.Row, g.For = nil, access.Holds, 9001, []string{"hq"}
		g = must[access.Grant](t)(s.SaveGrant(ctx, doors, g))

		got := must[map[string]access.Grant](t)(s.Grants(ctx, doors))
		if diff := cmp.Diff(map[string]access.Grant{"ada": g}, got); diff != "" {
			t.Errorf("ledger (-want +got):\n%s", diff)
		}
		if open := must[[]string](t)(s.Open(ctx, doors, now)); len(open) != 0 {
			t.Errorf("open intents of %v, want none", open)
		}
		if n := must[int](t)(s.Holders(ctx, doors)); n != 1 {
			t.Errorf("%d holders, want 1", n)
		}
		g.Standing = access.None
		must[access.Grant](t)(s.SaveGrant(ctx, doors, g))
		if n := must[int](t)(s.Holders(ctx, doors)); n != 0 {
			t.Errorf("%d holders after the revocation, want 0", n)
		}
	})
}

func TestIntegrationsAreChangedOnlyOverWhatWasRead(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		i := access.Integration{ID: "hq", Name: "HQ doors", Group: hq, Target: doors}.WithDefaults()
		if err := s.AddIntegration(ctx, i); err != nil {
			t.Fatal(err)
		}
		other := i
		other.Name = "another"
		if err := s.AddIntegration(ctx, other); !fault.Is(err, fault.Clash) {
			t.Errorf("a second of the same id got %v, want a clash", err)
		}
		interrupted := false
		_, err := s.ChangeIntegration(ctx, "hq", func(i *access.Integration) bool {
			if !interrupted {
				interrupted = true
				must[access.Integration](t)(s.ChangeIntegration(ctx, "hq", func(i *access.Integration) bool { i.Name = "renamed"; return true }))
			}
			i.State = access.Paused
			return true
		})
		got := must[access.Integration](t)(s.Integration(ctx, "hq"))
		if err != nil || got.Name != "renamed" || got.State != access.Paused {
			t.Errorf("got %+v, %v; want both changes", got, err)
		}
		for k := range 201 {
			if err := s.AddRun(ctx, "hq", store.Run{At: now, Make: k}); err != nil {
				t.Fatal(err)
			}
		}
		runs := must[[]store.Run](t)(s.Runs(ctx, "hq", 1000))
		if len(runs) != 200 || runs[0].Make != 200 {
			t.Errorf("%d runs, the newest making %d; want 200 and 200", len(runs), runs[0].Make)
		}
		if err := s.RemoveIntegration(ctx, "hq"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Integration(ctx, "hq"); !fault.Is(err, fault.Missing) {
			t.Errorf("a removed integration gives %v, want missing", err)
		}
	})
}

func TestTheRosterKnowsWhoIsNotInKisi(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		ask := func(email string) string {
			user, known, err := s.RosterUser(ctx, "kisi", email)
			return fmt.Sprint(user, known, err)
		}
		if err := s.AddToRoster(ctx, "kisi", "early@contoso.example", 3); err != nil {
			t.Fatal(err)
		}
		if got := ask("early@contoso.example"); got != "0 false <nil>" {
			t.Errorf("before any listing: %s, want unknown", got)
		}
		if err := s.SaveRoster(ctx, doors, map[string]int{"ada@contoso.example": 12}, []int{12}); err != nil {
			t.Fatal(err)
		}
		if err := s.AddToRoster(ctx, "kisi", "Bob@contoso.example", 13); err != nil {
			t.Fatal(err)
		}
		for email, want := range map[string]string{
			"ADA@contoso.example": "12 true <nil>", "bob@contoso.example": "13 true <nil>", "cy@contoso.example": "0 true <nil>",
		} {
			if got := ask(email); got != want {
				t.Errorf("%s: %s, want %s", email, got, want)
			}
		}
		if !must[bool](t)(s.HadAccess(ctx, doors, 12)) || must[bool](t)(s.HadAccess(ctx, doors, 13)) {
			t.Error("want ada, and not bob, among those who had access")
		}
		if listed := must[bool](t)(s.Listed(ctx, doors)); !listed {
			t.Error("the target counts as not listed")
		}
	})
}

func TestSubscriptionsAreKept(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		sub := access.Subscription{ID: "c3", Group: hq, ClientState: "s3", Expires: now}
		if err := s.SaveSubscription(ctx, sub); err != nil {
			t.Fatal(err)
		}
		all := must[map[access.Group]access.Subscription](t)(s.Subscriptions(ctx))
		one := must[access.Subscription](t)(s.Subscription(ctx, hq))
		if diff := cmp.Diff(all[hq], one); diff != "" || one.ID != "c3" {
			t.Errorf("subscription %+v (-all +one):\n%s", one, diff)
		}
		if err := s.Bind(ctx, "kisi", 12); err != nil {
			t.Fatal(err)
		}
		if err := s.Bind(ctx, "kisi", 13); !fault.Is(err, fault.Denied) {
			t.Errorf("a key of another organization got %v, want denied", err)
		}
	})
}

func TestARedisThatIsAwayIsBusy(t *testing.T) {
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer c.Close()
	s := open(t, c)
	if err := s.Ping(t.Context()); !fault.Is(err, fault.Busy) {
		t.Errorf("got %v, want busy", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Wake(ctx, []access.Wake{access.PullOf(hq, access.Revoke, access.ByNotice, now)}); err == nil {
		t.Error("a wake with no Redis is content")
	}
}

func TestFiftyThousandMembersAreOneSave(t *testing.T) {
	c := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr})
	defer c.Close()
	s, ctx := open(t, c), t.Context()
	full := access.Changes{Full: true}
	for k := range 50_000 {
		full.Joined = append(full.Joined, access.Member{ID: fmt.Sprintf("%08d", k), Kind: access.KindUser})
	}
	must[int64](t)(s.SaveMembership(ctx, hq, 0, full, now))
	if got := must[map[string]bool](t)(s.Members(ctx, hq)); len(got) != 50_000 {
		t.Errorf("%d members, want 50,000", len(got))
	}
}

func TestTheLimiterLetsNoMoreGoThanAllowedAndRevocationsFirst(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		replicas := []*store.Limiter{s.Limiter("kisi", 50), open(t, c).Limiter("kisi", 50)}
		var (
			mu   sync.Mutex // guards went
			went []time.Time
			wg   sync.WaitGroup
		)
		for k := range 100 {
			wg.Go(func() {
				if err := replicas[k%2].Wait(ctx, access.Import); err != nil {
					t.Error(err)
				}
				mu.Lock()
				went = append(went, time.Now())
				mu.Unlock()
			})
		}
		time.Sleep(300 * time.Millisecond) // in the middle of the import
		asked := time.Now()
		if err := replicas[0].Wait(ctx, access.Revoke); err != nil {
			t.Error(err)
		}
		mu.Lock()
		before := len(went)
		mu.Unlock()
		wg.Wait()
		slices.SortFunc(went, time.Time.Compare)
		for k := 50; k < len(went); k++ {
			if d := went[k].Sub(went[k-50]); d < time.Second {
				t.Errorf("51 calls went within %v", d)
			}
		}
		if before > 60 {
			t.Errorf("a revocation waited %v, until %d of 100 imports had gone", time.Since(asked), before)
		}
	})
}

func TestHealthTellsWhetherRedisForgets(t *testing.T) {
	for _, tc := range []struct {
		args   []string
		append bool
		fsync  string
	}{
		{nil, false, "everysec"},
		{[]string{"--appendonly", "yes", "--appendfsync", "always"}, true, "always"},
	} {
		c := redis.NewClient(&redis.Options{Addr: redistest.Start(t, tc.args...).Addr})
		h, err := open(t, c).Health(t.Context())
		if err != nil || h.AppendOnly != tc.append || h.Fsync != tc.fsync || h.Eviction != "noeviction" || h.Version == "" {
			t.Errorf("with %v: %+v, %v", tc.args, h, err)
		}
		if h.Skew.Abs() > time.Minute {
			t.Errorf("the clock of the same machine is off by %v", h.Skew)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
