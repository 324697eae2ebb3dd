package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"kisibridge/internal/redistest"
	"kisibridge/internal/store"
)

// do runs a subcommand that must go well, with all these words.
func (s *site) do(line string, has ...string) string {
	s.t.Helper()
	status, out := s.program(strings.Fields(line)...)
	if status != 0 {
		s.t.Fatalf("%s ends with %d:\n%s", line, status, out)
	}
	for _, h := range has {
		if !strings.Contains(out, h) {
			s.t.Errorf("%s: no word of %q in:\n%s", line, h, out)
		}
	}
	return out
}

func (s *site) hq() (group directoryGroup, doors int) {
	s.t.Helper()
	var dir directoryState
	s.call(http.MethodGet, s.graph+"/_sim/state", &dir)
	var d doorsState
	s.call(http.MethodGet, s.kisi+"/_sim/state", &d)
	return dir.Groups[slices.IndexFunc(dir.Groups, func(g directoryGroup) bool { return g.Name == "HQ doors" })], d.Groups[0].ID
}

func (s *site) leave(group, person string) {
	s.t.Helper()
	s.call(http.MethodDelete, s.graph+"/_sim/groups/"+group+"/members/"+person, nil)
}

func (s *site) untilSays(line, has string) {
	s.t.Helper()
	s.until(line, 30*time.Second, func() bool { return strings.Contains(s.do(line), has) })
}

func (s *site) untilHold(want int) {
	s.t.Helper()
	s.until(fmt.Sprintf("%d people with open doors", want), 30*time.Second, func() bool { return len(s.holders()) == want })
}

// An administrator without a console: looks before, lets ten in, nods, is
// asked about removals, reads why, and takes everything back.
func TestAnIntegrationIsLedThroughItsLifeByCommands(t *testing.T) {
	s := newSite(t, redistest.Start(t).Addr, 300, 120, 60)
	group, doors := s.hq()
	people, n := group.Members, len(group.Members)
	s.start()
	s.ready()

	rule := fmt.Sprintf(" --entra-group %s --kisi-group %d --exclude %s", group.ID, doors, people[0])
	s.do("local integrations preview"+rule, fmt.Sprintf("Would be granted: %d", n-1), fmt.Sprintf("Mails: %d", n-1), "Nothing was written")
	var seen outline
	if err := json.Unmarshal([]byte(s.do("local integrations preview --json"+rule)), &seen); err != nil || len(seen.Add) != n-1 || seen.Seconds <= 0 {
		t.Errorf("the preview as JSON has %+v, %v", seen, err)
	}
	id, _, _ := strings.Cut(s.do("local integrations add --name HQ --first-batch 5 --removal-count 0 --removal-percent 0"+rule), " ")
	s.untilHold(5)
	s.do("local integrations list", "a first batch of 5 (kisibridge local integrations nod "+id)
	s.do("local integrations nod " + id)
	s.untilHold(n - 1)
	s.untilSays("local integrations progress "+id, "0 people")
	s.do("local integrations people "+id+" "+people[0], "excluded")
	s.do("local integrations people "+id+" --state granted", people[1])

	s.heldAndAnswered(id, group.ID, people[1], people[2])
	s.changed(id, people[0], n)
	s.told(id, people[2])

	s.do("local integrations delete " + id)
	s.untilHold(0)
	s.until("gone from the list", 20*time.Second, func() bool { return !strings.Contains(s.do("local integrations list"), id) })
	s.finish()
}

// heldAndAnswered lets two people leave, one after the other: the removal of
// the first is dismissed, that of the second approved.
func (s *site) heldAndAnswered(id, group, stays, goes string) {
	s.t.Helper()
	before := len(s.holders())
	s.leave(group, stays)
	s.untilSays("local integrations hold "+id, stays)
	s.do("local integrations list", "removals wait: 1", "local integrations hold "+id)
	s.do("local integrations dismiss " + id)
	s.untilSays("local integrations hold "+id, "No removal waits")
	s.do("local integrations people "+id+" "+stays, "a removal was dismissed by cli:"+osUser())
	s.leave(group, goes)
	s.untilSays("local integrations hold "+id, "@contoso.example")
	if got := len(s.holders()); got != before {
		s.t.Errorf("%d people hold access while a removal waits, want %d", got, before)
	}
	s.do("local integrations approve " + id)
	s.untilHold(before - 1)
}

// changed ends the exclusion of a person, and syncs in every way there is.
func (s *site) changed(id, excluded string, n int) {
	s.t.Helper()
	s.do("local integrations preview --id "+id+" --removal-mode never", "Would be granted: 0", "Would lose access: 0")
	if status, out := s.program("local", "integrations", "update", id, "--exclude", "", "--removal-mode", "after", "--removal-hours", "2"); status != 0 {
		s.t.Fatalf("update: %s", out)
	}
	s.untilHold(n - 1) // one more and one less than everybody
	s.do("local integrations people "+id+" "+excluded, "granted")
	s.do("local integrations update "+id+" --removal-mode at_once", "HQ") // and no hours
	if status, out := s.program("local", "integrations", "update", id, "--membership", "nested"); status != exitUsage || !strings.Contains(out, "use direct or transitive") {
		s.t.Errorf("a wrong update ends with %d: %s", status, out)
	}
	stray := s.kisi + "/_sim/groups/HQ%20doors/holders/stray@contoso.example"
	s.call(http.MethodPut, stray, nil)
	s.do("local integrations sync --from-scratch " + id)
	s.untilSays("local integrations drift "+id, "stray@contoso.example (Kisi user ")
	s.do("local integrations list", "1 by hand")
	s.call(http.MethodDelete, stray, nil)
	s.do("local sync-person " + excluded)
}

// told reads the audit trail, whole and in parts.
func (s *site) told(id, gone string) {
	s.t.Helper()
	var last store.Event
	said := map[string]string{} // what → by whom
	for line := range strings.Lines(s.do("local events --integration " + id)) {
		last = store.Event{}
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			s.t.Fatalf("events: %v in %s", err, line)
		}
		said[last.What] = last.By
	}
	for _, what := range []string{"integration added", "first batch nodded", "removals dismissed", "removals approved", "integration changed"} {
		if said[what] != "cli:"+osUser() {
			s.t.Errorf("%q is told of %q, want the user of this machine", what, said[what])
		}
	}
	if rest := s.do("local events --after " + last.ID + " --integration " + id); rest != "" {
		s.t.Errorf("after the last event there is\n%s", rest)
	}
	if s.do("local events --person "+gone) == "" {
		s.t.Errorf("nothing is told of %s", gone)
	}
}
