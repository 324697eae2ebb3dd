package entra_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"kisibridge/internal/entra"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
)

const (
	graphHost = "https://graph.example"
	loginHost = "https://login.example"
	hookURL   = "https://bridge.example/hooks/entra"
)

// A world is a tenant and a client that reads it, in one process.
type world struct {
	*graphsim.Server
	*entra.Client
}

// A setup is what a test wants different.
type setup struct {
	sim       graphsim.Options
	client    entra.Options
	via       func(next http.RoundTripper) http.RoundTripper // between the client and the tenant
	signedIn  bool                                           // with a fixed token, so that nothing calls the login host
	endpoints http.Handler                                   // answers at hookURL; nil: nothing does
}

func newWorld(t *testing.T, change ...func(*setup)) world {
	t.Helper()
	s := setup{client: options()}
	for _, c := range change {
		c(&s)
	}
	s.sim.Violation = func(said string) { t.Errorf("violation: %s", said) }
	if s.endpoints != nil {
		s.sim.Notify = graphsim.RoundTripper(s.endpoints)
	}
	w := world{Server: graphsim.New(s.sim)}
	t.Cleanup(w.Close)
	s.client.Transport = graphsim.RoundTripper(w.Server)
	if s.via != nil {
		s.client.Transport = s.via(s.client.Transport)
	}
	if s.signedIn {
		s.client.Credential = fixedToken(w.Token())
	}
	var err error
	if w.Client, err = entra.New(s.client); err != nil {
		t.Fatal(err)
	}
	return w
}

func options() entra.Options {
	return entra.Options{
		Tenant: graphsim.DefaultTenant, GraphURL: graphHost, LoginURL: loginHost,
		ClientID: graphsim.DefaultClientID, ClientSecret: graphsim.DefaultClientSecret,
	}
}

func signedIn(s *setup) { s.signedIn = true }

// validating puts an endpoint behind hookURL that answers as the bridge does.
func validating(s *setup) {
	s.endpoints = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, r.FormValue("validationToken")) // fails only when the caller has gone
	})
}

// person adds people whose address is their id.
func (w world) person(ids ...string) {
	for _, id := range ids {
		upn := id + "@contoso.example"
		w.AddUser(graphsim.User{ID: id, DisplayName: "Name of " + id, UserPrincipalName: upn, Mail: new(upn), AccountEnabled: true})
	}
}

// group adds a group of people, whom it makes.
func (w world) group(id string, people ...string) {
	w.AddGroup(id, id+" doors")
	w.person(people...)
	w.Join(id, people...)
}

// crowd names n people, in order.
func crowd(prefix string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%04d", prefix, i)
	}
	return ids
}

// fixedToken is a credential that needs no call.
type fixedToken string

func (f fixedToken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(f), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// roundTrip is a function as a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering puts one answer in place of the tenant's.
func answering(status int, body string) func(*setup) {
	return func(s *setup) {
		s.via = func(http.RoundTripper) http.RoundTripper {
			return graphsim.RoundTripper(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body) // fails only when the caller has gone
			}))
		}
	}
}

// wantFault wants err to be of a class, with a time to wait or none.
func wantFault(t *testing.T, err error, class fault.Class, after time.Duration) {
	t.Helper()
	if !fault.Is(err, class) {
		t.Errorf("error %v of class %v; want %v", err, fault.Of(err), class)
	}
	if got := fault.After(err); got != after {
		t.Errorf("error %v: wait %v, want %v", err, got, after)
	}
}

// again is a client like the first with a fresh token.
func (w world) again(t *testing.T) *entra.Client {
	t.Helper()
	o := options()
	o.Transport, o.Credential = graphsim.RoundTripper(w.Server), fixedToken(w.Token())
	c, err := entra.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
