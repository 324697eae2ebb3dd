package auth_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/auth"
	"kisibridge/internal/fault"
)

func TestAKeyLetsItsHolderIn(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		k, secret := w.key("deploy-bot", auth.Operator, time.Hour)
		want := auth.Caller{ID: k.ID, Name: "deploy-bot", Kind: auth.KindKey, Role: auth.Operator}
		for _, header := range []string{"Bearer " + secret, "bearer " + secret, "BEARER  " + secret + " "} {
			r := bearer("")
			r.Header.Set("Authorization", header)
			got, err := w.Identify(r)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v; caller (-want +got):\n%s", err, diff)
			}
		}
	})
}

func TestWhoShowsNothingRightIsNobody(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		_, good := w.key("good", auth.Admin, 0)
		_, over := w.key("over", auth.Admin, time.Minute)
		gone, deleted := w.key("gone", auth.Admin, 0)
		if err := w.DeleteKey(t.Context(), gone.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // to the very end of one
		forged := good[:len(good)-2] + "AA"
		unknown := "kbk_" + strings.Repeat("A", 43)

		var same []string
		for name, secret := range map[string]string{
			"over": over, "deleted": deleted, "forged": forged, "unknown": unknown, "cut": good[:20], "longer": good + "A",
			"without its mark": good[4:], "its mark alone": "kbk_", "an admin token, nearly": adminToken + "x",
		} {
			c, err := w.Identify(bearer(secret))
			wantClass(t, name, err, fault.Denied)
			if c != (auth.Caller{}) || fault.Hint(err) == "" || errors.Is(err, auth.ErrCSRF) {
				t.Errorf("%s: %+v, %v", name, c, err)
			}
			w.wantNoSecrets(err.Error(), secret, good)
			same = append(same, err.Error())
		}
		for _, text := range same[1:] {
			if text != same[0] {
				t.Errorf("two wrong keys are told apart: %q and %q", text, same[0])
			}
		}
		for _, headers := range [][]string{{""}, {"Bearer"}, {"Bearer "}, {"Basic " + good}, {good}, {"Bearer " + good, "Bearer " + good}} {
			r := bearer("")
			r.Header["Authorization"] = headers
			_, err := w.Identify(r)
			wantClass(t, strings.Join(headers, "; "), err, fault.Denied)
			w.wantNoSecrets(err.Error(), good)
		}
		_, err := w.Identify(httptest.NewRequest(http.MethodGet, "/v1/keys?access_token="+good, http.NoBody))
		wantClass(t, "no header at all", err, fault.Denied)
		w.wantNoSecrets(w.logs.String(), good, over, deleted)
	})
}

func TestAnEndedKeyIsListedAndMayBeDeletedOnce(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		ctx := auth.With(t.Context(), auth.Caller{Kind: auth.KindPerson, Name: "ada@contoso.example"})
		until := time.Now().Add(time.Minute)
		k, secret, err := w.CreateKey(ctx, "ci", auth.Viewer, &until)
		if err != nil {
			t.Fatal(err)
		}
		want := auth.Key{
			ID: k.ID, Name: "ci", Role: auth.Viewer, Prefix: secret[:8],
			Created: time.Now().UTC(), CreatedBy: "person ada@contoso.example", Expires: until.UTC(),
		}
		if diff := cmp.Diff(want, k); diff != "" || len(k.ID) != 26 {
			t.Errorf("created (-want +got):\n%s", diff)
		}
		time.Sleep(time.Hour)
		keys, err := w.Keys(t.Context())
		if diff := cmp.Diff([]auth.Key{want}, keys); diff != "" || err != nil {
			t.Errorf("%v; listed (-want +got):\n%s", err, diff)
		}
		if err := w.DeleteKey(t.Context(), k.ID); err != nil {
			t.Fatal(err)
		}
		wantClass(t, "deleting it again", w.DeleteKey(t.Context(), k.ID), fault.Missing)
	})
}

func TestSecretsOfKeysAreRandomAndStoredNowhere(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		seen := map[string]bool{}
		for k := range 20 {
			_, secret := w.key(fmt.Sprint("key ", k), auth.Viewer, 0)
			if len(secret) != len("kbk_")+43 || !strings.HasPrefix(secret, "kbk_") || seen[secret] {
				t.Errorf("secret %q", secret)
			}
			seen[secret] = true
			if _, err := w.Identify(bearer(secret)); err != nil {
				t.Error(err)
			}
		}
		stored := w.dump()
		keys, err := w.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		shown, err := json.Marshal(keys)
		if err != nil {
			t.Fatal(err)
		}
		for secret := range seen {
			w.wantNoSecrets(stored+string(shown), secret, secret[4:])
		}
	})
}

// dump is all that Redis holds, names and values.
func (w *world) dump() string {
	w.t.Helper()
	var all strings.Builder
	for _, key := range w.redis.Keys(w.t.Context(), "*").Val() {
		all.WriteString(key + "\n")
		all.WriteString(w.redis.Get(w.t.Context(), key).Val()) // "" unless it is a string
		for field, value := range w.redis.HGetAll(w.t.Context(), key).Val() {
			all.WriteString(field + "=" + value + "\n")
		}
	}
	return all.String()
}

func TestTheUseOfAKeyIsWrittenAtMostOnceAMinute(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		_, secret := w.key("ci", auth.Viewer, 0)
		used := func() time.Time {
			keys, err := w.Keys(t.Context())
			if err != nil || len(keys) != 1 {
				t.Fatalf("%v, %v", keys, err)
			}
			return keys[0].LastUsed
		}
		if !used().IsZero() {
			t.Errorf("a new key was used %v", used())
		}
		first := time.Now()
		for _, tc := range []struct {
			after time.Duration
			want  time.Time
		}{{0, first}, {59 * time.Second, first}, {time.Second, first.Add(time.Minute)}} {
			time.Sleep(tc.after)
			if _, err := w.Identify(bearer(secret)); err != nil {
				t.Fatal(err)
			}
			if got := used(); !got.Equal(tc.want) {
				t.Errorf("used %v, want %v", got, tc.want)
			}
		}
	})
}

func TestKeysThatMakeNoSenseAreRefused(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		before, now := time.Now().Add(-time.Second), time.Now()
		w.key("taken", auth.Viewer, 0)
		for _, tc := range []struct {
			name    string
			role    auth.Role
			expires *time.Time
			want    fault.Class
		}{
			{"", auth.Viewer, nil, fault.Invalid},
			{" a", auth.Viewer, nil, fault.Invalid},
			{"a ", auth.Viewer, nil, fault.Invalid},
			{"-", auth.Viewer, nil, fault.Invalid},
			{"a\nb", auth.Viewer, nil, fault.Invalid},
			{"a\x00b", auth.Viewer, nil, fault.Invalid},
			{"<b>a", auth.Viewer, nil, fault.Invalid},
			{"dеploy", auth.Viewer, nil, fault.Invalid}, // a Cyrillic е
			{strings.Repeat("a", 65), auth.Viewer, nil, fault.Invalid},
			{"roleless", 0, nil, fault.Invalid},
			{"too mighty", 4, nil, fault.Invalid},
			{"over", auth.Viewer, &before, fault.Invalid},
			{"over now", auth.Viewer, &now, fault.Invalid},
			{"Taken", auth.Viewer, nil, fault.Clash},
		} {
			_, secret, err := w.CreateKey(t.Context(), tc.name, tc.role, tc.expires)
			wantClass(t, fmt.Sprintf("%q", tc.name), err, tc.want)
			if secret != "" || fault.Hint(err) == "" {
				t.Errorf("%q: secret %q, hint %q", tc.name, secret, fault.Hint(err))
			}
		}
		for _, name := range []string{"a", "Deploy bot 2.0_x", strings.Repeat("b", 64)} {
			w.key(name, auth.Viewer, 0)
		}
	})
}

func TestThereAreAtMost200Keys(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		first, _ := w.key("0", auth.Viewer, 0)
		for k := range 199 {
			w.key(fmt.Sprint(k+1), auth.Viewer, 0)
		}
		_, _, err := w.CreateKey(t.Context(), "one more", auth.Viewer, nil)
		wantClass(t, "a key too many", err, fault.Invalid)
		if err := w.DeleteKey(t.Context(), first.ID); err != nil {
			t.Fatal(err)
		}
		w.key("one more", auth.Viewer, 0)
	})
}

func TestWhileRedisIsDownNobodyIsTakenForWrong(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		_, secret := w.key("ci", auth.Viewer, 0)
		b := w.browser()
		if _, err := b.signInWithToken(w.Gate, adminToken); err != nil {
			t.Fatal(err)
		}
		if err := w.redis.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := w.Identify(bearer(secret))
		wantClass(t, "a key", err, fault.Busy)
		_, err = w.Identify(bearer(adminToken))
		wantClass(t, "the token", err, fault.Busy)
		_, err = b.identify(w.Gate)
		wantClass(t, "a session", err, fault.Busy)
		_, err = w.Allow(t.Context(), auth.Caller{})
		wantClass(t, "the limit", err, fault.Busy)
		if errors.Is(err, auth.ErrTooMany) {
			t.Error("a Redis that is down passes for too many tries")
		}
	})
}
