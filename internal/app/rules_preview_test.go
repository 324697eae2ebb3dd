package app_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
	"kisibridge/internal/bridge"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisisim"
)

// draft is an integration as an admin fills it in.
func (w *world) draft(group string, change ...func(*access.Integration)) access.Integration {
	i := access.Integration{
		ID: group, Name: group, Group: entraGroup(w.rules[group].entra),
		Target: access.Target{Connection: app.KisiConnection, Type: access.TargetGroup, ID: w.rules[group].kisi},
	}
	for _, c := range change {
		c(&i)
	}
	return i
}

// A readingGlass notes what those commands do that bear its mark.
type readingGlass struct {
	mu    sync.Mutex // guards the two below
	seen  int
	wrote []string
}

type markKey struct{}

// reads are the commands that change nothing.
var reads = []string{"get", "mget", "exists", "hget", "hmget", "hgetall", "hlen", "smembers", "smismember", "zrange", "xrange", "lrange"}

func (g *readingGlass) see(ctx context.Context, cmds ...redis.Cmder) {
	if ctx.Value(markKey{}) == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen += len(cmds)
	for _, c := range cmds {
		// The limiter of calls to Kisi counts them; that is no state of ours.
		if !slices.Contains(append(reads, "multi", "exec"), c.Name()) && !strings.Contains(c.String(), "kb:{l:") {
			g.wrote = append(g.wrote, c.String())
		}
	}
}

func (g *readingGlass) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (g *readingGlass) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		g.see(ctx, cmd)
		return next(ctx, cmd)
	}
}

func (g *readingGlass) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		g.see(ctx, cmds...)
		return next(ctx, cmds)
	}
}

// preview shows what an integration would do, and makes sure that this writes
// nothing anywhere.
func (w *world) preview(i access.Integration) bridge.Preview {
	w.t.Helper()
	glass := &readingGlass{}
	w.redis.AddHook(glass)
	began := time.Now()
	p, err := w.app.Engine().Preview(context.WithValue(w.t.Context(), markKey{}, true), i)
	w.must(err)
	if glass.seen == 0 || len(glass.wrote) > 0 {
		w.t.Errorf("the preview wrote to Redis: %q, of %d commands", glass.wrote, glass.seen)
	}
	for _, c := range w.kisi.Log() {
		if !c.At.Before(began) && c.Method != "GET" {
			w.t.Errorf("the preview made the call %s %s", c.Method, c.Path)
		}
	}
	return p
}

func idsOfWants(wants []access.Want) (ids []string) {
	for _, want := range wants {
		ids = append(ids, want.Person.ID)
	}
	return ids
}

func idsOfSkips(skips []access.Skip) (ids []string) {
	for _, s := range skips {
		ids = append(ids, s.Person)
	}
	return ids
}

func TestRule20APreviewOfANewIntegrationShowsWhatItWouldDoAndDoesNothing(t *testing.T) {
	// Rule 20.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.within("inner")
		w.person("ada", "bob", "cy", "dee")
		w.graph.AddUser(graphsimGuest("guest"))
		w.join("hq", "ada", "bob", "dee", "guest", "inner")
		w.join("inner", "cy")
		for _, name := range []string{"bob", "stranger"} {
			user := w.kisi.AddUser(name+"@contoso.example", name)
			w.kisi.Protect(w.kisi.AddAssignment(kisisim.Assignment{AppliesToID: w.rules["hq"].kisi, AssigneeID: user}))
		}
		w.after(20 * time.Second)
		i := w.draft("hq", transitive, func(i *access.Integration) { i.Exclude = []string{"dee@contoso.example"} })
		for _, existing := range []string{access.Adopt, access.Preserve} {
			i.ExistingAccess = existing
			p := w.preview(i)
			got := [][]string{idsOfWants(p.Add), idsOfWants(p.Adopt), idsOfWants(p.Preserve), idsOfSkips(p.Skip)}
			want := [][]string{{"ada", "cy"}, {"bob"}, nil, {"dee", "guest"}}
			if existing == access.Preserve {
				want[1], want[2] = want[2], want[1]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: add, adopt, preserve, skip (-want +got):\n%s", existing, diff)
			}
			if p.Mails != 2 || len(p.Remove) != 0 || p.Held != "" || p.Calls != 5 || p.ETA != time.Second {
				t.Errorf("%s: %d mails, remove %v, held %q, %d calls, ETA %v; want 2, nobody, no, 5 and 1s", existing, p.Mails, p.Remove, p.Held, p.Calls, p.ETA)
			}
			if !slices.ContainsFunc(p.Warnings, func(s string) bool { return strings.HasPrefix(s, "1 people have access") }) {
				t.Errorf("%s: warnings are %q, want one of the stranger", existing, p.Warnings)
			}
		}
		i.Quiet, i.FirstBatch = true, 1
		if p := w.preview(i); p.Mails != 0 || len(p.Warnings) != 2 {
			t.Errorf("quiet and in batches: %d mails, warnings %q; want none, and one more", p.Mails, p.Warnings)
		}
		if all, err := w.app.Store().Integrations(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("stored are %v, %v; want nothing", all, err)
		}
	})
}

func TestRule20APreviewOfAChangedIntegrationShowsWhomItWouldRemove(t *testing.T) {
	// Rule 20.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.people(30)
		for _, p := range everybody[2:] {
			w.change(p, func(u *graphsim.User) { u.UserType = "Guest" })
		}
		w.person("late")
		w.join("hq", everybody...)
		w.integrate("hq")
		w.after(time.Minute)
		w.wantDoors("hq", everybody...)
		w.must(w.app.Engine().Pause(t.Context(), "hq")) // so that what is joined now is not granted
		w.join("hq", "late")
		w.settle()

		none := w.draft("hq")
		if p := w.preview(none); len(p.Remove) != 0 || !slices.Equal(idsOfWants(p.Add), []string{"late"}) || p.Held != "" {
			t.Errorf("unchanged: remove %v, add %v, held %q; want nobody, late, no", p.Remove, idsOfWants(p.Add), p.Held)
		}
		p := w.preview(w.draft("hq", func(i *access.Integration) { i.NoGuests = true }))
		if len(p.Remove) != 28 || p.Remove[0].ID != everybody[2] || p.Held == "" {
			t.Errorf("without guests: %d to remove, held %q; want 28, held", len(p.Remove), p.Held)
		}
		p = w.preview(w.draft("hq", limit(100, 100), func(i *access.Integration) { i.NoGuests = true }))
		if len(p.Remove) != 28 || p.Held != "" || p.Calls != 28+2 {
			t.Errorf("with a wide limit: %d to remove, held %q, %d calls; want 28, not held, 30", len(p.Remove), p.Held, p.Calls)
		}
		w.wantDoors("hq", everybody...)
	})
}

func TestRule20OnePersonIsSyncedNow(t *testing.T) {
	// Rule 20.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob", "cy", "dee")
		w.join("hq", "bob", "cy", "dee")
		w.join("lab", "dee")
		w.integrate("hq")
		w.integrate("lab")
		w.after(45 * time.Second)
		w.graph.SetDelivery(graphsim.Delivery{Drop: true})
		w.join("hq", "ada")
		w.leave("hq", "bob")
		w.disable(true, "cy")
		w.kisi.RemoveAssignment(w.row("lab", "dee@contoso.example"))
		w.settle()
		w.wantDoors("hq", "bob", "cy", "dee")
		for _, p := range []string{"ada", "bob", "cy", "dee"} {
			w.must(w.app.Engine().SyncPerson(t.Context(), graphsim.DefaultTenant, p))
		}
		w.settle()
		w.wantDoors("hq", "ada", "dee")
		w.wantDoors("lab", "dee")
	})
}

func TestRule20EverythingIsReadAnewFromScratch(t *testing.T) {
	// Rule 20.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob", "cy")
		w.join("hq", "ada", "bob")
		w.integrate("hq")
		w.after(45 * time.Second)
		// What is stored is wrong, and delta will never say so.
		w.must(w.redis.HDel(t.Context(), "kb:{m:"+entraGroup("hq").String()+"}:members", "bob").Err())
		w.must(w.redis.HSet(t.Context(), "kb:{m:"+entraGroup("hq").String()+"}:members", "cy", "u").Err())
		w.must(w.app.Engine().Sync(t.Context(), "hq", true))
		w.settle()
		w.wantDoors("hq", "ada", "bob")
		s, _ := w.status("hq")
		if s.Members != 2 {
			t.Errorf("%d members are stored, want ada and bob", s.Members)
		}
		if err := w.app.Engine().Sync(t.Context(), "nothing", true); !fault.Is(err, fault.Missing) {
			t.Errorf("of an integration that is not there: %v, want Missing", err)
		}
	})
}

func TestRule20TheEstimateOfAnImportIsHonest(t *testing.T) {
	// Rule 20.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.join("hq", w.people(100)...)
		w.integrate("hq")
		w.after(5 * time.Second)
		p, err := w.app.Engine().Progress(t.Context(), "hq")
		w.must(err)
		began := time.Now()
		for range 600 {
			if len(w.kisi.Holders(w.rules["hq"].kisi)) == 100 {
				break
			}
			w.after(100 * time.Millisecond)
		}
		took := time.Since(began)
		// One call in each window stays free for a revocation.
		if p.Pending == 0 || took < p.ETA/2 || took > p.ETA*3/2 {
			t.Errorf("%d people, estimated at %v, took %v", p.Pending, p.ETA, took)
		}
		if want := "a revocation waits at most 200ms"; !strings.Contains(p.String(), want) {
			t.Errorf("the estimate is %q, want …%s", p, want)
		}
		w.settle()
		if p, err := w.app.Engine().Progress(t.Context(), "hq"); err != nil || p.Pending != 0 || p.ETA != 0 {
			t.Errorf("afterwards %+v, %v; want nothing left", p, err)
		}
	})
}

func TestRule21AStagedImportWaitsForANodAfterItsFirstBatch(t *testing.T) {
	// Rule 21.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.people(40)
		w.join("hq", everybody...)
		w.integrate("hq", func(i *access.Integration) { i.FirstBatch = 10 })
		w.after(time.Minute)
		first := w.kisi.Holders(w.rules["hq"].kisi)
		if len(first) != 10 {
			t.Errorf("%d people hold access, want the first ten", len(first))
		}
		w.wantPosition("hq", everybody[39], access.Pending, access.BatchWaits)
		w.sweep()
		w.end() // it waits through restarts too
		w.start()
		w.settle()
		if diff := cmp.Diff(first, w.kisi.Holders(w.rules["hq"].kisi)); diff != "" {
			t.Errorf("after a sweep and a restart (-want +got):\n%s", diff)
		}
		w.must(w.app.Engine().Nod(bridge.As(t.Context(), "kim"), "hq"))
		w.after(time.Minute)
		w.wantDoors("hq", everybody...)
		w.wantMails(40)
		w.must(w.app.Engine().Nod(t.Context(), "hq")) // twice does no harm
		w.integrate("lab")
		if err := w.app.Engine().Nod(t.Context(), "lab"); !fault.Is(err, fault.Invalid) {
			t.Errorf("a nod that nothing waits for: %v, want Invalid", err)
		}
	})
}

func TestBadInputIsToldFieldByFieldAndChangesNothing(t *testing.T) {
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.after(20 * time.Second)
		wrong := access.Integration{
			Group: access.Group{Connection: "a b", ID: "a/b"}, Target: access.Target{Connection: "{}", Type: "door", ID: -1},
			EmailProperty: "phone", Membership: "some", ExistingAccess: "burn", DisabledAccounts: "pity",
			RemovalLimit: &access.Limit{Count: -1, Percent: 101}, RemovalMode: "later", RemovalHours: -2, FirstBatch: -3, Exclude: []string{" "},
		}
		fields := []string{
			"name", "entra_connection_id", "entra_group_id", "kisi_connection_id", "target.type", "target.id", "email_property",
			"existing_access", "disabled_accounts", "membership", "removal_limit.count", "removal_limit.percent", "removal_mode",
			"removal_hours", "first_batch", "exclude",
		}
		w.wantRefused(wrong, fields...)
		elsewhere := w.draft("hq", func(i *access.Integration) { i.Group.Connection = "elsewhere" })
		w.wantRefused(elsewhere, "entra_connection_id")
		w.wantRefused(w.draft("hq", func(i *access.Integration) { i.Target.Connection = "elsewhere" }), "kisi_connection_id")
		nowhere := w.draft("hq", func(i *access.Integration) { i.Group.ID, i.Target.ID = "nowhere", 4711 })
		w.wantRefused(nowhere, "entra_group_id: there is no group nowhere", "target.id: there is no group 4711")
		nowhere.Target.Type = access.TargetTeam
		w.wantRefused(nowhere, "entra_group_id", "target.id: there is no team 4711")

		// What is there is not harmed by a change that is wrong.
		w.integrate("hq")
		if keys, err := w.redis.Keys(t.Context(), stored).Result(); err != nil || len(keys) < 4 {
			t.Errorf("of an integration there is %q, %v; want it, its group, its members and the trail", keys, err)
		}
		w.after(time.Minute)
		before, err := w.app.Store().Integration(t.Context(), "hq")
		w.must(err)
		for field, change := range map[string]func(*access.Integration){
			"entra_group_id": func(i *access.Integration) { i.Group.ID = "lab" },
			"target":         to(w.rules["lab"].kisi),
			"first_batch":    func(i *access.Integration) { i.FirstBatch = -1 },
		} {
			if _, err := w.app.Engine().Update(t.Context(), "hq", change); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), field+":") {
				t.Errorf("a wrong %s: %v, want Invalid with the field", field, err)
			}
		}
		if _, err := w.app.Engine().Add(t.Context(), w.draft("hq")); err == nil {
			t.Error("a second integration of one id was taken")
		}
		after, err := w.app.Store().Integration(t.Context(), "hq")
		if diff := cmp.Diff(before, after); diff != "" || err != nil {
			t.Errorf("the integration changed, %v (-want +got):\n%s", err, diff)
		}
	})
}

// stored matches the keys of integrations, groups, memberships and the trail.
const stored = "kb:{[imge]*"

// wantRefused says that an integration is not taken, for reasons that begin
// with a field each, and that nothing is stored of it.
func (w *world) wantRefused(i access.Integration, reasons ...string) {
	w.t.Helper()
	_, err := w.app.Engine().Add(w.t.Context(), i)
	if !fault.Is(err, fault.Invalid) {
		w.t.Errorf("adding said %v, want Invalid", err)
		return
	}
	for _, reason := range reasons {
		if !strings.Contains(err.Error(), reason) {
			w.t.Errorf("adding said\n%v\nwant a word of %s", err, reason)
		}
	}
	keys, err := w.redis.Keys(w.t.Context(), stored).Result()
	if err != nil || len(keys) > 0 {
		w.t.Errorf("stored are %q, %v; want nothing", keys, err)
	}
}
