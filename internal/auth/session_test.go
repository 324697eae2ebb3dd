package auth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/auth"
	"kisibridge/internal/fault"
)

const (
	sessionCookie = "__Host-kisibridge"
	signInCookie  = "__Host-kisibridge-signin"
)

func TestTheAdminTokenLetsTheFirstAdminIn(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		want := auth.Caller{ID: "bootstrap", Name: "bootstrap", Kind: auth.KindToken, Role: auth.Admin}
		got, err := w.Identify(bearer(adminToken))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v; caller (-want +got):\n%s", err, diff)
		}
		b := w.browser()
		signed, err := b.signInWithToken(w.Gate, adminToken)
		if err != nil {
			t.Fatal(err)
		}
		want.CSRF = signed.CSRF
		got, err = b.identify(w.Gate)
		if diff := cmp.Diff(want, got); diff != "" || err != nil || len(got.CSRF) != 43 {
			t.Errorf("%v; in a session (-want +got):\n%s", err, diff)
		}
		if diff := cmp.Diff(map[string]int{sessionCookie: 24 * 3600}, b.ages); diff != "" {
			t.Errorf("ages of cookies (-want +got):\n%s", diff)
		}
		w.wantNoSecrets(w.logs.String()+w.dump(), b.jar[sessionCookie], got.CSRF)
	})
}

func TestWithoutAnAdminTokenNoneIsRight(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		g := w.replica(func(o *auth.Options) { o.AdminToken = "" })
		for _, token := range []string{"", adminToken} {
			_, err := w.browser().signInWithToken(g, token)
			wantClass(t, "token "+token, err, fault.Denied)
		}
		_, err := g.Identify(bearer(adminToken))
		wantClass(t, "a bearer", err, fault.Denied)
	})
}

func TestASignInGivesANewSessionAndEndsTheOldOne(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		b := w.browser()
		planted := strings.Repeat("A", 43)
		b.jar[sessionCookie] = planted
		if _, err := b.signInWithToken(w.Gate, adminToken); err != nil {
			t.Fatal(err)
		}
		first := b.clone()
		if _, err := b.signIn(); err != nil {
			t.Fatal(err)
		}
		if b.jar[sessionCookie] == planted || first.jar[sessionCookie] == planted || b.jar[sessionCookie] == first.jar[sessionCookie] {
			t.Error("a session keeps the id that was there before")
		}
		_, err := first.identify(w.Gate)
		wantClass(t, "the session before", err, fault.Denied)
		if c, err := b.identify(w.Gate); err != nil || c.Kind != auth.KindPerson {
			t.Errorf("%v, %v, want a person", c, err)
		}
	})
}

func TestSignOutEndsTheSessionForEveryCopyOfIt(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		b := w.browser()
		if _, err := b.signInWithToken(w.Gate, adminToken); err != nil {
			t.Fatal(err)
		}
		stolen := b.clone()
		for range 2 {
			rec := httptest.NewRecorder()
			if err := w.SignOut(rec, b.request(http.MethodPost, "/signout", "")); err != nil {
				t.Fatal(err)
			}
			b.take(rec)
		}
		if len(b.jar) != 0 {
			t.Errorf("cookies %v stay", b.jar)
		}
		_, err := stolen.identify(w.Gate)
		wantClass(t, "a copy", err, fault.Denied)
	})
}

func TestASessionIsOverAfterTwelveHoursIdle(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		b := w.browser()
		if _, err := b.signInWithToken(w.Gate, adminToken); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(7 * time.Hour)
			if _, err := b.identify(w.Gate); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(3*time.Hour + time.Second)
		_, err := b.identify(w.Gate)
		wantClass(t, "a session after a day", err, fault.Denied)
	})
}

func TestOnlyASessionWithItsCSRFTokenChangesAnything(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		b, other := w.browser(), w.browser()
		me, err := b.signInWithToken(w.Gate, adminToken)
		if err != nil {
			t.Fatal(err)
		}
		they, err := other.signInWithToken(w.Gate, adminToken)
		if err != nil {
			t.Fatal(err)
		}
		for _, tc := range []struct {
			name, method, target, header, body string
			want                               bool
		}{
			{"a read needs none", "GET", "/", "", "", true},
			{"nor a look at headers", "HEAD", "/", "", "", true},
			{"a write without", "POST", "/", "", "", false},
			{"a form without", "POST", "/", "", "name=x", false},
			{"a deletion without", "DELETE", "/", "", "", false},
			{"a change without", "PATCH", "/", "", "", false},
			{"a method nobody knows", "FETCH", "/", "", "", false},
			{"the header", "DELETE", "/", me.CSRF, "", true},
			{"the field", "POST", "/", "", "name=x&csrf_token=" + me.CSRF, true},
			{"of another session", "POST", "/", they.CSRF, "", false},
			{"the field of another session", "POST", "/", "", "csrf_token=" + they.CSRF, false},
			{"in the address", "POST", "/?csrf_token=" + me.CSRF, "", "name=x", false},
			{"a part of it", "POST", "/", me.CSRF[:42], "", false},
			{"a wrong header beside the right field", "POST", "/", they.CSRF, "csrf_token=" + me.CSRF, false},
			{"the session itself", "POST", "/", b.jar[sessionCookie], "", false},
		} {
			r := b.request(tc.method, tc.target, tc.body)
			if tc.header != "" {
				r.Header.Set("X-CSRF-Token", tc.header)
			}
			c, err := w.Identify(r)
			if tc.want && err != nil || !tc.want && (!errors.Is(err, auth.ErrCSRF) || !fault.Is(err, fault.Denied) || c != auth.Caller{}) {
				t.Errorf("%s: %+v, %v, want %v", tc.name, c, err, tc.want)
			}
			if err != nil {
				w.wantNoSecrets(err.Error(), me.CSRF, they.CSRF, b.jar[sessionCookie])
			}
		}
	})
}

func TestAWrongKeyIsNotMendedByASession(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		b := w.browser()
		if _, err := b.signInWithToken(w.Gate, adminToken); err != nil {
			t.Fatal(err)
		}
		r := b.request(http.MethodGet, "/", "")
		r.Header.Set("Authorization", "Bearer kbk_wrong")
		_, err := w.Identify(r)
		wantClass(t, "a wrong key with a right cookie", err, fault.Denied)
	})
}

func TestForgedCookiesAreNobody(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		for _, value := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("A", 4000), "}:{", strings.Repeat("B", 43)} {
			b := w.browser()
			b.jar[sessionCookie] = value
			_, err := b.identify(w.Gate)
			wantClass(t, value, err, fault.Denied)
		}
	})
}

func TestSettingsOfTodayHoldForSessionsOfYesterday(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		root, ada := w.browser(), w.browser()
		if _, err := root.signInWithToken(w.Gate, adminToken); err != nil {
			t.Fatal(err)
		}
		if _, err := ada.signIn(); err != nil {
			t.Fatal(err)
		}
		same := w.replica(func(*auth.Options) {})
		if _, err := root.identify(same); err != nil {
			t.Errorf("after a restart, the token's session got %v", err)
		}
		for name, change := range map[string]func(*auth.Options){
			"another token": func(o *auth.Options) { o.AdminToken += "!" },
			"no token":      func(o *auth.Options) { o.AdminToken = "" },
		} {
			_, err := root.identify(w.replica(change))
			wantClass(t, name, err, fault.Denied)
		}
		weaker := w.replica(func(o *auth.Options) { o.OIDC.Roles = map[string]auth.Role{"Bridge.Admin": auth.Viewer} })
		if c, err := ada.identify(weaker); err != nil || c.Role != auth.Viewer {
			t.Errorf("with a weaker role: %v, %v, want a viewer", c, err)
		}
		for name, change := range map[string]func(*auth.Options){
			"her role is gone": func(o *auth.Options) { o.OIDC.Roles = map[string]auth.Role{"Else": auth.Admin} },
			"OIDC is off":      func(o *auth.Options) { o.OIDC = auth.OIDCOptions{} },
		} {
			_, err := ada.identify(w.replica(change))
			wantClass(t, name, err, fault.Denied)
		}
	})
}

// tooMany tells whether err says to wait at most a minute.
func tooMany(err error) bool {
	return errors.Is(err, auth.ErrTooMany) && fault.Is(err, fault.Busy) && fault.After(err) > 0 && fault.After(err) <= time.Minute
}

func TestGuessingAtTheAdminTokenIsLimitedByAddress(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		address := "192.0.2.1:1000"
		g := w.replica(func(o *auth.Options) { o.Address = func(*http.Request) string { return address } })
		try := func(token string) error {
			_, err := w.browser().signInWithToken(g, token)
			return err
		}
		for range 9 {
			wantClass(t, "a guess", try("wrong-guess-at-it"), fault.Denied)
		}
		if err := try(adminToken); err != nil { // who knows it begins anew
			t.Fatal(err)
		}
		for range 10 {
			address = "192.0.2.1:2000" // another port is no other address
			err := try("wrong-guess-at-it")
			wantClass(t, "a guess", err, fault.Denied)
			w.wantNoSecrets(err.Error(), "wrong-guess-at-it")
		}
		for _, token := range []string{"wrong-guess-at-it", adminToken} {
			if err := try(token); !tooMany(err) {
				t.Errorf("an eleventh try got %v, want too many", err)
			}
		}
		if _, err := g.Identify(bearer(adminToken)); !tooMany(err) {
			t.Errorf("the same address with a bearer got %v, want too many", err)
		}
		address = "192.0.2.2:1000"
		if err := try(adminToken); err != nil {
			t.Errorf("another address got %v", err)
		}
		address = "192.0.2.1"
		time.Sleep(time.Minute)
		if err := try(adminToken); err != nil {
			t.Errorf("a minute later: %v", err)
		}
		w.wantNoSecrets(w.logs.String(), "wrong-guess-at-it")
	})
}

func TestGuessesWithABearerAreLimitedAlike(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		for range 10 {
			_, err := w.Identify(bearer("wrong-guess-at-it"))
			wantClass(t, "a guess", err, fault.Denied)
		}
		if _, err := w.Identify(bearer("wrong-guess-at-it")); !tooMany(err) {
			t.Errorf("an eleventh guess got %v", err)
		}
		if _, err := w.browser().signInWithToken(w.Gate, adminToken); !tooMany(err) {
			t.Errorf("and by the form: %v", err)
		}
		_, secret := w.key("ci", auth.Viewer, 0)
		if _, err := w.Identify(bearer(secret)); err != nil {
			t.Errorf("a key from there got %v", err)
		}
	})
}

func TestANetworkOfIPv6IsOneAddress(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		address := ""
		g := w.replica(func(o *auth.Options) { o.Address = func(*http.Request) string { return address } })
		for k := range 12 {
			address = "[2001:db8:1:2::" + string(rune('a'+k%6)) + "]:1000"
			_, err := w.browser().signInWithToken(g, "wrong-guess-at-it")
			if tooMany(err) != (k >= 10) {
				t.Errorf("try %d got %v", k, err)
			}
		}
		address = "[2001:db8:1:3::a]:1000"
		if _, err := w.browser().signInWithToken(g, adminToken); err != nil {
			t.Errorf("the network beside got %v", err)
		}
		address = "[::ffff:192.0.2.1]:1000"
		for range 11 {
			_, _ = w.browser().signInWithToken(g, "wrong-guess-at-it") // counted alone
		}
		address = "192.0.2.1:1000"
		if _, err := w.browser().signInWithToken(g, adminToken); !tooMany(err) {
			t.Errorf("the same IPv4 address got %v", err)
		}
	})
}

func TestManyGuessesAtOnceAreNoMoreGuesses(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		errs := make([]error, 50)
		var wg sync.WaitGroup
		for k := range errs {
			wg.Go(func() {
				r := httptest.NewRequest(http.MethodPost, "/signin", http.NoBody)
				_, errs[k] = w.SignInWithToken(httptest.NewRecorder(), r, "wrong-guess-at-it")
			})
		}
		wg.Wait()
		looked := 0
		for _, err := range errs {
			if !tooMany(err) {
				looked++
			}
		}
		if looked != 10 {
			t.Errorf("%d of 50 guesses were looked at, want 10", looked)
		}
	})
}

func TestACallerHas600RequestsAMinuteOverAllReplicas(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		gates := []*auth.Gate{w.Gate, w.replica(func(*auth.Options) {})}
		ada, bob := auth.Caller{Kind: auth.KindKey, ID: "ada"}, auth.Caller{Kind: auth.KindPerson, ID: "ada"}
		allow := func(k int, c auth.Caller) time.Duration {
			after, err := gates[k%2].Allow(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			return after
		}
		for k := range 600 {
			if after := allow(k, ada); after != 0 {
				t.Fatalf("request %d has to wait %v", k+1, after)
			}
		}
		time.Sleep(15 * time.Second)
		for k := range 2 {
			if after := allow(k, ada); after != 45*time.Second {
				t.Errorf("request 601 has to wait %v, want 45s", after)
			}
		}
		if after := allow(0, bob); after != 0 {
			t.Errorf("another caller has to wait %v", after)
		}
		time.Sleep(45 * time.Second)
		if after := allow(0, ada); after != 0 {
			t.Errorf("in the next minute, %v are to be waited", after)
		}
	})
}
