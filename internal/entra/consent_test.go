package entra_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/access"
	"kisibridge/internal/entra"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
)

func TestConsentIsAskedForAtTheLoginHostOfTheCloud(t *testing.T) {
	for _, tc := range []struct{ graph, host, scope string }{
		{"", "login.microsoftonline.com", "https://graph.microsoft.com/.default"},
		{"https://graph.microsoft.us", "login.microsoftonline.us", "https://graph.microsoft.us/.default"},
	} {
		text, err := entra.Options{GraphURL: tc.graph, ClientID: "app"}.ConsentURL("https://bridge.example/oauth/entra/callback", "s&t")
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		want := url.Values{"client_id": {"app"}, "scope": {tc.scope}, "redirect_uri": {"https://bridge.example/oauth/entra/callback"}, "state": {"s&t"}}
		if diff := cmp.Diff(want, u.Query()); diff != "" || u.Host != tc.host || u.Path != "/organizations/v2.0/adminconsent" {
			t.Errorf("consent at %s (-want +got):\n%s", text, diff)
		}
	}
	if _, err := (entra.Options{}).ConsentURL("https://bridge.example", "s"); !fault.Is(err, fault.Invalid) {
		t.Errorf("without an app: %v, want it named", err)
	}
}

func TestTheOrganizationIsReadWithATokenOfTheTenant(t *testing.T) {
	w := newWorld(t)
	got, err := w.Organization(t.Context())
	want := access.Tenant{ID: graphsim.DefaultTenant, Name: "Contoso", Domain: "contoso.example"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}
