package access

import (
	"fmt"
	"slices"
	"time"
)

// A Hold keeps removals from being made until a person has looked at them.
// The zero value holds nobody.
type Hold struct {
	Why      string    `json:"why,omitempty"`
	People   []string  `json:"people,omitempty"` // sorted
	Since    time.Time `json:"since"`
	Approved bool      `json:"approved,omitempty"` // a person has let them go
}

// Holds tells whether the removal of person waits.
func (h Hold) Holds(person string) bool { return !h.Approved && h.Names(person) }

// Excuses tells whether a person has approved the removal of person.
func (h Hold) Excuses(person string) bool { return h.Approved && h.Names(person) }

// Names tells whether person is on the list.
func (h Hold) Names(person string) bool {
	return slices.Contains(h.People, person)
}

// limit lets removals go, or holds those that nobody decided upon when they
// are too many: a broken read or a slip of the hand looks just like that.
// The removals that a deleted integration brings were decided, and go.
func limit(callers []Caller, in Input, removals []string) (revoke []string, hold Hold) {
	var undecided []string
	for _, id := range removals {
		if in.Excused[id] || !stillCalled(callers, in.Held[id].For) {
			continue
		}
		undecided = append(undecided, id)
	}
	l, ok := strictest(callers)
	if !ok || !l.exceeded(len(undecided), in.Grants) {
		return removals, Hold{}
	}
	held := map[string]bool{}
	for _, id := range undecided {
		held[id] = true
	}
	for _, id := range removals {
		if !held[id] {
			revoke = append(revoke, id)
		}
	}
	why := fmt.Sprintf("%d of %d grants would be removed at once; the limit is %d and %d %%",
		len(undecided), in.Grants, l.Count, l.Percent)
	return revoke, Hold{Why: why, People: undecided, Since: in.Now}
}

// stillCalled tells whether one of the integrations that a grant was made for
// is there and stays.
func stillCalled(callers []Caller, reasons []string) bool {
	for _, r := range reasons {
		for _, c := range callers {
			if c.Integration.ID == r && c.Integration.State != Deleting {
				return true
			}
		}
	}
	return false
}

// strictest is the limit that holds first; integrations that go have no say.
func strictest(callers []Caller) (l Limit, ok bool) {
	for _, c := range callers {
		if c.Integration.State == Deleting {
			continue
		}
		r := c.Integration.RemovalLimit
		if !ok {
			l, ok = r, true
			continue
		}
		l = Limit{Count: min(l.Count, r.Count), Percent: min(l.Percent, r.Percent)}
	}
	return l, ok
}

func (l Limit) exceeded(removals, grants int) bool {
	return removals > l.Count && removals*100 > l.Percent*grants
}
