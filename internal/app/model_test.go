package app_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisisim"
)

// A step is something that happens to a company, its clouds or the bridge. It
// is drawn as numbers beforehand, so that a history is a value: it can be
// printed, shrunk and told again.
type step struct{ Op, A, B int }

func (s step) String() string { return fmt.Sprintf("%s(%d,%d)", ops[s.Op].name, s.A, s.B) }

// ops are what can happen; often is how often, beside the others.
var ops = []struct {
	name  string
	often int
	do    func(m *model, a, b int)
}{
	{"join", 6, func(m *model, a, b int) { m.move(m.person(a), m.group(b), true) }},
	{"leave", 4, func(m *model, a, b int) { m.move(m.person(a), m.group(b), false) }},
	{"nest", 2, func(m *model, a, b int) { m.nest(m.group(a), m.group(b), true) }},
	{"unnest", 1, func(m *model, a, b int) { m.nest(m.group(a), m.group(b), false) }},
	{"disable", 2, func(m *model, a, b int) { m.enable(m.person(a), b%2 == 0) }},
	{"delete person", 1, func(m *model, a, _ int) { m.deletePerson(m.person(a)) }},
	{"restore person", 1, func(m *model, a, _ int) { m.restorePerson(m.person(a)) }},
	{"address", 2, func(m *model, a, b int) { m.readdress(m.person(a), b) }},
	{"delete group", 1, func(m *model, a, _ int) { m.deleteGroup(m.group(a)) }},
	{"restore group", 1, func(m *model, a, _ int) { m.restoreGroup(m.group(a)) }},
	{"integrate", 4, func(m *model, a, b int) { m.integrate(a, b) }},
	{"disintegrate", 1, func(m *model, a, _ int) { m.disintegrate(a) }},
	{"pause or resume", 1, func(m *model, a, b int) { m.pause(a, b%2 == 0) }},
	{"approve", 1, func(m *model, a, _ int) { m.approve(a) }},
	{"take by hand", 1, func(m *model, a, _ int) { m.takeByHand(a) }},
	{"work", 14, func(m *model, a, _ int) { m.work(1+a%4, 0, false, false) }},
	{"work and break", 8, func(m *model, a, b int) { m.work(1+a%3, 1+b%40, b%2 == 0, a%2 == 0) }},
	{"drain", 3, func(m *model, _, _ int) { m.drain() }},
	{"sweep", 2, func(m *model, _, _ int) { m.try(m.engine.Sweep) }},
	{"watch", 1, func(m *model, _, _ int) { m.try(m.engine.Watch) }},
	{"rescue", 2, func(m *model, _, _ int) { m.try(m.engine.Rescue) }},
	{"wait", 4, func(m *model, a, _ int) { m.wait(waits[a%len(waits)]) }},
	{"lag", 1, func(m *model, a, _ int) { m.graph.SetReplicationLag(lags[a%len(lags)]) }},
	{"expire links", 1, func(m *model, _, _ int) { m.graph.ExpireLinks() }},
	{"notify", 2, func(m *model, a, _ int) { m.graph.SetDelivery(deliveries[a%len(deliveries)]) }},
	{"Graph fails", 2, func(m *model, a, b int) { m.graph.SetFault(graphFault(a, b)) }},
	{"Kisi fails", 3, func(m *model, a, b int) { m.kisi.SetFault(kisiFault(a, b)) }},
	{"Kisi recovers", 1, func(m *model, _, _ int) { m.kisi.ClearFaults() }},
	{"Kisi doubles", 1, func(m *model, a, _ int) {
		m.kisi.SetOptions(func(o *kisisim.Options) { o.DoubleAssignments = a%2 == 0 })
	}},
}

var (
	waits      = []time.Duration{time.Second, 5 * time.Second, time.Minute, 11 * time.Minute, time.Hour, 25 * time.Hour, 8 * 24 * time.Hour}
	lags       = []time.Duration{0, 3 * time.Second, 90 * time.Second}
	deliveries = []graphsim.Delivery{{}, {}, {Drop: true}, {Duplicate: true}, {Reorder: true}, {Delay: 20 * time.Second}}
	kisiRoutes = []string{"", "POST /users", "POST /role_assignments", "DELETE /role_assignments", "GET /users", "GET /role_assignments"}
)

func graphFault(a, b int) graphsim.Fault {
	f := graphsim.Fault{Times: 1 + a%3}
	switch b % 4 {
	case 0:
		f.Status, f.RetryAfter = 429, 1+b%3
	case 1:
		f.Status = 503
	case 2:
		f.Lost = true
	case 3:
		f.HTML = true
	}
	return f
}

func kisiFault(a, b int) kisisim.Fault {
	f := kisisim.Fault{Times: 1 + a%3, Route: kisiRoutes[a%len(kisiRoutes)]}
	switch b % 4 {
	case 0:
		f.Status = 429
	case 1:
		f.Status = 500
	case 2:
		f.Lost = true
	case 3:
		f.Status, f.Body = 502, "<html>bad gateway</html>"
	}
	return f
}

func history() *rapid.Generator[[]step] {
	var urn []int
	for op, o := range ops {
		for range o.often {
			urn = append(urn, op)
		}
	}
	one := rapid.Custom(func(t *rapid.T) step {
		return step{rapid.SampledFrom(urn).Draw(t, "op"), rapid.IntRange(0, 63).Draw(t, "a"), rapid.IntRange(0, 63).Draw(t, "b")}
	})
	return rapid.SliceOfN(one, 8, 60)
}

// Whatever happens to a company, its clouds and the bridge, in any order: no
// step leads to a second assignment or a second mail, to a removal of what is
// called for or is not ours; and once the faults stop, every target holds
// exactly the people whom its integrations call for.
//
// KISIBRIDGE_MODEL says how many histories are told (make soak: 100,000). One
// that fails is printed with the seed that tells it again.
func TestAnyHistoryEndsWithTheRightDoorsOpen(t *testing.T) {
	histories := 300
	if text := os.Getenv("KISIBRIDGE_MODEL"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("KISIBRIDGE_MODEL is %q, want a number of histories", text)
		}
		histories = n
	}
	for worker := range modelWorkers {
		t.Run(strconv.Itoa(worker), func(t *testing.T) {
			t.Parallel()
			for told := worker; told < histories; told += modelWorkers * 100 {
				if !tellHundred(t) {
					return
				}
			}
		})
	}
}

// modelWorkers tell histories beside each other.
const modelWorkers = 2

// tellHundred tells a hundred histories, which is rapid's usual number.
func tellHundred(t *testing.T) (ok bool) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := history().Draw(rt, "history")
		if wrong := tell(t, steps); len(wrong) > 0 {
			rt.Fatalf("%s\n%v", strings.Join(wrong, "\n"), steps)
		}
	})
	return !t.Failed()
}

// tell tells one history in a bubble, and says what was wrong.
func tell(t *testing.T, steps []step) (wrong []string) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t)
		for n, s := range steps {
			ops[s.Op].do(m, s.A, s.B)
			m.checkAlways()
			if m.failed() {
				m.fail("after step %d, %s", n, s)
				break
			}
		}
		if !m.failed() {
			m.becomeQuiet()
			m.checkQuiet()
		}
		wrong = m.wrong()
	})
	return wrong
}
