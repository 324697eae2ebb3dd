package kisi_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/kisi"
)

const secret = "d0c0ffee-key"

var doors = access.Target{Connection: "acme", Type: access.TargetGroup, ID: 45}

// An answer is what a scripted Kisi says, whatever it is asked.
type answer struct {
	status int
	header map[string]string
	body   string
	err    error
}

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	h := http.Header{}
	for k, v := range a.header {
		h.Set(k, v)
	}
	return &http.Response{
		StatusCode: a.status, Header: h, Body: io.NopCloser(strings.NewReader(a.body)), Request: r,
	}, nil
}

func scripted(t *testing.T, rt http.RoundTripper) *kisi.Client {
	t.Helper()
	c, err := kisi.New(kisi.Options{APIKey: secret, Transport: rt})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The three kinds of call, as far as errors are concerned.
var (
	list = func(ctx context.Context, c *kisi.Client) error {
		_, err := c.Rows(ctx, access.Look, doors, 12)
		return err
	}
	grant = func(ctx context.Context, c *kisi.Client) error {
		_, err := c.Grant(ctx, access.Allow, doors, 12, true)
		return err
	}
	revoke = func(ctx context.Context, c *kisi.Client) error { return c.Revoke(ctx, access.Revoke, doors, 4711) }
)

const html = "<html><body>Bad gateway</body></html>"

func TestEachAnswerHasItsClass(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	reset := &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}
	denied := `{"code":"fcd8ef","error":"Access denied."}`

	for _, tc := range []struct {
		name                string
		answer              answer
		list, grant, revoke fault.Class
	}{
		{"a wrong key", answer{status: 401, body: denied}, fault.Denied, fault.Denied, fault.Denied},
		{"a lack of rights", answer{status: 403, body: denied}, fault.Denied, fault.Denied, fault.Denied},
		{"a thing that is gone", answer{status: 404, body: `{"code":"abc123","error":"Not found."}`}, fault.Bug, fault.Missing, fault.Missing},
		{"an endpoint that is gone", answer{status: 404, body: `{"code":"000404","error":"No such endpoint."}`}, fault.Bug, fault.Bug, fault.Bug},
		{"a thing that exists", answer{status: 409, body: `{"code":"000409","error":"record already exists"}`}, fault.Clash, fault.Clash, fault.Clash},
		{"a validation that says taken", answer{status: 422, body: `{"errors":{"member_id":["has already been taken"]}}`}, fault.Invalid, fault.Clash, fault.Clash},
		{"a validation", answer{status: 422, body: `{"errors":{"assignee_id":["is invalid"]}}`}, fault.Invalid, fault.Invalid, fault.Invalid},
		{"a bad request", answer{status: 400, body: denied}, fault.Invalid, fault.Invalid, fault.Invalid},
		{"a method that is not allowed", answer{status: 405}, fault.Bug, fault.Bug, fault.Bug},
		{"a redirect", answer{status: 307, header: map[string]string{"Location": "https://elsewhere.example/"}}, fault.Bug, fault.Bug, fault.Bug},
		{"too many requests", answer{status: 429}, fault.Busy, fault.Busy, fault.Busy},
		{"a failure of Kisi's", answer{status: 500, body: `{"code":"ffffff","error":"Unexpected issue."}`}, fault.Busy, fault.Unknown, fault.Unknown},
		{"a failure on the way", answer{status: 502, body: html}, fault.Busy, fault.Unknown, fault.Unknown},
		{"a success in HTML", answer{status: 200, body: html}, fault.Busy, fault.Unknown, fault.Unknown},
		{"a success cut short", answer{status: 200, body: `[{"id":9`}, fault.Busy, fault.Unknown, fault.Unknown},
		{"a success of something else", answer{status: 200, body: `"ok"`}, fault.Busy, fault.Unknown, -1},
		{"a success without a word", answer{status: 200}, fault.Busy, fault.Unknown, -1},
		{"a connection refused", answer{err: dial}, fault.Busy, fault.Busy, fault.Busy},
		{"a stranger's certificate", answer{err: &tls.CertificateVerificationError{Err: errors.New("unknown authority")}}, fault.Busy, fault.Busy, fault.Busy},
		{"a connection lost", answer{err: reset}, fault.Busy, fault.Unknown, fault.Unknown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := scripted(t, tc.answer)
			var got []fault.Class
			for _, do := range []func(context.Context, *kisi.Client) error{list, grant, revoke} {
				err := do(t.Context(), c)
				got = append(got, classOf(err))
			}
			want := []fault.Class{tc.list, tc.grant, tc.revoke}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("classes of list, grant, revoke (-want +got):\n%s", diff)
			}
		})
	}
}

// classOf is -1 for no error.
func classOf(err error) fault.Class {
	if err == nil {
		return -1
	}
	return fault.Of(err)
}

func TestAnErrorSaysWhatKisiSaid(t *testing.T) {
	for _, tc := range []struct {
		name string
		body string
		want kisi.APIError
		text string
	}{
		{
			"code and error", `{"code":"fcd8ef","error":"Access denied."}`,
			kisi.APIError{Status: 400, Code: "fcd8ef", Text: "Access denied."},
			"kisi: give user 12 access to group 45: Kisi answered 400 (fcd8ef): Access denied.",
		},
		{
			"fields", `{"errors":{"role_id":["is unknown"],"email":["can't be blank","is invalid"]}}`,
			kisi.APIError{Status: 400, Fields: map[string][]string{"email": {"can't be blank", "is invalid"}, "role_id": {"is unknown"}}},
			"kisi: give user 12 access to group 45: Kisi answered 400: email can't be blank, is invalid: role_id is unknown",
		},
		{
			"a field with one text", `{"errors":{"email":"is invalid"}}`,
			kisi.APIError{Status: 400, Fields: map[string][]string{"email": {"is invalid"}}},
			"kisi: give user 12 access to group 45: Kisi answered 400: email is invalid",
		},
		{
			"errors without fields", `{"errors":["one","two"]}`,
			kisi.APIError{Status: 400, Text: "one, two"},
			"kisi: give user 12 access to group 45: Kisi answered 400: one, two",
		},
		{
			"message and a number", `{"code":404001,"message":"Gone\nfishing"}`,
			kisi.APIError{Status: 400, Code: "404001", Text: "Gone fishing"},
			"kisi: give user 12 access to group 45: Kisi answered 400 (404001): Gone fishing",
		},
		{
			"HTML", html,
			kisi.APIError{Status: 400, Text: "an answer that is not Kisi's"},
			"kisi: give user 12 access to group 45: Kisi answered 400: an answer that is not Kisi's",
		},
		{"nothing", "", kisi.APIError{Status: 400}, "kisi: give user 12 access to group 45: Kisi answered 400"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := grant(t.Context(), scripted(t, answer{status: 400, body: tc.body}))
			got, ok := errors.AsType[*kisi.APIError](err)
			if !ok {
				t.Fatalf("got %v, want an APIError in its chain", err)
			}
			if diff := cmp.Diff(tc.want, *got); diff != "" {
				t.Errorf("APIError (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.text, err.Error()); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARefusalEndsWithTheRemedy(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer answer
		want   string
	}{
		{"401", answer{status: 401}, "My Account, API"},
		{"403", answer{status: 403, body: `{"code":"afc496","error":"Access denied."}`}, "administrator of the organization"},
		{"403 of a disabled user", answer{status: 403, body: `{"code":"fcd8ff","error":"Access disabled."}`}, "enable it"},
		{"404 of an endpoint", answer{status: 404, body: `{"code":"000404"}`}, "Kisi removed the endpoint"},
		{"429", answer{status: 429}, "Kisi user of its own"},
		{"308", answer{status: 308}, "correct it"},
		{"a stranger's certificate", answer{err: &tls.CertificateVerificationError{Err: errors.New("unknown authority")}}, "KISIBRIDGE_CA_FILE"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := revoke(t.Context(), scripted(t, tc.answer))
			if got := fault.Hint(err); !strings.Contains(got, tc.want) {
				t.Errorf("hint = %q, want one with %q", got, tc.want)
			}
		})
	}
}

func TestNoErrorTellsTheKeyOrAnAddress(t *testing.T) {
	for _, a := range []answer{
		{status: 401, body: `{"code":"` + secret + `","error":"no user has the key ` + secret + `"}`},
		{status: 422, body: `{"errors":{"` + secret + `":["` + secret + `"]}}`},
		{status: 200, body: secret},
		{err: errors.New("boom")},
	} {
		_, _, err := scripted(t, a).FindUser(t.Context(), access.Allow, "ada@contoso.example")
		if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "contoso") {
			t.Errorf("got %v, want an error that tells neither", err)
		}
	}
}

func TestAnEndlessAnswerIsNotReadToItsEnd(t *testing.T) {
	long := answer{status: 200, body: `["` + strings.Repeat("x", 17<<20) + `"]`}
	if err := list(t.Context(), scripted(t, long)); !fault.Is(err, fault.Busy) || !strings.Contains(err.Error(), "16 MiB") {
		t.Errorf("got %v, want busy, for the answer is longer than 16 MiB", err)
	}
	long = answer{status: 400, body: `{"error":"` + strings.Repeat("é", 400) + `"}`}
	if got := len(list(t.Context(), scripted(t, long)).Error()); got > 400 {
		t.Errorf("an error of %d bytes, want a short one", got)
	}
}

func TestSlowingDownHonoursWhatKisiAsksFor(t *testing.T) {
	for _, tc := range []struct {
		name  string
		after string
		want  time.Duration
	}{
		{"nothing", "", time.Second},
		{"no time at all", "0", time.Second},
		{"seconds", "7", 7 * time.Second},
		{"a date", "Sat, 01 Jan 2000 00:00:09 GMT", 9 * time.Second}, // a bubble begins with the year 2000
		{"a date that is over", "Fri, 31 Dec 1999 23:00:00 GMT", time.Second},
		{"nonsense", "soon", time.Second},
		{"no number", "NaN", time.Second},
		{"for ever", "1e99", time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := answer{status: 429}
				if tc.after != "" {
					a.header = map[string]string{"Retry-After": tc.after}
				}
				lim := &limiter{}
				c, err := kisi.New(kisi.Options{APIKey: secret, Transport: a, Limiter: lim})
				if err != nil {
					t.Fatal(err)
				}
				err = grant(t.Context(), c)
				if got := fault.After(err); got != tc.want || !fault.Is(err, fault.Busy) {
					t.Errorf("After = %v of %v, want %v", got, err, tc.want)
				}
				if want := []time.Duration{tc.want}; !slices.Equal(want, lim.slowed) {
					t.Errorf("slowed by %v, want %v", lim.slowed, want)
				}
			})
		})
	}
}

func TestAServerThatIsDownMaySayForHowLong(t *testing.T) {
	a := answer{status: 503, header: map[string]string{"Retry-After": "30"}}
	if got := fault.After(list(t.Context(), scripted(t, a))); got != 30*time.Second {
		t.Errorf("After = %v, want 30s", got)
	}
}
