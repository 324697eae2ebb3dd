package auth_test

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"kisibridge/internal/auth"
	"kisibridge/internal/fault"
	"kisibridge/internal/redistest"
	"kisibridge/internal/store"
)

const adminToken = "a-bootstrap-token-of-some-length"

// A world is a gate, its Redis, and the provider that it asks.
type world struct {
	t     *testing.T
	redis *redis.Client
	store *store.Store
	entra *entra
	logs  *lockedBuffer
	*auth.Gate
}

// story runs a test in virtual time.
func story(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) })
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, redis: redistest.Memory(t), entra: newEntra(t), logs: &lockedBuffer{}}
	s, err := store.Open(w.redis)
	if err != nil {
		t.Fatal(err)
	}
	w.store = s
	w.Gate = w.replica(func(*auth.Options) {})
	return w
}

// replica is another gate on the same Redis, with other settings perhaps.
func (w *world) replica(change func(*auth.Options)) *auth.Gate {
	w.t.Helper()
	o := auth.Options{
		Store: w.store, AdminToken: adminToken, PublicURL: public + "/",
		OIDC: auth.OIDCOptions{
			Issuer: issuer, ClientID: clientID, ClientSecret: clientSecret,
			Roles: map[string]auth.Role{
				"Bridge.Admin": auth.Admin, "Bridge.Operator": auth.Operator, "group-of-viewers": auth.Viewer,
			},
			HTTPClient: &http.Client{Transport: w.entra},
		},
		Log: slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	change(&o)
	g, err := auth.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// key makes an API key and gives it with its secret.
func (w *world) key(name string, role auth.Role, life time.Duration) (auth.Key, string) {
	w.t.Helper()
	var expires *time.Time
	if life != 0 {
		at := time.Now().Add(life)
		expires = &at
	}
	k, secret, err := w.CreateKey(w.t.Context(), name, role, expires)
	if err != nil {
		w.t.Fatal(err)
	}
	return k, secret
}

// bearer is a request that shows a secret.
func bearer(secret string) *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/v1/integrations", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+secret)
	return r
}

// wantClass fails the test unless err is of a class.
func wantClass(t *testing.T, what string, err error, want fault.Class) {
	t.Helper()
	if !fault.Is(err, want) {
		t.Errorf("%s got %v, want %v", what, err, want)
	}
}

// A browser keeps cookies, and polices them.
type browser struct {
	w    *world
	jar  map[string]string
	ages map[string]int
}

func (w *world) browser() *browser {
	return &browser{w: w, jar: map[string]string{}, ages: map[string]int{}}
}

func (b *browser) clone() *browser {
	c := b.w.browser()
	maps.Copy(c.jar, b.jar)
	return c
}

// request is one of this browser's.
func (b *browser) request(method, target, body string) *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range b.jar {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

// take keeps the cookies of an answer.
func (b *browser) take(rec *httptest.ResponseRecorder) {
	b.w.t.Helper()
	for _, c := range rec.Result().Cookies() {
		want := &http.Cookie{
			Name: c.Name, Value: c.Value, MaxAge: c.MaxAge, Raw: c.Raw,
			Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		}
		if diff := cmp.Diff(want, c); diff != "" || !strings.HasPrefix(c.Name, "__Host-kisibridge") {
			b.w.t.Errorf("cookie (-want +got):\n%s", diff)
		}
		b.jar[c.Name], b.ages[c.Name] = c.Value, c.MaxAge
		if c.MaxAge < 0 {
			delete(b.jar, c.Name)
		}
	}
}

func (b *browser) signInWithToken(g *auth.Gate, token string) (auth.Caller, error) {
	b.w.t.Helper()
	rec := httptest.NewRecorder()
	c, err := g.SignInWithToken(rec, b.request(http.MethodPost, "/signin", "x=y"), token)
	b.take(rec)
	return c, err
}

// begin goes to sign in, and gives the provider's address.
func (b *browser) begin(returnTo string) (string, error) {
	b.w.t.Helper()
	rec := httptest.NewRecorder()
	address, err := b.w.Begin(rec, b.request(http.MethodGet, "/signin/oidc?"+url.Values{"return_to": {returnTo}}.Encode(), ""))
	b.take(rec)
	return address, err
}

// back comes back from the provider.
func (b *browser) back(target string) (string, error) {
	b.w.t.Helper()
	rec := httptest.NewRecorder()
	to, err := b.w.Callback(rec, b.request(http.MethodGet, target, ""))
	b.take(rec)
	return to, err
}

// signIn goes all the way.
func (b *browser) signIn() (string, error) {
	b.w.t.Helper()
	address, err := b.begin("/events?since=1")
	if err != nil {
		b.w.t.Fatal(err)
	}
	return b.back(b.w.entra.authorize(address))
}

func (b *browser) identify(g *auth.Gate) (auth.Caller, error) {
	return g.Identify(b.request(http.MethodGet, "/", ""))
}

// wantNoSecrets fails the test when text gives one away.
func (w *world) wantNoSecrets(text string, more ...string) {
	w.t.Helper()
	w.entra.mu.Lock()
	defer w.entra.mu.Unlock()
	for _, secret := range append(append(more, adminToken, clientSecret), w.entra.issued...) {
		if secret != "" && strings.Contains(text, secret) {
			w.t.Errorf("%q stands in %q", secret, text)
		}
	}
}

// lockedBuffer collects what is logged.
type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

// Write keeps a line.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String is all of it.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
