package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kisibridge/internal/kisisim"
	"kisibridge/internal/redistest"
)

type directoryGroup struct {
	ID      string   `json:"id"`
	Name    string   `json:"displayName"`
	Members []string `json:"members"`
}

type directoryState struct {
	Groups []directoryGroup `json:"groups"`
}

type doorsState struct {
	Groups []struct {
		ID      int      `json:"id"`
		Holders []string `json:"holders"`
	} `json:"groups"`
}

func (s *site) holders() []string {
	s.t.Helper()
	var d doorsState
	s.call(http.MethodGet, s.kisi+"/_sim/state", &d)
	return d.Groups[0].Holders
}

// ready waits until the bridge takes notifications.
func (s *site) ready() {
	s.t.Helper()
	s.until("ready", 20*time.Second, func() bool {
		answer, err := s.client.Get("http://" + s.listen + "/readyz")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// Killed ten times with SIGKILL during an import of 500 people, on a Kisi that
// makes a second assignment and a second mail when asked twice: everybody has
// one assignment and had one mail.
func TestServeSurvivesTenKillsDuringAnImport(t *testing.T) {
	redis := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	s := newSite(t, redis.Addr, 5250, 120, 60)
	group, doors := s.hq()
	if len(group.Members) < 400 {
		t.Fatalf("%d members, want about 500", len(group.Members))
	}
	s.start()
	s.ready()
	s.examine()
	status, out := s.program("local", "integrations", "add", "--name", "HQ doors", "--entra-group", group.ID, "--kisi-group", fmt.Sprint(doors))
	if status != 0 {
		t.Fatalf("add: %s", out)
	}
	for k := range 10 {
		want := (k + 1) * len(group.Members) / 12
		s.until(fmt.Sprintf("import, kill %d", k), time.Minute, func() bool { return len(s.holders()) >= want })
		s.kill()
		s.start()
	}
	s.until("import", 2*time.Minute, func() bool { return len(s.holders()) == len(group.Members) })
	s.wantOneEach(len(group.Members))
	s.follow(group.ID, group.Members[0])
	s.finish()
}

// examine lets the doctor look at a site that is well, once its advice about
// Kisi's events has been followed.
func (s *site) examine() {
	s.t.Helper()
	s.do("doctor", "warn  kisi: changes by hand are found by the sweep, within 15m0s", "run: kisibridge connections watch")
	s.do("local connections watch", "tells "+s.public+"/webhooks/kisi/kisi of changes")
	out := s.do("doctor", "redis keeps what it was told", "permission User.Read.All", "subscribing to users is allowed",
		"kisi: the key opens", "the event webhook tells of changes by hand within seconds", "answers a validation")
	if strings.Contains(out, "warn") {
		s.t.Errorf("the doctor of a site that is well says\n%s", out)
	}
	s.do("local connections unwatch")
	deaf := *s
	deaf.environ = append(slices.Clip(s.environ), "KISIBRIDGE_PUBLIC_URL=") // the last one counts
	deaf.do("doctor", "Graph tells of nothing, and changes are seen within 30 s", "set KISIBRIDGE_PUBLIC_URL, then run: kisibridge connections watch")
}

func (s *site) wantOneEach(people int) {
	s.t.Helper()
	var rows []kisisim.Assignment
	s.call(http.MethodGet, s.kisi+"/_sim/assignments", &rows)
	each := map[int]int{}
	for _, a := range rows {
		if a.RoleID == "group_basic" && a.AssigneeType == "User" && a.ValidUntil == nil {
			each[a.AssigneeID]++
		}
	}
	var mails []kisisim.Mail
	s.call(http.MethodGet, s.kisi+"/_sim/mails", &mails)
	got := map[string]int{}
	for _, m := range mails {
		got[m.To]++
	}
	if len(each) != people || len(got) != people {
		s.t.Errorf("%d people with assignments and %d with mails, want %d", len(each), len(got), people)
	}
	for who, n := range each {
		if n != 1 {
			s.t.Errorf("user %d has %d assignments, want 1", who, n)
		}
	}
	for to, n := range got {
		if n != 1 {
			s.t.Errorf("%s got %d mails, want 1", to, n)
		}
	}
	var violations []string
	s.call(http.MethodGet, s.kisi+"/_sim/violations", &violations)
	for _, v := range violations {
		s.t.Errorf("Kisi: %s", v)
	}
}

// follow lets somebody leave and come back, and waits for the doors.
func (s *site) follow(group, person string) {
	s.t.Helper()
	s.ready()
	before := s.holders()
	for _, m := range []struct {
		method string
		want   int
	}{{http.MethodDelete, len(before) - 1}, {http.MethodPut, len(before)}} {
		began := time.Now()
		s.call(m.method, s.graph+"/_sim/groups/"+group+"/members/"+person, nil)
		s.until("follow", 30*time.Second, func() bool { return len(s.holders()) == m.want })
		s.t.Logf("%s of a member reached Kisi within %v", m.method, time.Since(began).Round(time.Millisecond))
	}
	if !slices.Equal(before, s.holders()) {
		s.t.Error("not the same people open doors as before")
	}
	status, out := s.program("local", "integrations", "list")
	if status != 0 || !strings.Contains(out, "active") || !strings.Contains(out, fmt.Sprint(len(before))) {
		s.t.Errorf("list ends with %d:\n%s", status, out)
	}
}

// finish ends the bridge in an orderly way.
func (s *site) finish() {
	s.t.Helper()
	if err := s.serve.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if err := s.serve.Wait(); err != nil {
		s.t.Errorf("told to stop, serve ended with %v", err)
	}
	s.serve = nil
}
