package auth_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	issuer       = "https://login.example/tenant/v2.0"
	clientID     = "7d7f-client"
	clientSecret = "client~secret~of~the~app"
	public       = "https://bridge.example"
)

// newSigner makes an RSA key; it takes a while, so all tests share one.
var newSigner = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// An entra is a stand-in for Microsoft's sign-in: an OpenID provider behind a
// RoundTripper, as strict as the real one.
type entra struct {
	t      *testing.T
	signer *rsa.PrivateKey

	mu     sync.Mutex // guards what follows
	claims map[string]any
	codes  map[string]url.Values // code → what it was given for
	forge  func(claims map[string]any)
	sign   *rsa.PrivateKey   // other than signer: a forger's
	answer map[string]answer // path → once instead of the right one
	down   bool
	asked  map[string]int // path → requests
	issued []string       // codes, verifiers and tokens: secrets
}

func newEntra(t *testing.T) *entra {
	t.Helper()
	signer, err := newSigner()
	if err != nil {
		t.Fatal(err)
	}
	return &entra{
		t: t, signer: signer, sign: signer, codes: map[string]url.Values{}, asked: map[string]int{},
		answer: map[string]answer{},
		claims: map[string]any{
			"oid": "0b1d-ada", "sub": "pairwise-ada", "preferred_username": "ada@contoso.example",
			"name": "Ada", "roles": []string{"Bridge.Admin"},
		},
	}
}

// RoundTrip answers what the bridge asks.
func (e *entra) RoundTrip(r *http.Request) (*http.Response, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked[r.URL.Path]++
	if e.down {
		return nil, errors.New("connection refused")
	}
	if once, ok := e.answer[r.URL.Path]; ok {
		delete(e.answer, r.URL.Path)
		return reply(once.status, once.body), nil
	}
	if r.URL.Scheme != "https" || r.URL.Host != "login.example" {
		e.t.Errorf("the bridge calls %s", r.URL)
	}
	switch r.URL.Path {
	case "/tenant/v2.0/.well-known/openid-configuration":
		return reply(200, map[string]any{
			"issuer": issuer, "authorization_endpoint": "https://login.example/authorize",
			"token_endpoint": "https://login.example/token", "jwks_uri": "https://login.example/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"},
		}), nil
	case "/keys":
		return reply(200, map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "use": "sig", "kid": "one", "alg": "RS256",
			"n": encode(e.signer.N.Bytes()), "e": encode(big.NewInt(int64(e.signer.E)).Bytes()),
		}}}), nil
	case "/token":
		return e.token(r), nil
	}
	e.t.Errorf("the bridge asks for %s", r.URL.Path)
	return reply(404, nil), nil
}

// authorize is a person at the provider's page, who signs in: it gives the
// address that the browser is sent back to.
func (e *entra) authorize(address string) string {
	e.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		e.t.Fatal(err)
	}
	q := u.Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": clientID, "redirect_uri": public + "/signin/callback",
		"code_challenge_method": "S256", "scope": "openid profile email",
	} {
		if got := q.Get(name); got != want {
			e.t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if len(q.Get("state")) < 43 || len(q.Get("nonce")) < 43 || len(q.Get("code_challenge")) != 43 {
		e.t.Errorf("state, nonce or challenge are short in %s", address)
	}
	if strings.Contains(address, clientSecret) {
		e.t.Error("the client secret is in the address")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	code := fmt.Sprintf("0.code-%d-secret", len(e.issued))
	e.codes[code] = q
	e.issued = append(e.issued, code)
	return "/signin/callback?" + url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
}

func (e *entra) token(r *http.Request) *http.Response {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		e.t.Error(err)
	}
	f, err := url.ParseQuery(string(body))
	if err != nil {
		e.t.Error(err)
	}
	verifier := f.Get("code_verifier")
	e.issued = append(e.issued, verifier)
	given, ok := e.codes[f.Get("code")]
	sum := sha256.Sum256([]byte(verifier))
	switch {
	case f.Get("client_id") != clientID || f.Get("client_secret") != clientSecret:
		return refused("invalid_client", "AADSTS7000215: Invalid client secret provided: "+f.Get("client_secret"))
	case f.Get("grant_type") != "authorization_code", !ok:
		return refused("invalid_grant", "AADSTS70008: the code was redeemed already: "+f.Get("code"))
	case f.Get("redirect_uri") != given.Get("redirect_uri"):
		return refused("invalid_grant", "another redirect URI")
	case encode(sum[:]) != given.Get("code_challenge"):
		return refused("invalid_grant", "AADSTS501481: the verifier does not match: "+verifier)
	}
	delete(e.codes, f.Get("code"))
	token := e.idToken(given.Get("nonce"))
	e.issued = append(e.issued, token, "access-secret")
	return reply(200, map[string]any{"access_token": "access-secret", "token_type": "Bearer", "expires_in": 3600, "id_token": token})
}

func (e *entra) idToken(nonce string) string {
	claims := map[string]any{
		"iss": issuer, "aud": clientID, "nonce": nonce,
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(claims, e.claims)
	if e.forge != nil {
		e.forge(claims)
	}
	text := encode(marshal(map[string]any{"alg": "RS256", "kid": "one"})) + "." + encode(marshal(claims))
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, e.sign, crypto.SHA256, sum[:])
	if err != nil {
		e.t.Error(err)
	}
	return text + "." + encode(sig)
}

// An answer is a status with a body.
type answer struct {
	status int
	body   any
}

// refuse is how a provider says no.
func refuse(code, description string) answer {
	return answer{400, map[string]any{"error": code, "error_description": description}}
}

func refused(code, description string) *http.Response {
	a := refuse(code, description)
	return reply(a.status, a.body)
}

func reply(status int, body any) *http.Response {
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)), ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   io.NopCloser(bytes.NewReader(marshal(body))),
	}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a test's own value
	}
	return b
}
