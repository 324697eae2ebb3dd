package webhook_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	pullHQ  = "pull:7a1c-Tenant/2e58-hq=notice"
	pullLab = "pull:7a1c-Tenant/9d04-lab=notice"
)

func TestEachItemWakesWhatItMayAndNothingElse(t *testing.T) {
	type counts = map[string]int
	item := func(fields string) string {
		return `{"subscriptionId":"sub-hq","clientState":"` + secret + `"` + fields + `}`
	}
	for _, tc := range []struct {
		name     string
		url      string
		items    []string
		woken    []string
		outcomes counts
	}{
		{"a change of a group", notices, []string{hqChanged()}, []string{pullHQ}, counts{"accepted": 1}},
		{"two groups in one body", notices, []string{hqChanged(), labChanged()}, []string{pullHQ, pullLab}, counts{"accepted": 2}},
		{"many of one group are one wake", notices, []string{hqChanged(), labChanged(), hqChanged(), hqChanged()}, []string{pullHQ, pullLab}, counts{"accepted": 4}},
		{"a permanent deletion is a change", notices, []string{item(`,"changeType":"deleted"`)}, []string{pullHQ}, counts{"accepted": 1}},
		{"the members of a group", notices, []string{item(`,"resource":"/groups/2E58-hq/members"`)}, []string{pullHQ}, counts{"accepted": 1}},
		{"escaped texts are the same texts", notices, []string{`{"subscr\u0069ptionId":"sub\u002dhq","clientState":"` + secret + `","resource":"Groups\/2e58-hq"}`}, []string{pullHQ}, counts{"accepted": 1}},
		{"an empty list", notices, nil, nil, counts{}},
		{"a foreign client state", notices, []string{change("sub-hq", "guess", "7a1c-tenant", "Groups/2e58-hq")}, nil, counts{"foreign_state": 1}},
		{"the client state of another subscription", notices, []string{change("sub-hq", "lab-client-state", "7a1c-tenant", "Groups/2e58-hq")}, nil, counts{"foreign_state": 1}},
		{"no client state", notices, []string{`{"subscriptionId":"sub-hq"}`}, nil, counts{"foreign_state": 1}},
		{"a subscription without a client state proves nothing", notices, []string{`{"subscriptionId":"sub-bare","clientState":""}`}, nil, counts{"unknown_subscription": 1}},
		{"an unknown subscription", notices, []string{change("sub-x", secret, "7a1c-tenant", "Groups/2e58-hq")}, nil, counts{"unknown_subscription": 1}},
		{"another tenant", notices, []string{change("sub-hq", secret, "other", "Groups/2e58-hq")}, nil, counts{"other_tenant": 1}},
		{"another group", notices, []string{change("sub-hq", secret, "7a1c-tenant", "Groups/9d04-lab")}, nil, counts{"other_group": 1}},
		{"a user", notices, []string{change("sub-hq", secret, "7a1c-tenant", "Users/2e58-hq")}, nil, counts{"other_group": 1}},
		{
			"bad items fail no other", notices,
			[]string{`null`, `7`, `"x"`, `[]`, `{}`, `{"subscriptionId":5}`, item(`,"resourceData":[1]`), item(`,"tenantId":{}`), hqChanged()},
			[]string{pullHQ},
			counts{"accepted": 1, "malformed": 8},
		},
		{"what is null is not told", notices, []string{item(`,"resource":null,"resourceData":null,"tenantId":null,"lifecycleEvent":null`)}, []string{pullHQ}, counts{"accepted": 1}},
		{"reauthorization", events, []string{event("reauthorizationRequired")}, []string{"keep:7a1c-Tenant/2e58-hq=lapse"}, counts{"accepted": 1}},
		{"removal", events, []string{event("subscriptionRemoved")}, []string{"keep:7a1c-Tenant/2e58-hq=renewed", pullHQ}, counts{"accepted": 1}},
		{"missed notifications", events, []string{event("missed")}, []string{pullHQ}, counts{"accepted": 1}},
		{"an event nobody heard of", events, []string{event("rebooted")}, nil, counts{"unknown_event": 1}},
		{
			"a forged event", events,
			[]string{`{"subscriptionId":"sub-hq","clientState":"guess","lifecycleEvent":"subscriptionRemoved"}`},
			nil,
			counts{"foreign_state": 1},
		},
		{
			"both kinds at either address", notices,
			[]string{event("reauthorizationRequired"), hqChanged(), event("subscriptionRemoved")},
			[]string{"keep:7a1c-Tenant/2e58-hq=lapse+renewed", pullHQ},
			counts{"accepted": 3},
		},
		{"a change at the lifecycle address", events, []string{hqChanged()}, []string{pullHQ}, counts{"accepted": 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				answer := w.post(tc.url, jsonType, body(tc.items...))
				if answer.Code != http.StatusAccepted || answer.Body.Len() > 0 {
					t.Errorf("answer %d %q, want 202 and nothing else", answer.Code, answer.Body)
				}
				if diff := cmp.Diff(tc.woken, w.woken(), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("woken (-want +got):\n%s", diff)
				}
				if got, want := len(w.calls), min(1, len(tc.woken)); got != want {
					t.Errorf("Wake called %d times, want %d", got, want)
				}
				if diff := cmp.Diff(tc.outcomes, w.counted(t, "kisibridge_notifications_total", "outcome")); diff != "" {
					t.Errorf("outcomes (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestWhatIsNoNotificationIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name, contentType, body string
		want                    int
	}{
		{"no content type", "", body(hqChanged()), 415},
		{"a form", "application/x-www-form-urlencoded", body(hqChanged()), 415},
		{"a type that begins alike", "application/json-seq", body(hqChanged()), 415},
		{"the type without parameters, in capitals", "Application/JSON", body(hqChanged()), 202},
		{"nothing", jsonType, "", 400},
		{"no JSON", jsonType, "value", 400},
		{"half a body", jsonType, body(hqChanged())[:200], 400},
		{"something behind the body", jsonType, body(hqChanged()) + "x", 400},
		{"a list", jsonType, "[" + hqChanged() + "]", 400},
		{"no value", jsonType, `{"values":[]}`, 400},
		{"a value that is no list", jsonType, `{"value":` + hqChanged() + `}`, 400},
		{"a null value", jsonType, `{"value":null}`, 400},
		{"broken after a good item", jsonType, `{"value":[` + hqChanged() + `,{]}`, 400},
		{"4 MiB", jsonType, padded(4 << 20), 202},
		{"a byte more", jsonType, padded(4<<20 + 1), 413},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			answer := w.post(notices, tc.contentType, tc.body)
			if answer.Code != tc.want || answer.Body.Len() > 0 {
				t.Errorf("answer %d %q, want %d and nothing else", answer.Code, answer.Body, tc.want)
			}
			if got := len(w.woken()); (got > 0) != (tc.want == http.StatusAccepted) {
				t.Errorf("%d wakes at status %d", got, tc.want)
			}
			want := map[string]int{fmt.Sprint(tc.want): 1}
			if diff := cmp.Diff(want, w.counted(t, "kisibridge_webhook_requests_total", "code")); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// padded is a good body of n bytes.
func padded(n int) string {
	b := body(hqChanged())
	return b + strings.Repeat(" ", n-len(b))
}

// A body of unknown length is measured as it comes.
func TestAStreamThatDoesNotEndIsCutOff(t *testing.T) {
	w := newWorld(t)
	r, _ := http.NewRequest(http.MethodPost, notices, endless{})
	r.ContentLength = -1
	r.Header.Set("Content-Type", jsonType)
	if got := w.serve(r).Code; got != http.StatusRequestEntityTooLarge {
		t.Errorf("answer %d, want 413", got)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for k := range p {
		p[k] = ' '
	}
	return len(p), nil
}

func TestValidationSendsTheTokenBack(t *testing.T) {
	page := "<script>alert(1)</script> +&é"
	for _, tc := range []struct {
		name, query, want string
		code              int
	}{
		{"as it came, decoded", "?validationToken=" + url.QueryEscape(page), page, 200},
		{"plus is a space", "?validationToken=Validation%3a+Testing", "Validation: Testing", 200},
		{"beside a query of our own", "?tenant=t42&validationToken=abc", "abc", 200},
		{"the longest", "?validationToken=" + strings.Repeat("x", 4096), strings.Repeat("x", 4096), 200},
		{"longer", "?validationToken=" + strings.Repeat("x", 4097), "", 400},
		{"empty", "?validationToken=", "", 400},
		{"badly escaped", "?validationToken=%zz", "", 400},
	} {
		for _, url := range []string{notices, events} {
			t.Run(tc.name+" "+url, func(t *testing.T) {
				w := newWorld(t)
				answer := w.post(url+tc.query, "text/plain; charset=utf-8", "")
				if answer.Code != tc.code || answer.Body.String() != tc.want {
					t.Errorf("answer %d %q, want %d %q", answer.Code, answer.Body, tc.code, tc.want)
				}
				h := answer.Header()
				if tc.code == 200 && (h.Get("Content-Type") != "text/plain" || h.Get("X-Content-Type-Options") != "nosniff") {
					t.Errorf("headers %v, want text/plain and nosniff", h)
				}
				if w.loads > 0 {
					t.Errorf("the subscriptions were read, which Graph may be waiting for")
				}
			})
		}
	}
}

func TestAWakeThatIsNotStoredIsAnswered503(t *testing.T) {
	w := newWorld(t)
	w.full = errors.New("redis: wake: connection refused")
	answer := w.post(notices, jsonType, body(hqChanged()))
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" || answer.Body.Len() > 0 {
		t.Errorf("answer %d %v %q, want 503 with Retry-After", answer.Code, answer.Header(), answer.Body)
	}
	if got := w.counted(t, "kisibridge_notifications_total", "outcome"); len(got) > 0 {
		t.Errorf("counted %v; Graph will send it again", got)
	}
	w.full = nil
	if got := w.notify(hqChanged()); got != http.StatusAccepted {
		t.Errorf("the second time %d, want 202", got)
	}
}

func TestLatenessCountsFromTheEventWhereThatCanBeTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for _, tc := range []struct {
			name string
			at   []string // event times in one body
			want time.Time
		}{
			{"told", []string{now.Add(-time.Minute).Format(time.RFC3339)}, now.Add(-time.Minute)},
			{"the earliest of several", []string{now.Add(-time.Minute).Format(time.RFC3339), now.Add(-time.Hour).Format(time.RFC3339), ""}, now.Add(-time.Hour)},
			{"not told", []string{""}, now},
			{"no time", []string{"yesterday"}, now},
			{"in the future", []string{now.Add(time.Minute).Format(time.RFC3339)}, now},
			{"more than a day ago", []string{now.Add(-25 * time.Hour).Format(time.RFC3339)}, now},
		} {
			w := newWorld(t)
			var items []string
			for _, at := range tc.at {
				items = append(items, `{"subscriptionId":"sub-hq","clientState":"`+secret+`","resourceData":{"eventTime":"`+at+`"}}`)
			}
			w.notify(items...)
			if got := w.calls[0][0].Since; !got.Equal(tc.want) {
				t.Errorf("%s: since %v, want %v", tc.name, got, tc.want)
			}
		}
	})
}

func TestAForgeryIsLoggedOnceAMinuteAndNoSecretEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for range 5 {
			w.notify(change("sub-hq", "guessed-state", "7a1c-tenant", "Groups/2e58-hq"), hqChanged(), event("x"))
		}
		const line = "foreign client state"
		if got := strings.Count(w.log.String(), line); got != 1 {
			t.Errorf("%d warnings within a minute, want 1", got)
		}
		time.Sleep(time.Minute)
		w.notify(change("sub-hq", "guessed-state", "7a1c-tenant", "Groups/2e58-hq"))
		if got := strings.Count(w.log.String(), line); got != 2 {
			t.Errorf("%d warnings after a minute, want 2", got)
		}
		w.full, w.broken = errors.New("down"), errors.New("down")
		w.notify(hqChanged(), "{}", change("sub-x", "guessed-state", "", ""))
		for _, s := range []string{secret, "lab-client-state", "guessed-state"} {
			if strings.Contains(w.log.String(), s) {
				t.Errorf("a client state is in the log:\n%s", w.log)
			}
		}
	})
}

func FuzzNotifications(f *testing.F) {
	for _, s := range []string{
		"", "{}", "[]", "null", `{"value":[]}`, `{"value":[null,{}]}`, `{"value":{}}`, `{"value":[{"subscriptionId":"\ud800"}]}`,
		body(hqChanged(), labChanged()), body(event("missed"), event("?")), body(hqChanged())[:99],
		`{"value":[{"subscriptionId":1,"resourceData":"x"}],"value":[]}`, strings.Repeat("[", 20000),
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, stored bool) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			if !stored {
				w.full = errors.New("full")
			}
			switch code := w.post(notices, jsonType, text).Code; code {
			case 202, 400, 413:
			case 503:
				if stored {
					t.Errorf("503 although all was stored")
				}
			default:
				t.Errorf("answer %d", code)
			}
			if len(w.calls) > 1 {
				t.Errorf("Wake called %d times", len(w.calls))
			}
		})
	})
}
