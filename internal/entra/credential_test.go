package entra_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kisibridge/internal/entra"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
)

const tokenRoute = "POST /" + graphsim.DefaultTenant + "/oauth2/v2.0/token"

func TestEachOfTheThreeCredentialsSignsIn(t *testing.T) {
	for name, set := range map[string]func(*testing.T, *entra.Options){
		"secret":            func(*testing.T, *entra.Options) {},
		"certificate":       withCertificate,
		"workload identity": withFederation,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(s *setup) { set(t, &s.client) })
			w.group("hq", "ada")
			w.changes(t, "hq", "")
			w.changes(t, "hq", "") // with the same token
			if n := w.Calls(tokenRoute); n != 1 {
				t.Errorf("%d tokens were bought, want 1", n)
			}
		})
	}
}

func withCertificate(t *testing.T, o *entra.Options) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	o.ClientSecret, o.CertificatePath = "", writeFile(t, certificate(t, key.Public(), key)+privateKey(t, key))
}

func certificate(t *testing.T, public, private any) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kisibridge"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func privateKey(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// withFederation writes a token as Kubernetes puts it into a pod.
func withFederation(t *testing.T, o *entra.Options) {
	claims, err := json.Marshal(map[string]any{
		"iss": "https://cluster.example", "sub": "system:serviceaccount:doors:kisibridge",
		"aud": "api://AzureADTokenExchange", "exp": time.Now().Add(time.Hour).Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	token := enc([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + enc(claims) + "." + enc([]byte("signature"))
	o.ClientSecret, o.FederatedTokenFile = "", writeFile(t, token)
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credential")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestASignInThatEntraRefusesIsDeniedWithItsCode(t *testing.T) {
	const wrong = "hunter2-wrong-secret"
	for _, tc := range []struct {
		name string
		set  func(*entra.Options)
		code string
	}{
		{"wrong secret", func(o *entra.Options) { o.ClientSecret = wrong }, "AADSTS7000215"},
		{"wrong app", func(o *entra.Options) { o.ClientID = "0d4e8b72-9a06-4f35-b2c8-6e5f70a91d34" }, "AADSTS700016"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, func(s *setup) { tc.set(&s.client) })
			w.group("hq", "ada")
			_, read := w.Changes(t.Context(), "hq", "")
			_, checked := w.Check(t.Context())
			_, people := w.People(t.Context(), []string{"ada"})
			_, subscribed := w.Subscribe(t.Context(), ours("hq"))
			for _, err := range []error{read, checked, people, subscribed} {
				wantFault(t, err, fault.Denied, 0)
				if err == nil || !strings.Contains(err.Error(), tc.code+" ") {
					t.Errorf("%v does not name %s", err, tc.code)
				}
				wantNoSecret(t, err, wrong, graphsim.DefaultClientSecret)
				if hint := fault.Hint(err); !strings.Contains(hint, "AZURE_CLIENT_ID") {
					t.Errorf("the hint %q names no setting", hint)
				}
			}
		})
	}
}

// wantNoSecret looks at the whole chain: any part of it may be logged.
func wantNoSecret(t *testing.T, err error, secrets ...string) {
	t.Helper()
	for ; err != nil; err = unwrap(err) {
		for _, s := range secrets {
			if strings.Contains(err.Error(), s) {
				t.Errorf("a secret is in %q", err)
			}
		}
	}
}

func unwrap(err error) error {
	if u, ok := err.(interface{ Unwrap() error }); ok {
		return u.Unwrap()
	}
	return nil
}

// A login host that is down refuses nobody: a person must not be sent to look
// for a secret that is right.
func TestALoginHostThatIsDownIsBusy(t *testing.T) {
	for name, f := range map[string]graphsim.Fault{
		"unavailable": {Status: http.StatusServiceUnavailable},
		"broken":      {Status: http.StatusInternalServerError},
		"throttled":   {Status: http.StatusTooManyRequests},
		"a page":      {HTML: true},
		"lost":        {Lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, validating)
			w.group("hq", "ada")
			f.Route = tokenRoute
			w.SetFault(f)
			_, err := w.Changes(t.Context(), "hq", "")
			wantFault(t, err, fault.Busy, 0)
			if n := w.Calls(tokenRoute); n != 1 {
				t.Errorf("it was asked %d times; want once, for the queue tries again", n)
			}
			// Nothing reached Graph, so that nothing can have been made there.
			_, err = w.Subscribe(t.Context(), ours("hq"))
			wantFault(t, err, fault.Busy, 0)
			wantNoSecret(t, err, graphsim.DefaultClientSecret)

			w.ClearFaults()
			w.changes(t, "hq", "")
		})
	}
}

func TestALoginHostThatHangsIsGivenUpAfterTheTimeout(t *testing.T) {
	const timeout = 5 * time.Second
	for name, call := range map[string]func(context.Context, world) error{"Changes": changesOf, "Check": checkOf} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(s *setup) { s.client.Timeout = timeout })
				w.group("hq", "ada")
				w.SetFault(graphsim.Fault{Route: tokenRoute, Hang: time.Minute})
				began := time.Now()
				wantFault(t, call(t.Context(), w), fault.Busy, 0)
				if took := time.Since(began); took != timeout {
					t.Errorf("it took %v, want %v", took, timeout)
				}
			})
		})
	}
}

func checkOf(ctx context.Context, w world) error {
	_, err := w.Check(ctx)
	return err
}

// Who is told to stop while signing in must not hear of a login host that is down.
func TestACallerWhoLeavesWhileSigningInSeesItsOwnReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.group("hq", "ada")
		w.SetFault(graphsim.Fault{Route: tokenRoute, Hang: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := changesOf(ctx, w); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v; want that the deadline passed", err)
		}
	})
}

func TestAWrongSettingIsInvalidAndNamed(t *testing.T) {
	const noFile = "/nonexistent/file"
	which := []string{"AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE"}
	for _, tc := range []struct {
		name  string
		set   func(*testing.T, *entra.Options)
		names []string
	}{
		{"no credential", func(_ *testing.T, o *entra.Options) { o.ClientSecret = "" }, which},
		{"secret and certificate", func(_ *testing.T, o *entra.Options) { o.CertificatePath = noFile }, which},
		{"secret and federation", func(_ *testing.T, o *entra.Options) { o.FederatedTokenFile = noFile }, which},
		{"certificate and federation", func(_ *testing.T, o *entra.Options) {
			o.ClientSecret, o.CertificatePath, o.FederatedTokenFile = "", noFile, noFile
		}, which},
		{"all three", func(_ *testing.T, o *entra.Options) { o.CertificatePath, o.FederatedTokenFile = noFile, noFile }, which},
		{"no tenant", func(_ *testing.T, o *entra.Options) { o.Tenant = "" }, []string{"AZURE_TENANT_ID"}},
		{"no app", func(_ *testing.T, o *entra.Options) { o.ClientID = "" }, []string{"AZURE_CLIENT_ID"}},
		{"no such certificate", func(_ *testing.T, o *entra.Options) { o.ClientSecret, o.CertificatePath = "", noFile }, which[1:2]},
		{"no certificate in the file", func(t *testing.T, o *entra.Options) {
			o.ClientSecret, o.CertificatePath = "", writeFile(t, "not PEM")
		}, which[1:2]},
		{"a key that is not RSA", withCurve, which[1:2]},
		{"a tenant that is none", func(_ *testing.T, o *entra.Options) { o.Tenant = "not a tenant" }, which[:1]},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := options()
			tc.set(t, &o)
			_, err := entra.New(o)
			wantFault(t, err, fault.Invalid, 0)
			for _, name := range tc.names {
				if err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("%v does not name %s", err, name)
				}
			}
			wantNoSecret(t, err, graphsim.DefaultClientSecret)
		})
	}
}

func withCurve(t *testing.T, o *entra.Options) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	o.ClientSecret, o.CertificatePath = "", writeFile(t, certificate(t, key.Public(), key)+privateKey(t, key))
}

func TestANationalCloudKnowsItsLoginHost(t *testing.T) {
	for graph, login := range map[string]string{
		"":                               "login.microsoftonline.com",
		"https://graph.microsoft.com":    "login.microsoftonline.com",
		"https://graph.microsoft.us":     "login.microsoftonline.us",
		"https://graph.microsoft.us/":    "login.microsoftonline.us",
		"https://dod-graph.microsoft.us": "login.microsoftonline.us",
		"https://microsoftgraph.chinacloudapi.cn/v1.0": "login.partner.microsoftonline.cn",
	} {
		t.Run(graph, func(t *testing.T) {
			hosts := map[string]bool{}
			w := newWorld(t, noting(hosts), func(s *setup) { s.client.GraphURL, s.client.LoginURL = graph, "" })
			w.group("hq", "ada")
			w.changes(t, "hq", "")
			want := strings.TrimPrefix(strings.TrimSuffix(strings.TrimRight(graph, "/"), "/v1.0"), "https://")
			if want == "" {
				want = "graph.microsoft.com"
			}
			if len(hosts) != 2 || !hosts[want] || !hosts[login] {
				t.Errorf("called %v; want %s and %s", hosts, want, login)
			}
		})
	}
}

// noting keeps the hosts that are called; no two calls overlap in a round.
func noting(hosts map[string]bool) func(*setup) {
	return func(s *setup) {
		s.via = func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				hosts[r.URL.Host] = true
				return next.RoundTrip(r)
			})
		}
	}
}

func TestAnUnknownCloudNeedsALoginHost(t *testing.T) {
	o := options()
	o.LoginURL = ""
	_, err := entra.New(o)
	wantFault(t, err, fault.Invalid, 0)
	if err == nil || !strings.Contains(err.Error(), "KISIBRIDGE_LOGIN_URL") || !strings.Contains(err.Error(), graphHost) {
		t.Errorf("%v names neither the setting nor the host", err)
	}
}
