package auth_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/auth"
	"kisibridge/internal/fault"
)

func TestARoleMayDoWhatThoseBelowItMay(t *testing.T) {
	roles := []auth.Role{-1, 0, auth.Viewer, auth.Operator, auth.Admin, 4}
	want := []string{
		"none: ", "none: ",
		"viewer: viewer", "operator: viewer operator", "admin: viewer operator admin", "none: ",
	}
	var got []string
	for _, role := range roles {
		var may []string
		for _, least := range roles {
			if role.Allows(least) {
				may = append(may, least.String())
			}
		}
		got = append(got, role.String()+": "+strings.Join(may, " "))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what roles may (-want +got):\n%s", diff)
	}
}

func TestRolesAreWrittenAsPeopleWriteThem(t *testing.T) {
	for _, role := range []auth.Role{auth.Viewer, auth.Operator, auth.Admin} {
		text, err := role.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back auth.Role
		if err := back.UnmarshalText(text); err != nil || back != role {
			t.Errorf("%s comes back as %v, %v", text, back, err)
		}
	}
	for _, text := range []string{"", "none", "Admin", "admin ", "root", "3"} {
		if role, err := auth.ParseRole(text); err == nil || role != 0 {
			t.Errorf("%q is read as %v, %v", text, role, err)
		}
	}
	if text, err := auth.Role(0).MarshalText(); err == nil {
		t.Errorf("no role is written as %s", text)
	}
}

func TestACallerGoesWithTheContextAndIsNamedInTheTrail(t *testing.T) {
	if c, ok := auth.From(t.Context()); ok {
		t.Errorf("%v calls, want nobody", c)
	}
	for want, c := range map[string]auth.Caller{
		"key deploy-bot":             {ID: "1", Name: "deploy-bot", Kind: auth.KindKey, Role: auth.Viewer},
		"person ada@contoso.example": {ID: "2", Name: "ada@contoso.example", Kind: auth.KindPerson},
	} {
		got, ok := auth.From(auth.With(t.Context(), c))
		if diff := cmp.Diff(c, got); diff != "" || !ok || got.String() != want {
			t.Errorf("%v, %v, want %s (-want +got):\n%s", got, ok, want, diff)
		}
	}
}

func TestWrongSettingsAreNamedAllAtOnce(t *testing.T) {
	right := auth.OIDCOptions{
		Issuer: issuer, ClientID: clientID, ClientSecret: clientSecret, Roles: map[string]auth.Role{"a": auth.Viewer},
	}
	with := func(change func(*auth.OIDCOptions)) auth.OIDCOptions {
		o := right
		change(&o)
		return o
	}
	w := newWorld(t)
	for _, tc := range []struct {
		name string
		o    auth.Options
		want []string // "" is fine
	}{
		{"nothing is set up", auth.Options{Store: w.store}, nil},
		{"OIDC alone", auth.Options{Store: w.store, PublicURL: public, OIDC: right}, nil},
		{"at home", auth.Options{Store: w.store, PublicURL: "http://localhost:8080", OIDC: right}, nil},
		{"no store", auth.Options{}, []string{"store"}},
		{"a short token", auth.Options{Store: w.store, AdminToken: "nineteen-signs-long"}, []string{"has 19 signs"}},
		{"a token like a key", auth.Options{Store: w.store, AdminToken: "kbk_0123456789012345678"}, []string{"as API keys do"}},
		{
			"all of OIDC",
			auth.Options{Store: w.store, AdminToken: "s", OIDC: auth.OIDCOptions{Issuer: "login.example"}},
			[]string{"has 1 signs", "OIDC issuer", "client id is missing", "client secret is missing", "public URL", "nobody could sign in"},
		},
		{
			"no TLS",
			auth.Options{Store: w.store, PublicURL: "http://bridge.example", OIDC: with(func(o *auth.OIDCOptions) { o.Issuer = "http://login.example" })},
			[]string{"OIDC issuer", "public URL"},
		},
		{
			"a role that is none",
			auth.Options{Store: w.store, PublicURL: public, OIDC: with(func(o *auth.OIDCOptions) { o.Roles = map[string]auth.Role{"a": 0} })},
			[]string{`"a" has the role "none"`},
		},
		{
			"a role for nothing",
			auth.Options{Store: w.store, PublicURL: public, OIDC: with(func(o *auth.OIDCOptions) { o.Roles = map[string]auth.Role{"": auth.Viewer} })},
			[]string{`"" has the role`},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := auth.New(tc.o)
			if len(tc.want) == 0 {
				if err != nil {
					t.Errorf("New got %v", err)
				}
				return
			}
			wantClass(t, "New", err, fault.Invalid)
			lines := strings.Split(errors.Unwrap(err).Error(), "\n")
			if len(lines) != len(tc.want) {
				t.Fatalf("%d mistakes are named, want %d:\n%v", len(lines), len(tc.want), err)
			}
			for k, line := range lines {
				if !strings.Contains(line, tc.want[k]) {
					t.Errorf("mistake %d is %q, want one of %q", k, line, tc.want[k])
				}
			}
			w.wantNoSecrets(err.Error(), "nineteen-signs-long", "0123456789012345678")
		})
	}
}
