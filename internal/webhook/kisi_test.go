package webhook_test

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kisibridge/internal/access"
)

const (
	kisiURL = "/webhooks/kisi/acme"
	hookKey = "hook-key-0123456789"
)

// hooks are the event webhooks of Kisi that are stored: one, of acme.
type hooks struct {
	broken, unseen, stuck error // what HookKey, FreshEvent and ForgetEvent answer
	keys                  int   // times that a key was asked for
	seen                  map[string]bool
}

func (h *hooks) HookKey(_ context.Context, connection string) (string, error) {
	h.keys++
	return map[string]string{"acme": hookKey}[connection], h.broken
}

func (h *hooks) FreshEvent(_ context.Context, connection, digest string) (bool, error) {
	if h.unseen != nil {
		return false, h.unseen
	}
	fresh := !h.seen[connection+" "+digest]
	h.seen[connection+" "+digest] = true
	return fresh, nil
}

func (h *hooks) ForgetEvent(ctx context.Context, connection, digest string) error {
	delete(h.seen, connection+" "+digest)
	return cmp.Or(h.stuck, ctx.Err())
}

func newKisiWorld(t testing.TB) (*world, *hooks) {
	h := &hooks{seen: map[string]bool{}}
	return newWorldOf(t, nil, h), h
}

func signed(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// tell posts an event with a signature, or without one where it is "".
func (w *world) tell(url, signature, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if signature != "" {
		r.Header.Set("X-Signature", signature)
	}
	return w.serve(r)
}

// grantEvent is an event in the shape of Kisi's sample, with the object inside.
func grantEvent(name, in string) string {
	return `{"uuid":"6b1f7c1e","type":"` + name + `","success":true,"actor_type":"User","actor_id":71,"object_type":"RoleAssignment","object_id":9001,` + in + `}`
}

const (
	assignment = `"id":9001,"role_id":"group_basic","applies_to_type":"Group","applies_to_id":5530,"assignee_type":"User","assignee_id":40117`
	membership = `"id":12,"team_id":310,"member_type":"User","member_id":40117`
)

func TestAnEventOfKisiIsAHintAboutOnePersonAndNothingElse(t *testing.T) {
	const (
		inGroup = "hint:acme/group/5530#40117=kisi"
		inTeam  = "hint:acme/team/310#40117=kisi"
		inAll   = "hint:acme//0#40117=kisi"
	)
	for _, tc := range []struct{ name, body, woken, outcome string }{
		{"a grant made", grantEvent("role_assignment.create", `"object":{`+assignment+`}`), inGroup, "accepted"},
		{"a grant changed", grantEvent("role_assignment.update", `"data":{"type":"group",`+assignment+`}`), inGroup, "accepted"},
		{"a grant removed", grantEvent("role_assignment.destroy", assignment), inGroup, "accepted"},
		{"a grant under its own name", grantEvent("role_assignment.create", `"role_assignment":{`+assignment+`}`), inGroup, "accepted"},
		{"a grant two deep", grantEvent("role_assignment.create", `"data":{"id":1,"object":{`+assignment+`}}`), inGroup, "accepted"},
		{"all in an envelope", `{"event":{"type":"role_assignment.create","object":{` + assignment + `}}}`, inGroup, "accepted"},
		{"the name under another key", `{"event":"role_assignment.create","data":{` + assignment + `}}`, inGroup, "accepted"},
		{"ids in quotes", `{"type":"role_assignment.create","object":{"applies_to_type":"group","applies_to_id":"5530","assignee_type":"user","assignee_id":"40117"}}`, inGroup, "accepted"},
		{"a place", `{"type":"role_assignment.create","object":{"applies_to_type":"Place","applies_to_id":5530,"assignee_type":"User","assignee_id":40117}}`, "", "unrelated"},
		{"a team's grant", `{"type":"role_assignment.create","object":{"applies_to_type":"Group","applies_to_id":5530,"assignee_type":"Team","assignee_id":40117}}`, "", "unrelated"},
		{"a grant of no type", `{"type":"role_assignment.create","object":{"applies_to_id":5530,"assignee_id":40117}}`, "", "unrelated"},
		{"a grant by its number alone", grantEvent("role_assignment.destroy", `"object_name":""`), "hint:acme/group/0#9001=kisi", "accepted"},
		{"halves that are no pair", `{"type":"role_assignment.create","object":{"applies_to_type":"Group","applies_to_id":5530},"data":{"assignee_type":"User","assignee_id":40117}}`, "", "incomplete"},
		{"ids that are none", `{"type":"role_assignment.create","object":{"applies_to_type":"Group","applies_to_id":-5,"assignee_type":"User","assignee_id":{}}}`, "", "incomplete"},
		{"a member joined a team", grantEvent("team_membership.create", `"object":{`+membership+`}`), inTeam, "accepted"},
		{"a member left a team", grantEvent("team_membership.destroy", membership), inTeam, "accepted"},
		{"a guest joined a team", `{"type":"team_membership.create","object":{"team_id":310,"member_type":"Guest","member_id":40117}}`, "", "unrelated"},
		{"a user made", `{"type":"user.create","object_type":"User","object_id":40117,"object_name":"Ana","id":5}`, inAll, "accepted"},
		{"a user changed", `{"type":"user.update","id":5,"object":{"id":40117,"access_enabled":false}}`, inAll, "accepted"},
		{"a user removed", `{"type":"user.destroy","data":{"user":{"id":40117}}}`, inAll, "accepted"},
		{"a user at the top", `{"type":"user.update","resource_type":"User","id":40117}`, inAll, "accepted"},
		{"the number of an event is no user", `{"type":"user.update","id":40117}`, "", "incomplete"},
		{"an object that is no user", `{"type":"user.update","object_type":"Login","object_id":40117}`, "", "incomplete"},
		{"an unlocking", `{"type":"lock.unlock","actor_id":40117,"object_type":"Lock","object_id":7}`, "", "unknown_event"},
		{"a deed nobody heard of", grantEvent("role_assignment.audit", assignment), "", "unknown_event"},
		{"no name", `{` + assignment + `}`, "", "unknown_event"},
		{"a name that is no text", `{"type":7}`, "", "unknown_event"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _ := newKisiWorld(t)
				if answer := w.tell(kisiURL, signed(hookKey, tc.body), tc.body); answer.Code != 200 || answer.Body.Len() > 0 {
					t.Errorf("answer %d %q, want 200 and nothing else", answer.Code, answer.Body)
				}
				var want []string
				if tc.woken != "" {
					want = []string{tc.woken}
				}
				if diff := gocmp.Diff(want, w.woken()); diff != "" {
					t.Errorf("woken (-want +got):\n%s", diff)
				}
				w.wantEvents(t, map[string]int{tc.outcome: 1})
			})
		})
	}
}

func (w *world) wantEvents(t *testing.T, want map[string]int) {
	t.Helper()
	if diff := gocmp.Diff(want, w.counted(t, "kisibridge_kisi_events_total", "outcome"), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestAHintCountsFromItsReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newKisiWorld(t)
		event := grantEvent("role_assignment.create", assignment)
		w.tell(kisiURL, signed(hookKey, event), event)
		target := access.Target{Connection: "acme", Type: access.TargetGroup, ID: 5530}
		want := [][]access.Wake{{access.HintOf(target, 40117, time.Now())}}
		if diff := gocmp.Diff(want, w.calls); diff != "" {
			t.Errorf("wakes (-want +got):\n%s", diff)
		}
		if w.log.Len() == 0 || strings.Contains(w.log.String(), hookKey) {
			t.Errorf("log %q, want a line without the key", w.log)
		}
	})
}

func TestWhatKisiDidNotSignIsRefusedWhateverItIs(t *testing.T) {
	event := grantEvent("role_assignment.create", assignment)
	good := signed(hookKey, event)
	for _, tc := range []struct {
		name, url, signature string
		want                 int
	}{
		{"signed", kisiURL, good, 200},
		{"in capitals", kisiURL, "sha256=" + strings.ToUpper(good[7:]), 200},
		{"without the prefix", kisiURL, good[7:], 200},
		{"not signed", kisiURL, "", 401},
		{"an empty signature", kisiURL, "sha256=", 401},
		{"no signature", kisiURL, "sha256=forged", 401},
		{"another digest", kisiURL, "sha1=" + good[7:], 401},
		{"half of it", kisiURL, good[:7+32], 401},
		{"more than it", kisiURL, good + "00", 401},
		{"another key", kisiURL, signed("guess", event), 401},
		{"no key", kisiURL, signed("", event), 401},
		{"of another body", kisiURL, signed(hookKey, event+" "), 401},
		{"an unknown connection", "/webhooks/kisi/other", good, 401},
		{"an unknown connection and no key", "/webhooks/kisi/other", signed("", event), 401},
		{"an unknown connection, not signed", "/webhooks/kisi/other", "", 401},
		{"a connection that cannot be", "/webhooks/kisi/" + strings.Repeat("a", 101), signed("", event), 401},
		{"a connection of odd letters", "/webhooks/kisi/a%2Fb%0A", signed("", event), 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, h := newKisiWorld(t)
				answer := w.tell(tc.url, tc.signature, event)
				if answer.Code != tc.want || answer.Body.Len() > 0 || len(answer.Header()) > 0 {
					t.Errorf("answer %d %v %q, want %d and nothing else", answer.Code, answer.Header(), answer.Body, tc.want)
				}
				if acted := len(w.calls)+len(h.seen) > 0; acted != (tc.want == 200) {
					t.Errorf("wakes %v, notes %v at status %d", w.woken(), h.seen, tc.want)
				}
				if tc.want == 401 {
					w.wantEvents(t, map[string]int{"forged": 1})
				}
			})
		})
	}
}

func TestWhatIsNoEventIsRefused(t *testing.T) {
	event := grantEvent("role_assignment.create", assignment)
	pad := func(n int) string { return event + strings.Repeat(" ", n-len(event)) }
	for _, tc := range []struct {
		name, body string
		want       int
		outcomes   map[string]int
	}{
		{"nothing", "", 400, map[string]int{"malformed": 1}},
		{"no JSON", "type", 400, map[string]int{"malformed": 1}},
		{"half an event", event[:40], 400, map[string]int{"malformed": 1}},
		{"two events", event + event, 400, map[string]int{"malformed": 1}},
		{"a list", "[" + event + "]", 400, map[string]int{"malformed": 1}},
		{"null", "null", 400, map[string]int{"malformed": 1}},
		{"256 KiB", pad(256 << 10), 200, map[string]int{"accepted": 1}},
		{"a byte more", pad(256<<10 + 1), 413, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, _ := newKisiWorld(t)
			if got := w.tell(kisiURL, signed(hookKey, tc.body), tc.body).Code; got != tc.want {
				t.Errorf("answer %d, want %d", got, tc.want)
			}
			if (len(w.calls) > 0) != (tc.want == 200) {
				t.Errorf("woken %v at status %d", w.woken(), tc.want)
			}
			w.wantEvents(t, tc.outcomes)
		})
	}
}

func TestAnEventWithoutAnEndIsCutOff(t *testing.T) {
	w, h := newKisiWorld(t)
	r, _ := http.NewRequest(http.MethodPost, kisiURL, endless{})
	r.ContentLength = -1
	if got := w.serve(r).Code; got != http.StatusRequestEntityTooLarge || h.keys > 0 {
		t.Errorf("answer %d after %d questions, want 413 and none", got, h.keys)
	}
}

func TestAReplayedEventDoesNothing(t *testing.T) {
	w, _ := newKisiWorld(t)
	event := grantEvent("role_assignment.create", assignment)
	other := grantEvent("role_assignment.destroy", assignment)
	for _, e := range []string{event, event, other, event} {
		if got := w.tell(kisiURL, signed(hookKey, e), e).Code; got != 200 {
			t.Errorf("answer %d, want 200", got)
		}
	}
	if len(w.calls) != 2 {
		t.Errorf("%d wakes, want 2", len(w.calls))
	}
	w.wantEvents(t, map[string]int{"accepted": 2, "replayed": 2})
}

func TestAnEventThatIsNotStoredMayComeAgain(t *testing.T) {
	down := errors.New("redis: connection refused")
	for _, tc := range []struct {
		name   string
		broken func(*world, *hooks)
	}{
		{"the key is not read", func(_ *world, h *hooks) { h.broken = down }},
		{"the digest is not noted", func(_ *world, h *hooks) { h.unseen = down }},
		{"the hint is not stored", func(w *world, _ *hooks) { w.full = down }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, h := newKisiWorld(t)
				tc.broken(w, h)
				event := grantEvent("role_assignment.create", assignment)
				for range 2 {
					answer := w.tell(kisiURL, signed(hookKey, event), event)
					if answer.Code != 503 || answer.Header().Get("Retry-After") == "" {
						t.Errorf("answer %d %v, want 503 with Retry-After", answer.Code, answer.Header())
					}
				}
				if got := strings.Count(w.log.String(), "not stored"); got != 1 {
					t.Errorf("%d warnings in a minute, want 1:\n%s", got, w.log)
				}
				w.wantEvents(t, nil)
				h.broken, h.unseen, w.full, w.calls = nil, nil, nil, nil
				if got := w.tell(kisiURL, signed(hookKey, event), event).Code; got != 200 || len(w.calls) != 1 {
					t.Errorf("then answer %d and %d wakes, want 200 and 1", got, len(w.calls))
				}
			})
		})
	}
}

func TestAForeignSignatureIsLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newKisiWorld(t)
		for range 5 {
			w.tell(kisiURL, signed("guess", "{}"), "{}")
			w.tell("/webhooks/kisi/other", signed("guess", "{}"), "{}")
		}
		time.Sleep(time.Minute)
		w.tell(kisiURL, "", "{}")
		if got := strings.Count(w.log.String(), "foreign signature"); got != 2 {
			t.Errorf("%d warnings, want 2:\n%s", got, w.log)
		}
	})
}

func TestWithoutASourceKisiHasNoWebhook(t *testing.T) {
	w := newWorld(t)
	if got := w.tell(kisiURL, signed(hookKey, "{}"), "{}").Code; got != http.StatusNotFound {
		t.Errorf("answer %d, want 404", got)
	}
}

func FuzzEvent(f *testing.F) {
	for _, s := range []string{
		"", "{}", "[]", "null", `{"type":"user.update"}`, `{"type":{"type":"user.update"}}`, `{"type":"user.update","object_id":1e3}`,
		grantEvent("role_assignment.create", assignment), grantEvent("team_membership.destroy", `"data":{`+membership+`}`),
		`{"event":{"type":"user.create","user":{"id":1}}}`, `{"type":"user.update","object":[1],"data":"x","user":null,"object_id":99999999999999999999}`,
		strings.Repeat(`{"object":`, 20000),
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, genuine bool) {
		w, _ := newKisiWorld(t)
		key := hookKey
		if !genuine {
			key = "guess"
		}
		code := w.tell(kisiURL, signed(key, text), text).Code
		switch {
		case code == 413, genuine && (code == 200 || code == 400), !genuine && code == 401:
		default:
			t.Errorf("answer %d", code)
		}
		for _, wakes := range w.calls {
			if !genuine || len(wakes) != 1 {
				t.Fatalf("woken %v", wakes)
			}
			if target, user, err := access.ParseHint(wakes[0].Name); err != nil || user <= 0 || target.Connection != "acme" {
				t.Errorf("hint %q: %v", wakes[0].Name, err)
			}
		}
	})
}
