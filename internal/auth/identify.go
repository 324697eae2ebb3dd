package auth

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"kisibridge/internal/fault"
)

// ErrCSRF is in the chain of what Identify answers when the caller is known
// and the request may be somebody else's doing: 403, where all else is 401.
var ErrCSRF = errors.New("the CSRF token is missing or of another session")

// identifying is what the errors of Identify say was tried.
const identifying = "identify the caller"

// Identify tells who makes a request: Denied when that is nobody we know. An
// API key that is wrong, over or deleted gets the same answer.
func (g *Gate) Identify(r *http.Request) (Caller, error) {
	by, c, err := g.identify(r)
	g.metrics.result(by, err)
	return c, err
}

func (g *Gate) identify(r *http.Request) (method, Caller, error) {
	shown := r.Header.Values("Authorization")
	switch {
	case len(shown) == 0:
		return g.bySession(r)
	case len(shown) > 1:
		return byNothing, Caller{}, nobody("several Authorization headers")
	}
	scheme, secret, _ := strings.Cut(shown[0], " ")
	secret = strings.TrimSpace(secret)
	switch {
	case !strings.EqualFold(scheme, "Bearer") || secret == "":
		return byNothing, Caller{}, nobody("the Authorization header is not of the kind Bearer")
	case strings.HasPrefix(secret, keyMark):
		c, err := g.byKey(r.Context(), secret)
		return byKey, c, err
	}
	c, err := g.byToken(r, secret)
	return byToken, c, err
}

// nobody says why a caller is not known, never with what was shown.
func nobody(why string) error {
	return &fault.Error{
		Class: fault.Denied, Op: identifying, Err: errors.New(why),
		Hint: `send "Authorization: Bearer" with an API key, or sign in`,
	}
}

// byToken checks the bootstrap token. Whoever guesses at it soon has to wait.
func (g *Gate) byToken(r *http.Request, secret string) (Caller, error) {
	tries := g.tries(r)
	if n, left, err := g.store.Tallied(r.Context(), tries); err != nil {
		return Caller{}, err
	} else if n >= mostTries {
		return Caller{}, tooMany(identifying, left)
	}
	if g.isToken(secret) {
		return bootstrap(), nil
	}
	if _, _, err := g.store.Tally(r.Context(), tries, window); err != nil {
		return Caller{}, err
	}
	return Caller{}, nobody("the key is not known, or over")
}

func (g *Gate) bySession(r *http.Request) (method, Caller, error) {
	id, ok := cookie(r, sessionCookie)
	if !ok {
		return byNothing, Caller{}, nobody("no API key and no session")
	}
	c, err := g.resume(r.Context(), id)
	if err == nil && !isSafeMethod(r.Method) && !same(csrfShown(r), c.CSRF) {
		c, err = Caller{}, &fault.Error{
			Class: fault.Denied, Op: identifying, Err: ErrCSRF,
			Hint: "load the page again, then repeat what you did",
		}
	}
	return bySession, c, err
}

// isSafeMethod names the methods that change nothing (RFC 9110, 9.2.1).
func isSafeMethod(m string) bool {
	return m == http.MethodGet || m == http.MethodHead || m == http.MethodOptions
}

// csrfShown is the CSRF token of a request: of its header, or of its form and
// never of its address, which other sites can write.
func csrfShown(r *http.Request) string {
	if token := r.Header.Get("X-CSRF-Token"); token != "" {
		return token
	}
	return r.PostFormValue("csrf_token")
}

// resume finds the session of a cookie, and what its caller may do by the
// settings of today.
func (g *Gate) resume(ctx context.Context, id string) (Caller, error) {
	s, there, err := g.store.Session(ctx, digest(id), sessionLife())
	if err != nil {
		return Caller{}, err
	}
	if !there {
		return Caller{}, nobody("the session is over")
	}
	c := Caller{ID: s.Person, Name: s.Name, Kind: s.Kind, CSRF: mac(id, "csrf")}
	switch s.Kind {
	case KindPerson:
		c.Role = strongest(g.roles, s.Grounds)
	case KindToken:
		if g.token != nil && same(s.Proof, g.proof(id)) {
			c.Role = Admin
		}
	}
	if !c.Role.Allows(Viewer) {
		return Caller{}, nobody("the settings no longer let this session in")
	}
	return c, nil
}
