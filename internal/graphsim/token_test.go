package graphsim

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const form = "application/x-www-form-urlencoded"

// askToken asks for a token with good values, changed by pairs.
func (w *world) askToken(status int, pairs ...string) reply {
	w.t.Helper()
	values := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {DefaultClientID},
		"scope": {"https://graph.microsoft.com/.default openid offline_access profile"},
	}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return w.want(status, "POST", "/"+DefaultTenant+"/oauth2/v2.0/token", values.Encode(), "Authorization", "", "Content-Type", form)
}

func jwt(claims object) string {
	enc := base64.RawURLEncoding.EncodeToString
	text, _ := json.Marshal(claims)
	return enc([]byte(`{"alg":"PS256","typ":"JWT"}`)) + "." + enc(text) + "." + enc([]byte("signature"))
}

func TestASecretBuysATokenThatLivesAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		r := w.askToken(http.StatusOK, "client_secret", DefaultClientSecret)
		if diff := cmp.Diff(float64(3599), r.body["expires_in"]); diff != "" {
			t.Errorf("expires_in (-want +got):\n%s", diff)
		}
		bearer := []string{"Authorization", "Bearer " + r.body["access_token"].(string)}
		w.get("/v1.0/organization", bearer...)
		time.Sleep(3598 * time.Second)
		w.get("/v1.0/organization", bearer...)
		time.Sleep(time.Second)
		w.want(http.StatusUnauthorized, "GET", "/v1.0/organization", "", bearer...)
	})
}

func TestATokenNamesItsRoles(t *testing.T) {
	w := newWorld(t, Options{})
	w.HidePeople(true)
	w.DenySubscriptions(true)
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(w.Token(), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Roles []string }
	if err := json.Unmarshal(claims, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"GroupMember.Read.All"}, got.Roles); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
}

func TestAssertionsBuyTokensToo(t *testing.T) {
	w := newWorld(t, Options{})
	soon := time.Now().Add(time.Minute).Unix()
	login := graphHost + "/" + DefaultTenant + "/oauth2/v2.0/token"
	for _, tc := range []struct {
		name      string
		assertion string
		status    int
	}{
		{"certificate", jwt(object{"iss": DefaultClientID, "sub": DefaultClientID, "aud": login, "exp": soon}), 200},
		{"workload identity", jwt(object{"iss": "https://cluster.example", "sub": "system:serviceaccount:a:b", "aud": []string{federation}, "exp": soon}), 200},
		{"of another app", jwt(object{"iss": "other", "sub": "other", "aud": login, "exp": soon}), 401},
		{"for another host", jwt(object{"iss": DefaultClientID, "sub": DefaultClientID, "aud": "https://elsewhere.example", "exp": soon}), 401},
		{"expired", jwt(object{"iss": DefaultClientID, "sub": DefaultClientID, "aud": login, "exp": 1}), 401},
		{"not a JWT", "abc", 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.in(t).askToken(tc.status, "client_assertion_type", assertionType, "client_assertion", tc.assertion)
		})
	}
}

func TestTheLoginHostRefusesAsEntraDoes(t *testing.T) {
	w := newWorld(t, Options{})
	for _, tc := range []struct {
		name   string
		status int
		pairs  []string
		want   string
	}{
		{"wrong secret", 401, []string{"client_secret", "wrong"}, "invalid_client"},
		{"no credential", 401, nil, "invalid_client"},
		{"unknown app", 400, []string{"client_secret", DefaultClientSecret, "client_id", "x"}, "unauthorized_client"},
		{"other flow", 400, []string{"client_secret", DefaultClientSecret, "grant_type", "password"}, "unsupported_grant_type"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := w.in(t).askToken(tc.status, tc.pairs...)
			if diff := cmp.Diff(tc.want, r.body["error"]); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
	r := w.askToken(http.StatusUnauthorized, "client_secret", "wrong")
	if said := r.body["error_description"].(string); !strings.HasPrefix(said, "AADSTS7000215") {
		t.Errorf("a wrong secret is told as %q, want AADSTS7000215", said)
	}
	*w.breach = true
	w.askToken(http.StatusBadRequest, "client_secret", DefaultClientSecret, "scope", "User.Read")
	if got := len(w.Violations()); got != 1 {
		t.Errorf("a scope without /.default made %d violations, want 1", got)
	}
}

func TestTheLoginHostDescribesItself(t *testing.T) {
	w := newWorld(t, Options{})
	here := graphHost + "/" + DefaultTenant
	r := w.get("/" + DefaultTenant + "/v2.0/.well-known/openid-configuration")
	if diff := cmp.Diff(here+"/oauth2/v2.0/token", r.body["token_endpoint"]); diff != "" {
		t.Errorf("token_endpoint (-want +got):\n%s", diff)
	}
	r = w.get("/common/discovery/instance")
	if diff := cmp.Diff(here+"/v2.0/.well-known/openid-configuration", r.body["tenant_discovery_endpoint"]); diff != "" {
		t.Errorf("tenant_discovery_endpoint (-want +got):\n%s", diff)
	}
}

func TestACallWithoutATokenIsAViolationAndAWrongTokenIsNot(t *testing.T) {
	w := newWorld(t, Options{})
	w.want(http.StatusUnauthorized, "GET", "/v1.0/organization", "", "Authorization", "Bearer forged")
	if got := w.Violations(); len(got) != 0 {
		t.Errorf("a wrong token made violations: %v", got)
	}
	*w.breach = true
	w.want(http.StatusUnauthorized, "GET", "/v1.0/organization", "", "Authorization", "")
	if got := len(w.Violations()); got != 1 {
		t.Errorf("a call without a token made %d violations, want 1", got)
	}
}
