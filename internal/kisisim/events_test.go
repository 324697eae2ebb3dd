package kisisim_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/kisisim"
)

const allEvents = `"user.create","user.update","user.destroy","role_assignment.create","role_assignment.update","role_assignment.destroy","team_membership.create","team_membership.destroy"`

func hookBody(events string) string {
	return fmt.Sprintf(`{"integration":{"type":"event_webhook","name":"kisibridge","url":"https://bridge.example/hook","enabled_events":[%s],"signature_key":"k"}}`, events)
}

// A receiver keeps what it is told.
type receiver struct {
	mu    sync.Mutex
	told  []map[string]any
	badly []string
	do    func(*http.Request) error // before it answers; nil: nothing
}

func (rc *receiver) RoundTrip(r *http.Request) (*http.Response, error) {
	if rc.do != nil {
		if err := rc.do(r); err != nil {
			return nil, err
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, []byte("k"))
	mac.Write(body)
	var event map[string]any
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if err := json.Unmarshal(body, &event); err != nil || r.Header.Get("X-Signature") != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
		rc.badly = append(rc.badly, string(body))
	}
	rc.told = append(rc.told, event)
	return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
}

// types are what it was told of, and by whom.
func (rc *receiver) types() []string {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	var types []string
	for _, e := range rc.told {
		types = append(types, fmt.Sprint(e["type"], " by ", e["actor_id"]))
	}
	return types
}

func TestWebhooksAreToldOfEveryChange(t *testing.T) {
	rc := &receiver{}
	s := kisisim.New(kisisim.Options{Rate: -1, Notify: rc})
	if w := ask(s, "POST", "/integrations", hookBody(allEvents)); w.Code != 200 {
		t.Fatal(w.Body)
	}
	group, team := s.AddGroup("HQ doors"), s.AddTeam("Guards")

	// By hand.
	ada := s.AddUser("ada@contoso.example", "Ada")
	s.SetUserFlags(ada, false, true)
	s.AddAssignment(kisisim.Assignment{AppliesToID: group, AssigneeID: ada})
	s.AddMembership(team, ada)
	s.RemoveUser(ada)
	// By the API.
	bob := number(t, ask(s, "POST", "/users", `{"user":{"email":"bob@contoso.example"}}`))
	ask(s, "PATCH", fmt.Sprintf("/users/%d", bob), `{"user":{"name":"Bob"}}`)
	row := number(t, ask(s, "POST", "/role_assignments", grantBody(bob, group)))
	ask(s, "PATCH", fmt.Sprintf("/role_assignments/%d", row), `{"role_assignment":{"valid_until":null}}`)
	ask(s, "DELETE", fmt.Sprintf("/role_assignments/%d", row), "")
	in := number(t, ask(s, "POST", "/team_memberships", fmt.Sprintf(`{"team_membership":{"team_id":%d,"member_type":"User","member_id":%d}}`, team, bob)))
	ask(s, "DELETE", fmt.Sprintf("/team_memberships/%d", in), "")
	s.Close()

	want := []string{
		"user.create by 70", "user.update by 70", "role_assignment.create by 70", "team_membership.create by 70",
		"role_assignment.destroy by 70", "team_membership.destroy by 70", "user.destroy by 70",
		"user.create by 71", "user.update by 71", "role_assignment.create by 71", "role_assignment.update by 71",
		"role_assignment.destroy by 71", "team_membership.create by 71", "team_membership.destroy by 71",
	}
	if diff := cmp.Diff(want, rc.types()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if taken, failed := s.Deliveries(); taken != len(want) || failed != 0 || len(rc.badly) > 0 {
		t.Errorf("%d taken, %d failed, badly signed %q; want %d taken", taken, failed, rc.badly, len(want))
	}
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("violations %q, want none", v)
	}
	if e := rc.told[9]; e["object_type"] != "RoleAssignment" || e["object_id"] != float64(row) || e["organization_id"] != float64(12) {
		t.Errorf("the event is %v, want it about assignment %d of organization 12", e, row)
	}
}

func TestAWebhookIsToldOnlyOfWhatItWants(t *testing.T) {
	rc := &receiver{}
	s := kisisim.New(kisisim.Options{Rate: -1, Notify: rc})
	hook := fmt.Sprintf("/integrations/%d", number(t, ask(s, "POST", "/integrations", hookBody(`"user.create"`))))
	ada := s.AddUser("ada@contoso.example", "Ada")
	s.SetUserFlags(ada, true, false)
	ask(s, "PATCH", hook, `{"integration":{"enabled":false}}`)
	s.AddUser("bob@contoso.example", "Bob")
	ask(s, "PATCH", hook, `{"integration":{"enabled":true}}`)
	s.AddUser("cy@contoso.example", "Cy")
	ask(s, "DELETE", hook, "")
	s.AddUser("dan@contoso.example", "Dan")
	s.Close()
	s.AddUser("eve@contoso.example", "Eve")
	if diff := cmp.Diff([]string{"user.create by 70", "user.create by 70"}, rc.types()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestEventsCanComeTwice(t *testing.T) {
	rc := &receiver{}
	s := kisisim.New(kisisim.Options{Rate: -1, Notify: rc})
	ask(s, "POST", "/integrations", hookBody(allEvents))
	ask(s, "POST", "/_sim/options", `{"repeat_events":true}`)
	s.AddUser("ada@contoso.example", "Ada")
	s.Close()
	if len(rc.told) != 2 || rc.told[0]["uuid"] != rc.told[1]["uuid"] || rc.told[0]["uuid"] == "" {
		t.Errorf("told %v, want the same event twice", rc.told)
	}
}

func TestAReceiverMayAskBackAndHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rc := &receiver{}
		s := kisisim.New(kisisim.Options{Rate: -1, Notify: rc})
		ask(s, "POST", "/integrations", hookBody(allEvents))
		rc.do = func(*http.Request) error {
			time.Sleep(3 * time.Second)
			if w := ask(s, "GET", "/users", ""); w.Code != 200 {
				t.Errorf("asked back: %d, want 200", w.Code)
			}
			return nil
		}
		began := time.Now()
		s.AddUser("ada@contoso.example", "Ada")
		if took := time.Since(began); took != 0 {
			t.Errorf("the change took %v, want no time", took)
		}
		s.Close()
		if took := time.Since(began); took != 3*time.Second || len(rc.types()) != 1 {
			t.Errorf("closed after %v with %v told, want it to wait for the one that is on its way", took, rc.types())
		}
	})
}

func TestAReceiverThatHangsIsGivenUpOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rc := &receiver{do: func(r *http.Request) error {
			<-r.Context().Done()
			return errors.New("hung")
		}}
		s := kisisim.New(kisisim.Options{Rate: -1, Notify: rc})
		ask(s, "POST", "/integrations", hookBody(allEvents))
		for k := range 100 {
			s.AddUser(fmt.Sprintf("p%d@contoso.example", k), "")
		}
		began := time.Now()
		s.Close()
		if taken, failed := s.Deliveries(); taken != 0 || failed != 100 || time.Since(began) > time.Minute {
			t.Errorf("%d taken, %d failed after %v; want 100 failed, and soon", taken, failed, time.Since(began))
		}
	})
}

func TestWebhooksAreCheckedWhenTheyAreMade(t *testing.T) {
	s := fast()
	for name, body := range map[string]string{
		"no events":        hookBody(``),
		"an unknown event": hookBody(`"door.open"`),
		"no address":       strings.Replace(hookBody(allEvents), "https://bridge.example", "", 1),
		"no name":          strings.Replace(hookBody(allEvents), "kisibridge", "", 1),
		"an import":        strings.Replace(hookBody(allEvents), "event_webhook", "active_directory_user_import", 1),
	} {
		if w := ask(s, "POST", "/integrations", body); w.Code != 422 {
			t.Errorf("%s: %d %s, want 422", name, w.Code, w.Body)
		}
	}
	id := number(t, ask(s, "POST", "/integrations", hookBody(allEvents)))
	if w := ask(s, "GET", fmt.Sprintf("/integrations/%d", id), ""); !strings.Contains(w.Body.String(), `"url":"https://bridge.example/hook"`) {
		t.Errorf("a single one: %s, want its url", w.Body)
	}
	if w := ask(s, "GET", "/integrations", ""); strings.Contains(w.Body.String(), `"url"`) {
		t.Errorf("a list: %s, want no url, as documented", w.Body)
	}
}

// number is the id of what was answered.
func number(t *testing.T, w interface{ Result() *http.Response }) int {
	t.Helper()
	var made struct{ ID int }
	answer := w.Result()
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&made); err != nil || made.ID == 0 {
		t.Fatalf("no id in the answer: %v", err)
	}
	return made.ID
}
