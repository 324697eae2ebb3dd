package auth

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

const (
	// signingIn is what the errors of a sign-in say was tried.
	signingIn = "sign in"

	// signInLife is how long somebody may take at the provider.
	signInLife = 10 * time.Minute
)

// HasOIDC tells whether people can sign in with their account.
func (g *Gate) HasOIDC() bool { return g.oidc != nil }

// Begin gives the address at the provider where a browser is to be sent to
// sign in. It returns to CallbackPath, and from there to the request's
// return_to.
func (g *Gate) Begin(w http.ResponseWriter, r *http.Request) (address string, err error) {
	if g.oidc == nil {
		return "", &fault.Error{
			Class: fault.Invalid, Op: signingIn, Err: errors.New("no provider is set up"),
			Hint: "sign in with the admin token",
		}
	}
	back, err := ReturnTo(r.FormValue("return_to"))
	if err != nil {
		return "", err
	}
	if n, left, err := g.store.Tally(r.Context(), "signins:"+g.place(r), window); err != nil {
		return "", err
	} else if n > mostSignIns {
		return "", tooMany(signingIn, left)
	}
	known, err := g.oidc.discover(r.Context())
	if err != nil {
		return "", err
	}
	browser, ok := cookie(r, signInCookie)
	if !ok { // one for all sign-ins under way: two windows may ask at once
		browser = newSecret()
	}
	state, in := newSecret(), store.SignIn{Nonce: newSecret(), Verifier: oauth2.GenerateVerifier(), ReturnTo: back}
	if err := g.store.SaveSignIn(r.Context(), tie(state, browser), in, signInLife); err != nil {
		return "", err
	}
	setCookie(w, signInCookie, browser, signInLife)
	return g.oidc.oauth(known).AuthCodeURL(state, oidc.Nonce(in.Nonce), oauth2.S256ChallengeOption(in.Verifier)), nil
}

// tie names a sign-in, which only the browser that began it can name.
func tie(state, browser string) string { return digest(state + " " + browser) }

// Callback ends a sign-in that comes back from the provider, and tells where
// the browser is to be sent. What the provider says in an error is its own
// text: whoever shows it escapes it.
func (g *Gate) Callback(w http.ResponseWriter, r *http.Request) (returnTo string, err error) {
	returnTo, err = g.callback(w, r)
	g.metrics.result(byOIDC, err)
	if err != nil {
		g.log.WarnContext(r.Context(), "a sign-in did not succeed", slog.String("class", fault.Of(err).String()))
	}
	return returnTo, err
}

func (g *Gate) callback(w http.ResponseWriter, r *http.Request) (string, error) {
	if g.oidc == nil {
		return "", fault.New(fault.Invalid, signingIn, "no provider is set up")
	}
	in, err := g.takeSignIn(r)
	if err != nil {
		return "", err
	}
	q := r.URL.Query()
	if code := q.Get("error"); code != "" {
		return "", &fault.Error{
			Class: fault.Denied, Op: signingIn, Err: g.oidc.said(code, q.Get("error_description")),
			Hint: "sign in again, or ask whoever runs your directory",
		}
	}
	token, err := g.oidc.exchange(r.Context(), q.Get("code"), in.Verifier)
	if err != nil {
		return "", err
	}
	if !same(token.Nonce, in.Nonce) {
		return "", fault.New(fault.Denied, signingIn, "the id token is of another sign-in")
	}
	s, role, err := g.admit(token)
	if err != nil {
		return "", err
	}
	if _, err := g.begin(w, r, s, role); err != nil {
		return "", err
	}
	return in.ReturnTo, nil
}

// takeSignIn finds, once, the sign-in that this browser began.
func (g *Gate) takeSignIn(r *http.Request) (store.SignIn, error) {
	stray := &fault.Error{
		Class: fault.Denied, Op: signingIn,
		Err:  errors.New("this browser began no such sign-in, or it is over"),
		Hint: "sign in again, within ten minutes and with cookies allowed",
	}
	state := r.URL.Query().Get("state")
	browser, ok := cookie(r, signInCookie)
	if !ok || !isSecret(state) {
		return store.SignIn{}, stray
	}
	in, err := g.store.TakeSignIn(r.Context(), tie(state, browser))
	if fault.Is(err, fault.Missing) {
		return store.SignIn{}, stray
	}
	return in, err
}

// claims are what an id token says of a person.
type claims struct {
	ObjectID  string            `json:"oid"` // the same in every app of a tenant
	Username  string            `json:"preferred_username"`
	Email     string            `json:"email"`
	Name      string            `json:"name"`
	Roles     []string          `json:"roles"`
	Groups    []string          `json:"groups"`
	Elsewhere map[string]string `json:"_claim_names"`
}

// admit gives a person the strongest role that app roles and groups give.
func (g *Gate) admit(token *oidc.IDToken) (store.Session, Role, error) {
	var c claims
	if err := token.Claims(&c); err != nil {
		return store.Session{}, 0, fault.New(fault.Denied, signingIn, "the id token is not as expected: %s", g.oidc.clean(err.Error()))
	}
	s := store.Session{Kind: KindPerson, Person: c.ObjectID, Name: g.oidc.clean(c.name(token.Subject))}
	if s.Person == "" {
		s.Person = token.Subject
	}
	for _, ground := range slices.Concat(c.Roles, c.Groups) {
		if g.roles[ground].Allows(Viewer) && !slices.Contains(s.Grounds, ground) {
			s.Grounds = append(s.Grounds, ground)
		}
	}
	role := strongest(g.roles, s.Grounds)
	if !role.Allows(Viewer) {
		return store.Session{}, 0, c.noRole(s.Name)
	}
	return s, role, nil
}

// name is what a person is called in the audit trail.
func (c *claims) name(subject string) string {
	for _, name := range []string{c.Username, c.Email, c.Name} {
		if name != "" {
			return name
		}
	}
	return subject
}

func (c *claims) noRole(name string) error {
	hint := "ask an admin for an app role of kisibridge, or for a group that has one"
	if c.Elsewhere["groups"] != "" {
		// Entra leaves out groups beyond 200.
		hint = "the account is in too many groups for a token; ask an admin for an app role instead"
	}
	return &fault.Error{
		Class: fault.Denied, Op: signingIn, Hint: hint,
		Err: errors.New(name + " has no role here"),
	}
}
