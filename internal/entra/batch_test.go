package entra_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
)

func TestWhoIsThrottledForAMomentIsAskedAboutAgainAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, signedIn)
		ids := crowd("p", 20)
		w.person(ids...)
		w.SetFault(graphsim.Fault{Route: "BATCH GET /users/p-0007", Status: 429, RetryAfter: 2, Times: 2})
		w.SetFault(graphsim.Fault{Route: "BATCH GET /users/p-0011", Status: 503, RetryAfter: 1, Times: 1})
		began := time.Now()
		got, err := w.People(t.Context(), ids)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(detailed(ids...), got); diff != "" {
			t.Errorf("people (-want +got):\n%s", diff)
		}
		if n, took := w.Calls("BATCH GET /users/"), time.Since(began); n != 20+2+1 || took != 4*time.Second {
			t.Errorf("%d people were asked about in %v; want 23 in 4s", n, took)
		}
	})
}

func TestWhoStaysThrottledIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, signedIn)
		ids := crowd("p", 20)
		w.person(ids...)
		w.SetFault(graphsim.Fault{Route: "BATCH GET /users/p-0007", Status: 429, RetryAfter: 2})
		w.SetFault(graphsim.Fault{Route: "BATCH GET /users/p-0011", Status: 429, RetryAfter: 1})
		people, err := w.People(t.Context(), ids)
		wantFault(t, err, fault.Busy, 2*time.Second)
		if len(people) > 0 {
			t.Errorf("%d people were told beside the error", len(people))
		}
	})
}

func TestAfterOneBatchFailedNoOtherIsBegun(t *testing.T) {
	w := newWorld(t)
	ids := crowd("p", 400)
	w.SetFault(graphsim.Fault{Route: "POST /v1.0/$batch", Status: 500})
	_, err := w.People(t.Context(), ids)
	wantFault(t, err, fault.Busy, 0)
	if n := w.Calls("POST /v1.0/$batch"); n > 4 {
		t.Errorf("%d batches of 20 were sent, want no more than go at a time", n)
	}
}

func TestSomebodyNamedTwiceIsReadOnce(t *testing.T) {
	w := newWorld(t)
	w.person("ada", "bob")
	got, err := w.People(t.Context(), []string{"bob", "ada", "bob", "ada"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(detailed("ada", "bob"), got); diff != "" {
		t.Errorf("people (-want +got):\n%s", diff)
	}
	if n := w.Calls("BATCH GET /users/"); n != 2 {
		t.Errorf("%d people were asked about, want 2", n)
	}
}

// The path without an id lists everybody.
func TestAnEmptyIDIsNotAskedAbout(t *testing.T) {
	w := newWorld(t)
	_, err := w.People(t.Context(), []string{"ada", ""})
	wantFault(t, err, fault.Invalid, 0)
	if n := w.Calls("POST /v1.0/$batch"); n > 0 {
		t.Errorf("%d batches were sent, want none", n)
	}
}

// Gone ends somebody's access, so that only Graph's own word is taken for it.
func TestOnlyGraphItselfSaysWhoIsGone(t *testing.T) {
	gone := []access.Person{{ID: "ada", Gone: true}}
	for name, tc := range map[string]struct {
		item string
		want []access.Person
	}{
		"Graph says so":          {`{"id":"0","status":404,"body":{"error":{"code":"Request_ResourceNotFound","message":"none"}}}`, gone},
		"404 without a word":     {`{"id":"0","status":404}`, nil},
		"404 of somebody else":   {`{"id":"0","status":404,"body":"PGh0bWw+"}`, nil},
		"200 without a body":     {`{"id":"0","status":200}`, nil},
		"200 with nobody":        {`{"id":"0","status":200,"body":{}}`, nil},
		"200 with somebody else": {`{"id":"0","status":200,"body":{"id":"eve","userPrincipalName":"eve@contoso.example"}}`, nil},
		"an answer for another":  {`{"id":"1","status":404,"body":{"error":{"code":"Request_ResourceNotFound"}}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, signedIn, answering(http.StatusOK, `{"responses":[`+tc.item+`]}`))
			got, err := w.People(t.Context(), []string{"ada"})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("people (-want +got):\n%s", diff)
			}
			if tc.want == nil {
				wantFault(t, err, fault.Busy, 0)
			}
		})
	}
}

func TestABatchWithoutAnAnswerIsBusy(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusNoContent} {
		w := newWorld(t, signedIn, answering(status, ""))
		_, err := w.People(t.Context(), []string{"ada"})
		wantFault(t, err, fault.Busy, 0)
	}
}
