package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

const (
	// sessionCookie and signInCookie begin with __Host-, so that browsers take
	// them over TLS and from this very host alone (RFC 6265bis, 4.1.3.2).
	sessionCookie = "__Host-kisibridge"
	signInCookie  = "__Host-kisibridge-signin"
)

// sessionLife is how long somebody stays signed in.
func sessionLife() store.Life { return store.Life{Idle: 12 * time.Hour, Most: 24 * time.Hour} }

// setCookie gives a browser a secret for a while; 0 takes it away.
func setCookie(w http.ResponseWriter, name, secret string, life time.Duration) {
	age := int(life.Seconds())
	if age == 0 {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: secret, Path: "/", MaxAge: age,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// cookie is the secret that a browser was given.
func cookie(r *http.Request, name string) (secret string, ok bool) {
	c, err := r.Cookie(name)
	if err != nil || !isSecret(c.Value) {
		return "", false
	}
	return c.Value, true
}

// begin signs somebody in: under a new id, so that one which somebody else
// planted is worth nothing, and in place of the session that was.
func (g *Gate) begin(w http.ResponseWriter, r *http.Request, s store.Session, role Role) (Caller, error) {
	if err := g.end(r); err != nil {
		return Caller{}, err
	}
	id := newSecret()
	s.Began = time.Now()
	if s.Kind == KindToken {
		s.Proof = g.proof(id)
	}
	if err := g.store.SaveSession(r.Context(), digest(id), s, sessionLife()); err != nil {
		return Caller{}, err
	}
	setCookie(w, sessionCookie, id, sessionLife().Most)
	g.log.InfoContext(r.Context(), "signed in", slog.String("kind", s.Kind), slog.String("person", s.Person), slog.String("role", role.String()))
	return Caller{ID: s.Person, Name: s.Name, Kind: s.Kind, Role: role, CSRF: mac(id, "csrf")}, nil
}

// SignOut ends the session of a browser, if it has one.
func (g *Gate) SignOut(w http.ResponseWriter, r *http.Request) error {
	if err := g.end(r); err != nil {
		return err
	}
	setCookie(w, sessionCookie, "", 0)
	return nil
}

func (g *Gate) end(r *http.Request) error {
	id, ok := cookie(r, sessionCookie)
	if !ok {
		return nil
	}
	return g.store.DropSession(r.Context(), digest(id))
}

// SignInWithToken begins a session for whoever has the bootstrap token. An
// address may try a few times a minute; right or wrong, the next is ErrTooMany.
func (g *Gate) SignInWithToken(w http.ResponseWriter, r *http.Request, token string) (Caller, error) {
	c, err := g.signInWithToken(w, r, token)
	g.metrics.result(byToken, err)
	return c, err
}

func (g *Gate) signInWithToken(w http.ResponseWriter, r *http.Request, token string) (Caller, error) {
	const op = "sign in with the admin token"
	tries := g.tries(r)
	// Counted before it is looked at, so that many at once are no more tries.
	n, left, err := g.store.Tally(r.Context(), tries, window)
	if err != nil {
		return Caller{}, err
	}
	if n > mostTries {
		return Caller{}, tooMany(op, left)
	}
	if !g.isToken(token) {
		return Caller{}, &fault.Error{
			Class: fault.Denied, Op: op, Err: errors.New("it is not the right one"),
			Hint: "it is the value of KISIBRIDGE_ADMIN_TOKEN where the bridge runs",
		}
	}
	if err := g.store.Untally(r.Context(), tries); err != nil {
		return Caller{}, err
	}
	who := bootstrap()
	return g.begin(w, r, store.Session{Kind: who.Kind, Person: who.ID, Name: who.Name}, who.Role)
}

// isToken tells whether somebody has the bootstrap token.
func (g *Gate) isToken(shown string) bool {
	sum := sha256.Sum256([]byte(shown))
	return g.token != nil && subtle.ConstantTimeCompare(sum[:], g.token) == 1
}

// bootstrap is the caller with the bootstrap token.
func bootstrap() Caller {
	return Caller{ID: "bootstrap", Name: "bootstrap", Kind: KindToken, Role: Admin}
}

// proof ties a session to the bootstrap token: with another token it is over.
func (g *Gate) proof(id string) string {
	return mac(id, "token "+base64.RawURLEncoding.EncodeToString(g.token))
}
