package store_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"kisibridge/internal/fault"
	"kisibridge/internal/redistest"
	"kisibridge/internal/store"
)

func TestACredentialIsFoundByItsDigestUntilItIsDeleted(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		want := store.Credential{
			ID: "01B", Name: "Deploy", Role: "operator", Prefix: "kbk_abcd",
			Created: now.UTC(), CreatedBy: "token bootstrap", Expires: now.Add(time.Hour).UTC(),
		}
		for range 2 { // an answer that was lost: the same once more
			if err := s.AddCredential(ctx, "digest", want, 1); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.UseCredential(ctx, "digest", now); err != nil {
			t.Fatal(err)
		}
		want.Used = now
		got, there, err := s.Credential(ctx, "digest")
		if diff := cmp.Diff(want, got); diff != "" || !there || err != nil {
			t.Errorf("there %v, %v; credential (-want +got):\n%s", there, err, diff)
		}
		if err := s.DropCredential(ctx, "01B"); err != nil {
			t.Fatal(err)
		}
		if err := s.UseCredential(ctx, "digest", now); err != nil { // by a request under way
			t.Fatal(err)
		}
		if _, there, err := s.Credential(ctx, "digest"); there || err != nil {
			t.Errorf("a deleted credential is there: %v, %v", there, err)
		}
		if err := s.DropCredential(ctx, "01B"); !fault.Is(err, fault.Missing) {
			t.Errorf("deleting it again got %v, want missing", err)
		}
		if keys := c.Keys(ctx, "kb:{keys}*").Val(); len(keys) != 0 {
			t.Errorf("%v stay behind", keys)
		}
	})
}

func TestCredentialsHaveNamesOfTheirOwnAndABound(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		add := func(name string) error {
			return s.AddCredential(ctx, "digest of "+name, store.Credential{ID: "id of " + name, Name: name, Created: now}, 3)
		}
		for _, name := range []string{"c", "a"} {
			if err := add(name); err != nil {
				t.Fatal(err)
			}
		}
		if err := add("A"); !fault.Is(err, fault.Clash) {
			t.Errorf("a name that differs by case got %v, want a clash", err)
		}
		if err := add("b"); err != nil {
			t.Fatal(err)
		}
		if err := add("d"); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "3 keys") {
			t.Errorf("a fourth got %v, want invalid that tells the bound", err)
		}
		var ids []string
		for _, each := range must[[]store.Credential](t)(s.Credentials(ctx)) {
			ids = append(ids, each.ID)
		}
		if diff := cmp.Diff([]string{"id of a", "id of b", "id of c"}, ids); diff != "" {
			t.Errorf("credentials (-want +got):\n%s", diff)
		}
	})
}

func TestOfManyWhoTakeANameAtOnceOneHasIt(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		errs := make([]error, 20)
		var wg sync.WaitGroup
		for k := range errs {
			wg.Go(func() {
				errs[k] = s.AddCredential(ctx, fmt.Sprint("digest ", k), store.Credential{ID: fmt.Sprint(k), Name: "ci"}, 200)
			})
		}
		wg.Wait()
		won := slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return fault.Is(err, fault.Clash) })
		if len(won) != 1 || won[0] != nil {
			t.Errorf("%d of 20 were not refused as a clash: %v, want one without an error", len(won), won)
		}
	})
}

func TestASessionLastsWhileItIsUsedAndNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx := open(t, redistest.Memory(t)), t.Context()
		life := store.Life{Idle: 12 * time.Hour, Most: 24 * time.Hour}
		begin := func(digest string) {
			if err := s.SaveSession(ctx, digest, store.Session{Person: "ada", Began: time.Now()}, life); err != nil {
				t.Fatal(err)
			}
		}
		alive := func(digest string) bool {
			_, there, err := s.Session(ctx, digest, life)
			if err != nil {
				t.Fatal(err)
			}
			return there
		}
		begin("used")
		begin("idle")
		begin("out")
		if err := s.DropSession(ctx, "out"); err != nil {
			t.Fatal(err)
		}
		if alive("out") {
			t.Error("a session that ended is there")
		}
		time.Sleep(11 * time.Hour)
		if !alive("used") {
			t.Error("a session is over after 11 h, want 12 h")
		}
		time.Sleep(61 * time.Minute)
		if alive("idle") {
			t.Error("a session that nobody used is there after 12 h")
		}
		for range 11 {
			if !alive("used") {
				t.Fatal("a session in use is over before 24 h")
			}
			time.Sleep(time.Hour)
		}
		time.Sleep(time.Hour)
		if alive("used") {
			t.Error("a session in use is there after 24 h")
		}
	})
}

func TestASessionThatRedisKeptTooLongIsOver(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		long := store.Life{Idle: 100 * time.Hour, Most: 100 * time.Hour}
		if err := s.SaveSession(ctx, "d", store.Session{Began: time.Now().Add(-25 * time.Hour)}, long); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, there, err := s.Session(ctx, "d", store.Life{Idle: 12 * time.Hour, Most: 24 * time.Hour}); there || err != nil {
				t.Errorf("there: %v, %v", there, err)
			}
		}
	})
}

func TestASignInIsTakenOnce(t *testing.T) {
	redistest.Each(t, func(t *testing.T, c *redis.Client) {
		s, ctx := open(t, c), t.Context()
		want := store.SignIn{Nonce: "n", Verifier: "v", ReturnTo: "/events"}
		if err := s.SaveSignIn(ctx, "d", want, time.Minute); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, must[store.SignIn](t)(s.TakeSignIn(ctx, "d"))); diff != "" {
			t.Errorf("sign-in (-want +got):\n%s", diff)
		}
		if _, err := s.TakeSignIn(ctx, "d"); !fault.Is(err, fault.Missing) {
			t.Errorf("a second time got %v, want missing", err)
		}
	})
}

func TestATallyIsOfOneWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx := open(t, redistest.Memory(t)), t.Context()
		type seen struct {
			N    int64
			Left time.Duration
		}
		step := func(n int64, left time.Duration, err error) seen {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			return seen{n, left}
		}
		got := []seen{step(s.Tallied(ctx, "tries")), step(s.Tally(ctx, "tries", time.Minute))}
		time.Sleep(20 * time.Second)
		got = append(got, step(s.Tally(ctx, "tries", time.Minute)), step(s.Tallied(ctx, "tries")))
		time.Sleep(41 * time.Second)
		got = append(got, step(s.Tally(ctx, "tries", time.Minute)))
		if err := s.Untally(ctx, "tries"); err != nil {
			t.Fatal(err)
		}
		got = append(got, step(s.Tallied(ctx, "tries")))
		want := []seen{{0, 0}, {1, time.Minute}, {2, 40 * time.Second}, {2, 40 * time.Second}, {1, time.Minute}, {0, 0}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("tallies (-want +got):\n%s", diff)
		}
	})
}
