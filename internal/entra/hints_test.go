package entra_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"kisibridge/internal/access"
	"kisibridge/internal/entra"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
)

func TestARefusedSubscriptionTellsAQuotaFromAPermission(t *testing.T) {
	const permission, quota = "Group.Read.All", "quota"
	for _, tc := range []struct {
		code, message string
		want          []string
		not           string
	}{
		{"Authorization_RequestDenied", "Insufficient privileges to complete the operation.", []string{permission}, quota},
		{"ExtensionError", "Operation: Create; Exception: [Status Code: Forbidden; Reason: the app has reached its limit]", []string{quota}, permission},
		{"ExtensionError", "Operation: Create; Exception: [Status Code: Forbidden; Reason: ]", []string{permission, quota}, ""},
	} {
		t.Run(tc.message, func(t *testing.T) {
			body := fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, tc.code, tc.message)
			w := newWorld(t, signedIn, answering(http.StatusForbidden, body))
			_, err := w.Subscribe(t.Context(), ours("hq"))
			wantFault(t, err, fault.Denied, 0)
			hint := fault.Hint(err)
			for _, want := range tc.want {
				if !strings.Contains(hint, want) {
					t.Errorf("the hint %q does not name %s", hint, want)
				}
			}
			if tc.not != "" && strings.Contains(hint, tc.not) {
				t.Errorf("the hint %q sends people after the %s", hint, tc.not)
			}
		})
	}
}

// A proxy or a wrong address must not pass for a group that is deleted.
func TestA404ThatIsNotGraphsIsNoAbsence(t *testing.T) {
	for _, body := range []string{``, `{}`, `{"detail":"Not Found"}`} {
		w := newWorld(t, signedIn, answering(http.StatusNotFound, body))
		for name, read := range lists {
			if _, err := read(t.Context(), w); !fault.Is(err, fault.Busy) || !strings.Contains(fault.Hint(err), "KISIBRIDGE_GRAPH_URL") {
				t.Errorf("%s of %q: %v; want busy, and a look at the address", name, body, err)
			}
		}
	}
}

func TestOnlyADeltaCallAsksForAResync(t *testing.T) {
	for _, tc := range []struct {
		status int
		code   string
		want   bool
	}{
		{410, "resyncRequired", true},
		{410, "", true},
		{400, "SyncStateNotFound", true},
		{404, "syncStateNotFound", true},
		{400, "Directory_ResyncRequired", true},
		{400, "Request_BadRequest", false},
		{503, "resyncRequired", false},
	} {
		t.Run(fmt.Sprint(tc.status, " ", tc.code), func(t *testing.T) {
			w := newWorld(t, signedIn, answering(tc.status, fmt.Sprintf(`{"error":{"code":%q,"message":"said Graph"}}`, tc.code)))
			_, err := w.Changes(t.Context(), "hq", graphHost+"/before")
			if errors.Is(err, access.ErrResync) != tc.want {
				t.Errorf("error %v; want a resync: %v", err, tc.want)
			}
			if err := membersOf(t.Context(), w); err == nil || errors.Is(err, access.ErrResync) || fault.Is(err, fault.Bug) {
				t.Errorf("members: error %v; want one of a class and no resync", err)
			}
		})
	}
}

func TestAnAnswerWithoutASubscriptionIsNone(t *testing.T) {
	for _, body := range []string{``, `{}`, `{"id":"1"}`} {
		w := newWorld(t, signedIn, answering(http.StatusOK, body))
		_, err := w.Subscribe(t.Context(), ours("hq"))
		wantFault(t, err, fault.Unknown, 0)
		_, err = w.Renew(t.Context(), access.Subscription{ID: "1"})
		wantFault(t, err, fault.Busy, 0)
	}
}

// The reason is what tells a missing root certificate from a broken network.
func TestASignInWithoutAnAnswerSaysWhy(t *testing.T) {
	w := newWorld(t, func(s *setup) {
		s.via = func(http.RoundTripper) http.RoundTripper {
			return roundTrip(func(*http.Request) (*http.Response, error) {
				return nil, errors.New("certificate signed by unknown authority")
			})
		}
	})
	_, err := w.Changes(t.Context(), "hq", "")
	wantFault(t, err, fault.Busy, 0)
	if !strings.Contains(err.Error(), "unknown authority") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%q; want the reason, on one line", err)
	}
	wantNoSecret(t, err, graphsim.DefaultClientSecret)
}

func TestClientsOfSeveralTenantsShareARegistry(t *testing.T) {
	r := prometheus.NewRegistry()
	for range 2 {
		w := newWorld(t, func(s *setup) { s.client.Metrics = r })
		w.group("hq", "ada")
		w.changes(t, "hq", "")
	}
	if diff := cmp.Diff(map[string]float64{"delta ok": 2}, counts(t, r)); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestAnAddressThatCannotBeIsNamed(t *testing.T) {
	for setting, change := range map[string]func(*entra.Options){
		"KISIBRIDGE_GRAPH_URL": func(o *entra.Options) { o.GraphURL = "graph.example" },
		"KISIBRIDGE_LOGIN_URL": func(o *entra.Options) { o.LoginURL = "http://login.example" },
	} {
		o := options()
		change(&o)
		_, err := entra.New(o)
		wantFault(t, err, fault.Invalid, 0)
		if err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("%v does not name %s", err, setting)
		}
	}
}
