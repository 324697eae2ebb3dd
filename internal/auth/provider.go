package auth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"kisibridge/internal/fault"
)

// CallbackPath is where the provider sends browsers back to; its redirect URI
// is this below the public URL.
const CallbackPath = "/signin/callback"

// OIDCOptions name the provider that knows people. Without an Issuer there is
// no such sign-in.
type OIDCOptions struct {
	Issuer       string // of one tenant: https://login.microsoftonline.com/TENANT/v2.0
	ClientID     string
	ClientSecret string
	Roles        map[string]Role // app role, or id of a group → role
	HTTPClient   *http.Client    // nil: one of our own
}

// A provider is asked about itself when it is first needed.
type provider struct {
	options OIDCOptions
	client  *http.Client
	public  string

	mu    sync.Mutex // guards known
	known *oidc.Provider
}

func newProvider(o OIDCOptions, public string) *provider {
	return &provider{options: o, client: client(o.HTTPClient), public: strings.TrimSuffix(public, "/")}
}

// pauses are between the tries of one discovery.
func pauses() []time.Duration { return []time.Duration{200 * time.Millisecond, time.Second, 0} }

// discover gives what the provider says of itself, which is kept. Two who ask
// first at once both ask; that does no harm.
func (p *provider) discover(ctx context.Context) (*oidc.Provider, error) {
	if known := p.get(); known != nil {
		return known, nil
	}
	var err error
	for _, pause := range pauses() {
		var found *oidc.Provider
		if found, err = oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.options.Issuer); err == nil {
			p.put(found)
			return found, nil
		}
		if mismatch, ok := errors.AsType[*oidc.IssuerMismatchError](err); ok {
			return nil, &fault.Error{
				Class: fault.Invalid, Op: "ask " + p.options.Issuer + " about itself", Err: mismatch,
				Hint: "set the issuer to the one of your tenant, with its id, letter for letter",
			}
		}
		if wait(ctx, pause) != nil {
			break
		}
	}
	return nil, &fault.Error{
		Class: fault.Busy, Op: "ask " + p.options.Issuer + " about itself", Err: errors.New(p.clean(err.Error())),
		Hint: "see whether it is reachable from here; then sign in again",
	}
}

// wait lets a pause pass, unless ctx ends first.
func wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (p *provider) get() *oidc.Provider {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known
}

func (p *provider) put(known *oidc.Provider) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = known
}

func (p *provider) oauth(known *oidc.Provider) *oauth2.Config {
	at := known.Endpoint()
	at.AuthStyle = oauth2.AuthStyleInParams // no guessing: each guess would spend the code
	return &oauth2.Config{
		ClientID: p.options.ClientID, ClientSecret: p.options.ClientSecret, Endpoint: at,
		RedirectURL: p.public + CallbackPath,
		Scopes:      []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail},
	}
}

// exchange trades a code for the token that says who signed in.
func (p *provider) exchange(ctx context.Context, code, verifier string) (*oidc.IDToken, error) {
	known, err := p.discover(ctx)
	if err != nil {
		return nil, err
	}
	ctx = oidc.ClientContext(ctx, p.client)
	token, err := p.oauth(known).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, p.refused(err, code, verifier)
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return nil, fault.New(fault.Denied, signingIn, "the provider sent no id token")
	}
	id, err := known.Verifier(&oidc.Config{ClientID: p.options.ClientID}).Verify(ctx, raw)
	if err != nil {
		return nil, &fault.Error{
			Class: fault.Denied, Op: signingIn, Err: errors.New(p.clean(err.Error(), raw)),
			Hint: "sign in again; if that does not help, compare the issuer and the client id with the app registration, and this machine's clock",
		}
	}
	return id, nil
}

// refused makes readable why there is no token for a code.
func (p *provider) refused(err error, secrets ...string) error {
	answer, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case !ok || answer.ErrorCode == "" || answer.Response.StatusCode >= http.StatusInternalServerError:
		text := "it did not answer as expected"
		if ok {
			text += ": " + answer.Response.Status
		}
		return &fault.Error{
			Class: fault.Busy, Op: signingIn + ": trade the code at " + p.options.Issuer,
			Err: errors.New(text), Hint: "sign in again in a moment",
		}
	case answer.ErrorCode == "invalid_client":
		return &fault.Error{
			Class: fault.Denied, Op: signingIn, Err: p.said(answer.ErrorCode, answer.ErrorDescription, secrets...),
			Hint: "the client secret may be wrong or over; make a new one in the app registration",
		}
	}
	return &fault.Error{
		Class: fault.Denied, Op: signingIn, Err: p.said(answer.ErrorCode, answer.ErrorDescription, secrets...),
		Hint: "sign in again",
	}
}

// longestWord bounds what a provider's words take of a page.
const longestWord = 600

// said is what the provider answered, in one line. Whoever shows it escapes it.
func (p *provider) said(code, description string, secrets ...string) error {
	text := code
	if description != "" {
		text += ": " + description
	}
	return errors.New(p.clean(text, secrets...))
}

// clean makes one line of foreign text, of some length, without secrets.
func (p *provider) clean(text string, secrets ...string) string {
	for _, secret := range append(secrets, p.options.ClientSecret) {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	if short := []rune(text); len(short) > longestWord {
		text = string(short[:longestWord]) + " …"
	}
	return text
}
