package app_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/graphsim"
)

// witnesses counts the people who were asked about from the other side.
func (w *world) witnesses() int { return w.graph.Calls("POST /v1.0/users/") }

// wantNobodyAsked says that no removal waits for a person, nor ever did.
func (w *world) wantNobodyAsked() {
	w.t.Helper()
	w.wantState("hq", access.Active)
	w.wantHeld("hq")
	if n := w.told("removals held"); n != 0 {
		w.t.Errorf("somebody was asked about removals %d times, want never", n)
	}
}

// revocations counts the grants that were deleted in Kisi.
func (w *world) revocations() int { return w.kisi.Calls("DELETE /role_assignments/") }

// thirty makes a world in which thirty people have access to hq for a while.
func thirty(t *testing.T) (*world, []string) {
	t.Helper()
	w := newWorld(t)
	everybody := w.people(30)
	w.person("ada")
	w.join("hq", everybody...)
	w.integrate("hq")
	w.after(time.Minute)
	w.wantDoors("hq", everybody...)
	return w, everybody
}

func TestRule18LeaversWhomTheOtherSideDoesNotConfirmKeepTheirAccess(t *testing.T) {
	// Rule 18.
	story(t, func(t *testing.T) {
		w, everybody := thirty(t)
		w.graph.SetFalseLeave("hq", everybody[:10]...)
		w.join("hq", "ada")
		w.settle()
		w.wantDoors("hq", append(slices.Clone(everybody), "ada")...)
		if n := w.witnesses(); n < 10 {
			t.Errorf("%d people were asked about, want the ten", n)
		}
		w.after(45 * time.Second) // the member list is read, and settles it
		w.wantDoors("hq", append(slices.Clone(everybody), "ada")...)
		s, _ := w.status("hq")
		if s.Members != 31 {
			t.Errorf("%d members are stored, want all 31 again", s.Members)
		}
		w.wantNobodyAsked()
		w.wantMails(31)
		if n := w.revocations(); n != 0 {
			t.Errorf("%d grants were deleted, want none", n)
		}

		// Nothing of the doubt is left: who truly leaves, goes.
		w.leave("hq", everybody[:3]...)
		w.settle()
		w.wantDoors("hq", append(slices.Clone(everybody[3:]), "ada")...)
	})
}

func TestRule18AShortMemberListIsNoAbsence(t *testing.T) {
	// Rule 18.
	story(t, func(t *testing.T) {
		w, everybody := thirty(t)
		all := append(slices.Clone(everybody), "ada")
		w.graph.SetReplicationLag(15 * time.Minute) // so that the list is read, for delta is silent
		w.graph.SetFalseMembers("hq", everybody[5:15]...)
		w.join("hq", "ada")
		w.after(2 * time.Minute)
		if n := w.witnesses(); n < 10 {
			t.Errorf("%d people were asked about, want the ten who were not listed", n)
		}
		w.wantDoors("hq", all...)
		w.wantNobodyAsked()
		if n := w.told("revoked") + w.revocations(); n != 0 {
			t.Errorf("%d grants were deleted because of a short list, want none", n)
		}
		w.graph.SetFalseMembers("hq")
		w.graph.SetReplicationLag(0)
		w.sweep()
		w.wantDoors("hq", all...)
		if s, _ := w.status("hq"); s.Members != 31 {
			t.Errorf("%d members are stored, want all 31 again", s.Members)
		}
		w.wantNobodyAsked()
		w.wantMails(31)
	})
}

func TestRule18AFailedQuestionIsNeverAnAbsence(t *testing.T) {
	// Rule 18.
	for name, f := range map[string]graphsim.Fault{
		"error":   {Route: "POST /v1.0/users/", Status: 500},
		"refusal": {Route: "POST /v1.0/users/", Status: 403},
		"page":    {Route: "POST /v1.0/users/", HTML: true},
		"silence": {Route: "POST /v1.0/users/", Lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T) {
				w, everybody := thirty(t)
				w.graph.SetFault(f)
				w.leave("hq", everybody[:10]...)
				w.after(2 * time.Minute)
				w.wantDoors("hq", everybody...)
				w.graph.ClearFaults()
				w.sweep()
				w.after(time.Minute) // a retry may still wait for its time
				w.wantDoors("hq", everybody[10:]...)
				w.wantState("hq", access.Active)
			})
		})
	}
}

func TestRule18TrueLeaversAreRemovedAfterTheyWereAskedAbout(t *testing.T) {
	// Rule 18.
	story(t, func(t *testing.T) {
		w, everybody := thirty(t)
		w.leave("hq", everybody[:5]...)
		w.settle()
		w.wantDoors("hq", everybody[5:]...)
		if n := w.witnesses(); n != 0 {
			t.Errorf("%d of five people were asked about, want none", n)
		}
		w.after(11 * time.Minute) // past the window in which removals add up
		w.leave("hq", everybody[5:11]...)
		w.settle()
		w.wantDoors("hq", everybody[11:]...)
		if n := w.witnesses(); n != 6 {
			t.Errorf("%d people were asked about, want the six", n)
		}
		w.wantNobodyAsked()
		asked, deleted := time.Time{}, time.Time{}
		for _, c := range w.graph.Log() {
			if c.Method == "POST" && strings.HasPrefix(c.Path, "/v1.0/users/") {
				asked = c.At
			}
		}
		for _, c := range w.kisi.Log() {
			if c.Method == "DELETE" && c.At.After(asked) && deleted.IsZero() {
				deleted = c.At
			}
		}
		if asked.After(deleted) {
			t.Errorf("asked at %v, deleted from %v on; want to ask first", asked, deleted)
		}
	})
}

func TestRule18AnAccountThatIsOnlySaidToBeDisabledIsLookedAtOnceMore(t *testing.T) {
	// Rule 18.
	story(t, func(t *testing.T) {
		w, everybody := thirty(t)
		w.disable(true, everybody[:8]...)
		w.settle()
		w.wantDoors("hq", everybody[8:]...)
		w.disable(false, everybody[:8]...)
		w.settle()
		w.wantDoors("hq", everybody...)
		w.wantNobodyAsked()
	})
}
