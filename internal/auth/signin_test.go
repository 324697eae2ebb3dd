package auth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/auth"
	"kisibridge/internal/fault"
)

func TestAPersonSignsInWithEntraAndComesBackWhereTheyWere(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		b := w.browser()
		to, err := b.signIn()
		if err != nil || to != "/events?since=1" {
			t.Fatalf("came back to %q, %v", to, err)
		}
		got, err := b.identify(w.Gate)
		want := auth.Caller{ID: "0b1d-ada", Name: "ada@contoso.example", Kind: auth.KindPerson, Role: auth.Admin, CSRF: got.CSRF}
		if diff := cmp.Diff(want, got); diff != "" || err != nil || len(got.CSRF) != 43 {
			t.Errorf("%v; caller (-want +got):\n%s", err, diff)
		}
		if b.ages[signInCookie] != 600 || b.ages[sessionCookie] != 24*3600 {
			t.Errorf("cookies last %v", b.ages)
		}
		w.wantNoSecrets(w.logs.String()+w.dump(), b.jar[sessionCookie], b.jar[signInCookie])
		if strings.Contains(w.logs.String(), "@") {
			t.Errorf("an address is logged: %s", w.logs)
		}
	})
}

func TestTheStrongestRoleWinsAndNobodyWithoutOneGetsIn(t *testing.T) {
	many := make([]string, 150)
	for k := range many {
		many[k] = fmt.Sprint("group-", k)
	}
	for _, tc := range []struct {
		name   string
		claims map[string]any
		want   auth.Role
		hint   string
	}{
		{"an app role", map[string]any{"roles": []string{"Bridge.Operator"}}, auth.Operator, ""},
		{"a group", map[string]any{"groups": append(many, "group-of-viewers")}, auth.Viewer, ""},
		{"a weak group and a strong role", map[string]any{"groups": []string{"group-of-viewers"}, "roles": []string{"Bridge.Operator"}}, auth.Operator, ""},
		{"roles in any order", map[string]any{"roles": []string{"Bridge.Admin", "Bridge.Operator", "Bridge.Admin"}}, auth.Admin, ""},
		{"a role of another app beside", map[string]any{"roles": []string{"Else", "Bridge.Operator"}}, auth.Operator, ""},
		{"none", map[string]any{}, 0, "ask an admin"},
		{"none that is known", map[string]any{"roles": []string{"Owner", "bridge.admin", "admin", ""}, "groups": many}, 0, "ask an admin"},
		{"more groups than a token holds", map[string]any{
			"_claim_names":   map[string]any{"groups": "src1"},
			"_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "https://graph.example/groups"}},
		}, 0, "too many groups"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				delete(w.entra.claims, "roles")
				maps.Copy(w.entra.claims, tc.claims)
				b := w.browser()
				_, err := b.signIn()
				if tc.want == 0 {
					wantClass(t, "a sign-in", err, fault.Denied)
					if !strings.Contains(fault.Hint(err), tc.hint) || !strings.Contains(err.Error(), "ada@contoso.example has no role") {
						t.Errorf("it says %v", err)
					}
					if b.jar[sessionCookie] != "" {
						t.Error("a session was begun")
					}
					return
				}
				if c, err2 := b.identify(w.Gate); err != nil || err2 != nil || c.Role != tc.want {
					t.Errorf("role %v, %v, %v, want %v", c.Role, err, err2, tc.want)
				}
			})
		})
	}
}

func TestAPersonIsCalledByTheBestNameThereIs(t *testing.T) {
	for want, claims := range map[string]map[string]any{
		"ada@x.example": {"preferred_username": "ada@x.example", "email": "e", "name": "n"},
		"e@x.example":   {"preferred_username": "", "email": "e@x.example", "name": "n"},
		"Ada L":         {"preferred_username": "", "name": "Ada\n\tL"},
		"pairwise-ada":  {"preferred_username": "", "name": "", "oid": ""},
	} {
		story(t, func(t *testing.T, w *world) {
			maps.Copy(w.entra.claims, claims)
			b := w.browser()
			if _, err := b.signIn(); err != nil {
				t.Fatal(err)
			}
			c, err := b.identify(w.Gate)
			if err != nil || c.Name != want {
				t.Errorf("called %q, %v, want %q", c.Name, err, want)
			}
			if claims["oid"] == "" && c.ID != "pairwise-ada" {
				t.Errorf("without an object id, the id is %q, want the subject", c.ID)
			}
		})
	}
}

func TestATokenThatIsNotForThisSignInIsRefused(t *testing.T) {
	forger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		forge func(e *entra)
	}{
		{"another nonce", func(e *entra) { e.claims["nonce"] = strings.Repeat("A", 43) }},
		{"no nonce", func(e *entra) { e.forge = func(c map[string]any) { delete(c, "nonce") } }},
		{"another audience", func(e *entra) { e.claims["aud"] = "another-client" }},
		{"another issuer", func(e *entra) { e.claims["iss"] = "https://login.example/other/v2.0" }},
		{"over", func(e *entra) { e.claims["exp"] = time.Now().Add(-time.Second).Unix() }},
		{"not yet", func(e *entra) { e.claims["nbf"] = time.Now().Add(time.Hour).Unix() }},
		{"the key of a forger", func(e *entra) { e.sign = forger }},
		{"roles that are no list", func(e *entra) { e.claims["roles"] = "Bridge.Admin" }},
		{"no id token", func(e *entra) {
			e.answer["/token"] = answer{200, map[string]any{"access_token": "a", "token_type": "Bearer"}}
		}},
		{"no token at all", func(e *entra) {
			e.answer["/token"] = answer{200, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": "x.y.z"}}
		}},
		{"a token of no algorithm", func(e *entra) {
			text := encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(`{"iss":"`+issuer+`","aud":"`+clientID+`","roles":["Bridge.Admin"]}`)) + "."
			e.answer["/token"] = answer{200, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": text}}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				tc.forge(w.entra)
				b := w.browser()
				_, err := b.signIn()
				wantClass(t, tc.name, err, fault.Denied)
				if b.jar[sessionCookie] != "" {
					t.Error("a session was begun")
				}
				w.wantNoSecrets(err.Error() + w.logs.String())
			})
		})
	}
}

func TestASignInComesBackOnceToTheBrowserThatBeganItInTime(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		ada, eve := w.browser(), w.browser()
		start := func(b *browser) string {
			address, err := b.begin("/")
			if err != nil {
				t.Fatal(err)
			}
			return w.entra.authorize(address)
		}
		stray := func(what string, b *browser, target string) {
			t.Helper()
			before := w.entra.asked["/token"]
			_, err := b.back(target)
			wantClass(t, what, err, fault.Denied)
			if w.entra.asked["/token"] != before {
				t.Errorf("%s: the code was spent", what)
			}
		}
		hers := start(ada)
		stray("a browser that began none", eve, hers)
		start(eve)
		stray("a browser that began another", eve, hers)
		if _, err := ada.back(hers); err != nil {
			t.Fatalf("after others tried: %v", err)
		}
		stray("the same once more", ada, hers)
		code, err := url.Parse(hers)
		if err != nil {
			t.Fatal(err)
		}
		q := code.Query()
		for what, state := range map[string]string{"no state": "", "a short one": "x", "one of nobody": strings.Repeat("A", 43)} {
			q.Set("state", state)
			stray(what, ada, "/signin/callback?"+q.Encode())
		}
		late := start(ada)
		time.Sleep(10*time.Minute + time.Second)
		stray("ten minutes later", ada, late)

		one, two := start(ada), start(ada) // in two windows
		for _, target := range []string{one, two} {
			if _, err := ada.back(target); err != nil {
				t.Errorf("one of two windows got %v", err)
			}
		}
	})
}

func TestACodeGoesWithItsVerifier(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		b := w.browser()
		first, err := b.begin("/")
		if err != nil {
			t.Fatal(err)
		}
		second, err := b.begin("/")
		if err != nil {
			t.Fatal(err)
		}
		// A code that was stolen from one sign-in is put into another.
		stolen, mine := parse(t, w.entra.authorize(first)), parse(t, second)
		_, err = b.back("/signin/callback?" + url.Values{"code": stolen["code"], "state": mine["state"]}.Encode())
		wantClass(t, "a code of another sign-in", err, fault.Denied)
		if !strings.Contains(err.Error(), "AADSTS501481") {
			t.Errorf("it says %v", err)
		}
		w.wantNoSecrets(err.Error())
	})
}

func parse(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func TestWhatTheProviderSaysComesBackReadable(t *testing.T) {
	for _, tc := range []struct {
		name  string
		query url.Values
		spoil func(e *entra)
		class fault.Class
		want  []string
	}{
		{
			"refused by the person",
			url.Values{"error": {"access_denied"}, "error_description": {"AADSTS65004: User declined\r\nto consent."}},
			nil,
			fault.Denied,
			[]string{"access_denied: AADSTS65004: User declined to consent."},
		},
		{"no description", url.Values{"error": {"login_required"}}, nil, fault.Denied, []string{"login_required"}},
		{"a long one", url.Values{"error": {"e"}, "error_description": {strings.Repeat("é", 5000)}}, nil, fault.Denied, []string{"é …"}},
		{"a wrong client secret", nil, func(e *entra) {
			e.answer["/token"] = refuse("invalid_client", "AADSTS7000215: not "+clientSecret)
		}, fault.Denied, []string{"AADSTS7000215: not ***", "client secret may be wrong"}},
		{"no code", url.Values{}, nil, fault.Denied, []string{"AADSTS70008"}},
		{"a broken provider", nil, func(e *entra) { e.answer["/token"] = answer{503, "down"} }, fault.Busy, []string{"503", "in a moment"}},
		{"a silent provider", nil, func(e *entra) { e.down = true }, fault.Busy, []string{"did not answer as expected"}},
		{"a page instead", nil, func(e *entra) { e.answer["/token"] = answer{302, nil} }, fault.Busy, []string{"302"}},
		{"no keys", nil, func(e *entra) { e.answer["/keys"] = answer{500, nil} }, fault.Denied, []string{"keys"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world) {
				b := w.browser()
				address, err := b.begin("/")
				if err != nil {
					t.Fatal(err)
				}
				target := w.entra.authorize(address)
				if tc.query != nil {
					tc.query.Set("state", parse(t, target).Get("state"))
					target = "/signin/callback?" + tc.query.Encode()
				}
				if tc.spoil != nil {
					tc.spoil(w.entra)
				}
				_, err = b.back(target)
				wantClass(t, tc.name, err, tc.class)
				for _, want := range tc.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("it says %v, want %q", err, want)
					}
				}
				if len([]rune(err.Error())) > 800 || strings.ContainsAny(err.Error(), "\r\n") {
					t.Errorf("it is no line: %q", err)
				}
				w.wantNoSecrets(err.Error() + w.logs.String())
			})
		})
	}
}

func TestNobodyPutsWordsOnOurPageWithoutASignIn(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		_, err := w.browser().back("/signin/callback?error=x&error_description=Call+555-0100&state=" + strings.Repeat("A", 43))
		wantClass(t, "an error of nobody", err, fault.Denied)
		if strings.Contains(err.Error(), "555") {
			t.Errorf("it says %v", err)
		}
	})
}

func TestTheBridgeStartsAndRecoversWhileEntraIsDown(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		const page = "/tenant/v2.0/.well-known/openid-configuration"
		if len(w.entra.asked) != 0 {
			t.Errorf("before anybody signs in, the provider was asked %v", w.entra.asked)
		}
		w.entra.down = true
		b := w.browser()
		_, err := b.begin("/")
		wantClass(t, "a sign-in while it is down", err, fault.Busy)
		if !strings.Contains(err.Error(), "connection refused") || w.entra.asked[page] != 3 {
			t.Errorf("asked %v times, says %v", w.entra.asked[page], err)
		}
		w.entra.down = false
		w.entra.answer[page] = answer{503, "<html>"}
		if _, err := b.signIn(); err != nil {
			t.Errorf("when it is back: %v", err)
		}
		asked := w.entra.asked[page]
		if _, err := b.signIn(); err != nil || w.entra.asked[page] != asked {
			t.Errorf("a second sign-in asks again, or %v", err)
		}
		fresh := w.replica(func(o *auth.Options) { o.OIDC.Issuer = "https://login.example/tenant/v2.0/" })
		_, err = fresh.Begin(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		wantClass(t, "an issuer that is nearly right", err, fault.Invalid)
	})
}

func TestWithoutAProviderThereIsNoSuchSignIn(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		g := w.replica(func(o *auth.Options) { o.OIDC = auth.OIDCOptions{} })
		if g.HasOIDC() || !w.HasOIDC() {
			t.Errorf("without a provider %v, with one %v", g.HasOIDC(), w.HasOIDC())
		}
		_, err := g.Begin(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		wantClass(t, "to begin", err, fault.Invalid)
		_, err = g.Callback(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/?state=x", http.NoBody))
		wantClass(t, "to come back", err, fault.Invalid)
	})
}

func TestNobodyFillsRedisWithSignIns(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		b := w.browser()
		for range 60 {
			if _, err := b.begin("/"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.begin("/"); !tooMany(err) {
			t.Errorf("the 61st in a minute got %v", err)
		}
		time.Sleep(time.Minute)
		if _, err := b.begin("/"); err != nil {
			t.Errorf("a minute later: %v", err)
		}
	})
}

func TestReturnToStaysHere(t *testing.T) {
	for path, want := range map[string]string{
		"":                        "/",
		"/":                       "/",
		"/events?since=1&a=%2F#x": "/events?since=1&a=%2F#x",
		"/a//b":                   "/a//b",
		"/?to=https://x.example":  "/?to=https://x.example",
	} {
		if got, err := auth.ReturnTo(path); err != nil || got != want {
			t.Errorf("%q gives %q, %v, want %q", path, got, err, want)
		}
	}
	away := []string{
		"//evil.example", "///evil.example", "https://evil.example", "http:evil", "javascript:alert(1)", "evil.example", "a/b", "?x", "#x",
		`\\evil.example`, `/\evil.example`, `\/evil.example`, `/a\b`, "/\t/evil.example", "/\n/evil.example", "\t//evil.example",
		" //evil.example", "/ /evil.example", "/\x00", "/%zz", "/\x7f", "/" + strings.Repeat("a", 2048),
	}
	for _, path := range away {
		got, err := auth.ReturnTo(path)
		wantClass(t, fmt.Sprintf("%q", path), err, fault.Invalid)
		if got != "" || strings.Contains(err.Error(), "evil") {
			t.Errorf("%q gives %q, %v", path, got, err)
		}
	}
	story(t, func(t *testing.T, w *world) {
		for _, path := range away {
			address, err := w.browser().begin(path)
			if !fault.Is(err, fault.Invalid) || address != "" {
				t.Errorf("%q begins a sign-in: %v", path, err)
			}
		}
	})
}
