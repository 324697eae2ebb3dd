package graphsim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	tokenLife     = 3599 * time.Second
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	federation    = "api://AzureADTokenExchange" // the audience of workload identity
)

// authorize wants a token that we issued and that still lives.
func (s *Server) authorize(r *http.Request) *problem {
	refused := &problem{status: http.StatusUnauthorized, code: "InvalidAuthenticationToken"}
	given := r.Header.Get("Authorization")
	if given == "" {
		refused.message, refused.breach = "a call without an Authorization header", true
		return refused
	}
	token, _ := strings.CutPrefix(given, "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.tokens.get(token); !known {
		refused.message = "the access token is not one of ours, or has expired"
		return refused
	}
	return nil
}

// Token returns a fresh access token.
func (s *Server) Token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := s.newAccessToken()
	s.tokens.put(token, true)
	return token
}

// newAccessToken looks like Entra's, so that its roles can be read.
func (s *Server) newAccessToken() string {
	now := time.Now()
	claims, _ := json.Marshal(map[string]any{ // of strings and numbers: cannot fail
		"aud": "https://graph.microsoft.com", "iss": "https://sts.windows.net/" + s.opts.Tenant + "/",
		"tid": s.opts.Tenant, "appid": s.opts.ClientID, "roles": s.roles(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(tokenLife).Unix(), "uti": newToken(),
	})
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"typ":"JWT","alg":"RS256"}`)) + "." + enc(claims) + "." + enc([]byte(newToken()))
}

func (s *Server) roles() []string {
	roles := []string{"GroupMember.Read.All"}
	if !s.mode.denySubscriptions {
		roles = append(roles, "Group.Read.All")
	}
	if !s.mode.hidePeople {
		roles = append(roles, "User.Read.All")
	}
	return roles
}

func (s *Server) openIDConfiguration(r *http.Request) (answer, error) {
	if r.PathValue("tenant") != s.opts.Tenant {
		return loginError(http.StatusBadRequest, "invalid_tenant", 90002, "there is no tenant "+r.PathValue("tenant"))
	}
	here := s.base(r) + "/" + s.opts.Tenant
	return ok(map[string]any{
		"issuer":                        here + "/v2.0",
		"authorization_endpoint":        here + "/oauth2/v2.0/authorize",
		"token_endpoint":                here + "/oauth2/v2.0/token",
		"device_authorization_endpoint": here + "/oauth2/v2.0/devicecode",
		"jwks_uri":                      here + "/discovery/v2.0/keys",
	})
}

func (s *Server) discoverInstance(r *http.Request) (answer, error) {
	return ok(map[string]any{
		"tenant_discovery_endpoint": s.base(r) + "/" + s.opts.Tenant + "/v2.0/.well-known/openid-configuration",
		"api-version":               "1.1",
		"metadata": []any{map[string]any{
			"preferred_network": r.Host, "preferred_cache": r.Host, "aliases": []string{r.Host},
		}},
	})
}

// giveToken serves the client credentials flow.
func (s *Server) giveToken(r *http.Request) (answer, error) {
	r.Body = http.MaxBytesReader(nil, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return loginError(http.StatusBadRequest, "invalid_request", 900144, err.Error())
	}
	form := r.PostForm
	switch {
	case r.PathValue("tenant") != s.opts.Tenant:
		return loginError(http.StatusBadRequest, "invalid_request", 90002, "there is no tenant "+r.PathValue("tenant"))
	case form.Get("grant_type") != "client_credentials":
		return loginError(http.StatusBadRequest, "unsupported_grant_type", 70003, "grant_type must be client_credentials")
	case form.Get("client_id") != s.opts.ClientID:
		return loginError(http.StatusBadRequest, "unauthorized_client", 700016, "there is no application "+form.Get("client_id"))
	case !defaultScope(form.Get("scope")):
		s.violate("%s %s: scope %q does not end with /.default", r.Method, r.URL.Path, form.Get("scope"))
		return loginError(http.StatusBadRequest, "invalid_scope", 1002012, "scope must end with /.default")
	}
	if code, message := s.checkCredential(r); code != 0 {
		return loginError(http.StatusUnauthorized, "invalid_client", code, message)
	}
	seconds := int(tokenLife.Seconds())
	return ok(map[string]any{
		"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": s.Token(),
	})
}

// defaultScope wants one resource; azidentity asks for the OIDC scopes too.
func defaultScope(scope string) bool {
	resources := slices.DeleteFunc(strings.Fields(scope), func(s string) bool {
		return s == "openid" || s == "offline_access" || s == "profile"
	})
	return len(resources) == 1 && strings.HasSuffix(resources[0], "/.default")
}

// checkCredential returns the number of Entra's error, or 0.
func (s *Server) checkCredential(r *http.Request) (int, string) {
	secret, assertion := r.PostForm.Get("client_secret"), r.PostForm.Get("client_assertion")
	switch {
	case secret != "" && secret != s.opts.ClientSecret:
		return 7000215, "the client secret is wrong"
	case secret != "":
		return 0, ""
	case assertion == "":
		return 7000216, "client_secret or client_assertion is needed"
	case r.PostForm.Get("client_assertion_type") != assertionType:
		return 7000216, "client_assertion_type must be " + assertionType
	}
	if err := s.checkAssertion(assertion); err != nil {
		return 700027, err.Error()
	}
	return 0, ""
}

// claims are those of an assertion; aud may be one or several.
type claims struct {
	Iss string          `json:"iss"`
	Sub string          `json:"sub"`
	Aud json.RawMessage `json:"aud"`
	Exp float64         `json:"exp"`
}

func (c claims) audiences() []string {
	var one string
	if json.Unmarshal(c.Aud, &one) == nil {
		return []string{one}
	}
	var several []string
	if json.Unmarshal(c.Aud, &several) != nil {
		return nil
	}
	return several
}

// checkAssertion reads a JWT. Its signature is not verified: we know no keys.
func (s *Server) checkAssertion(jwt string) error {
	c, err := readClaims(jwt)
	switch {
	case err != nil:
		return err
	case time.Unix(int64(c.Exp), 0).Before(time.Now()):
		return fmt.Errorf("the assertion has expired")
	case slices.Contains(c.audiences(), federation):
		if c.Iss == "" || c.Sub == "" {
			return fmt.Errorf("the assertion names no issuer or no subject")
		}
		return nil
	case c.Iss != s.opts.ClientID || c.Sub != s.opts.ClientID:
		return fmt.Errorf("the assertion is of %q, not of %q", c.Iss, s.opts.ClientID)
	case !slices.ContainsFunc(c.audiences(), s.isLogin):
		return fmt.Errorf("the assertion is meant for %q", c.audiences())
	}
	return nil
}

func (s *Server) isLogin(audience string) bool {
	return strings.HasSuffix(audience, "/"+s.opts.Tenant+"/oauth2/v2.0/token") ||
		strings.HasSuffix(audience, "/"+s.opts.Tenant+"/v2.0")
}

func readClaims(jwt string) (c claims, err error) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 || parts[2] == "" {
		return c, fmt.Errorf("the assertion is not a signed JWT")
	}
	var header struct{ Alg string }
	if err := decodePart(parts[0], &header); err != nil {
		return c, err
	}
	if header.Alg == "" || header.Alg == "none" {
		return c, fmt.Errorf("the assertion is not signed")
	}
	return c, decodePart(parts[1], &c)
}

func decodePart(part string, into any) error {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return fmt.Errorf("the assertion is not base64url: %w", err)
	}
	return json.Unmarshal(text, into)
}

// loginError answers as the login host does, which is not as Graph does.
func loginError(status int, name string, code int, message string) (answer, error) {
	return answer{status, map[string]any{
		"error":             name,
		"error_description": fmt.Sprintf("AADSTS%d: %s", code, message),
		"error_codes":       []int{code},
		"timestamp":         time.Now().UTC().Format("2006-01-02 15:04:05Z"),
		"trace_id":          newID(),
		"correlation_id":    newID(),
	}}, nil
}
