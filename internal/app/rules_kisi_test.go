package app_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
	"kisibridge/internal/bridge"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisisim"
	"kisibridge/internal/store"
)

// A postman carries Kisi's events to the bridge, and keeps the last one.
type postman struct {
	next http.RoundTripper

	mu        sync.Mutex // guards the two below
	body      []byte
	signature string
}

func (p *postman) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.body, p.signature = body, r.Header.Get("X-Signature")
	p.mu.Unlock()
	again := r.Clone(r.Context()) // a round tripper leaves the request as it is
	again.Body = io.NopCloser(bytes.NewReader(body))
	return p.next.RoundTrip(again)
}

func (p *postman) last() (body []byte, signature string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.body, p.signature
}

// watchKisi has Kisi tell the bridge of changes by hand.
func (w *world) watchKisi() *postman {
	w.t.Helper()
	p := &postman{next: graphsim.RoundTripper(w)}
	w.kisi.SetOptions(func(o *kisisim.Options) { o.Notify = p })
	w.t.Cleanup(w.kisi.Close)
	hook, err := w.app.Engine().WatchKisi(w.t.Context(), app.KisiConnection)
	w.must(err)
	if want := "https://bridge.example/webhooks/kisi/kisi"; hook.URL != want || hook.ID == 0 {
		w.t.Errorf("the webhook is %+v, want one to %s", hook, want)
	}
	return p
}

// event hands the bridge an event as if Kisi had sent it.
func (w *world) event(body []byte, signature string) int {
	r := httptest.NewRequest(http.MethodPost, "/webhooks/kisi/kisi", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Signature", signature)
	answer := httptest.NewRecorder()
	w.app.Handler().ServeHTTP(answer, r)
	return answer.Code
}

// told counts the lines of the trail of a kind.
func (w *world) told(what string) (n int) {
	w.t.Helper()
	w.must(w.app.Store().EachEvent(w.t.Context(), "", func(e store.Event) bool {
		if e.What == what {
			n++
		}
		return true
	}))
	return n
}

func TestRule12AGrantThatWasTakenAwayByHandIsPutBackWithinSeconds(t *testing.T) {
	// Rule 12.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		team := w.kisi.AddTeam("Guards")
		w.person("ada", "bob")
		w.join("hq", "ada", "bob")
		w.join("lab", "ada")
		w.watchKisi()
		w.integrate("hq")
		w.integrate("lab", func(i *access.Integration) { i.Target.Type, i.Target.ID = access.TargetTeam, team })
		w.after(2 * time.Minute)
		w.wantDoors("hq", "ada", "bob")

		w.kisi.RemoveAssignment(w.row("hq", "ada@contoso.example"))
		if d := w.until(func() bool { return w.opens("hq", "ada") }); d > 5*time.Second {
			t.Errorf("the grant was put back after %v, want seconds", d)
		}
		w.kisi.RemoveMembership(w.kisi.Memberships()[0].ID)
		if d := w.until(func() bool { return len(w.kisi.TeamMembers(team)) == 1 }); d > 5*time.Second {
			t.Errorf("the place in the team was put back after %v, want seconds", d)
		}
		w.after(2 * time.Minute) // what we did ourselves is no news
		w.wantMails(2)           // nobody is told of access that they had
		if n := w.told("vanished"); n != 2 {
			t.Errorf("the trail tells of %d grants that vanished, want 2", n)
		}

		// A moment after it was made, it takes until the next look.
		w.person("cy")
		w.join("hq", "cy")
		w.settle()
		w.kisi.RemoveAssignment(w.row("hq", "cy@contoso.example"))
		w.after(100 * time.Second)
		w.wantDoors("hq", "ada", "bob", "cy")
	})
}

func TestRule12AccessThatWasGivenByHandIsReportedWithinSecondsAndLeftAlone(t *testing.T) {
	// Rule 12.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada")
		w.join("hq", "ada")
		w.watchKisi()
		w.integrate("hq")
		w.after(2 * time.Minute)
		user := w.kisi.AddUser("stranger@fabrikam.example", "Stranger")
		row := w.kisi.AddAssignment(kisisim.Assignment{AppliesToID: w.rules["hq"].kisi, AssigneeID: user})
		w.kisi.Protect(row)
		w.settle()
		s, _ := w.status("hq")
		want := []store.Stranger{{User: user, Row: row, Email: "stranger@fabrikam.example"}}
		if diff := cmp.Diff(want, s.Drift.Strangers); diff != "" {
			t.Errorf("strangers (-want +got):\n%s", diff)
		}
		w.sweep()
		w.wantEmails("hq", "ada@contoso.example", "stranger@fabrikam.example")
		if n := w.told("stranger"); n != 1 {
			t.Errorf("the trail tells of the stranger %d times, want once", n)
		}
	})
}

func TestRule12WhoIsLockedOutInKisiIsShownSoAndLeftSo(t *testing.T) {
	// Rule 12.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.person("ada", "bob")
		w.join("hq", "ada", "bob")
		w.watchKisi()
		w.integrate("hq")
		w.after(2 * time.Minute)
		w.must(w.app.Engine().Sync(t.Context(), "hq", false)) // looks at Kisi
		w.settle()
		users := w.kisi.Users()
		ada := users[slices.IndexFunc(users, func(u kisisim.User) bool { return u.Email == "ada@contoso.example" })].ID
		for _, off := range []bool{true, false} {
			w.kisi.SetUserFlags(ada, true, !off)
			w.settle()
			all, err := w.app.Engine().Explain(t.Context(), "hq", "ada", "bob")
			w.must(err)
			if all[0].Locked != off || all[1].Locked {
				t.Errorf("locked are ada %v, bob %v; want ada %v, bob false", all[0].Locked, all[1].Locked, off)
			}
			w.wantDoors("hq", "ada", "bob")
			if w.opens("hq", "ada") == off {
				t.Errorf("ada opens the doors: %v, want that nobody touched the lock", !off)
			}
		}
	})
}

func TestRule12ForgedAndReplayedEventsAreIgnored(t *testing.T) {
	// Rule 12.
	story(t, func(t *testing.T) {
		w := newWorld(t, kisiOption(func(o *kisisim.Options) { o.RepeatEvents = true }))
		w.person("ada")
		w.join("hq", "ada")
		p := w.watchKisi()
		w.integrate("hq")
		w.after(2 * time.Minute)
		w.kisi.RemoveAssignment(w.row("hq", "ada@contoso.example"))
		synctest.Wait() // Kisi has told of it
		body, signature := p.last()
		w.settle()
		w.after(2 * time.Minute)
		w.wantDoors("hq", "ada")
		if n := w.told("vanished"); n != 1 {
			t.Errorf("a doubled event was acted on %d times, want once", n)
		}
		before := len(w.kisi.Log())
		changed := append(slices.Clone(body), ' ')
		for name, try := range map[string]struct {
			body      []byte
			signature string
			want      int
		}{
			"replayed":                {body, signature, http.StatusOK},
			"forged":                  {body, "sha256=" + strings.Repeat("ab", 32), http.StatusUnauthorized},
			"unsigned":                {body, "", http.StatusUnauthorized},
			"changed under signature": {changed, signature, http.StatusUnauthorized},
		} {
			if code := w.event(try.body, try.signature); code != try.want {
				t.Errorf("an event that is %s was answered %d, want %d", name, code, try.want)
			}
		}
		w.settle()
		if n := len(w.kisi.Log()) - before; n != 0 {
			t.Errorf("%d calls to Kisi because of them, want none", n)
		}
	})
}

func TestRule12OurOwnChangesCauseNoStormOfLooks(t *testing.T) {
	// Rule 12.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		everybody := w.people(60)
		w.join("hq", everybody...)
		w.watchKisi()
		w.after(20 * time.Second)
		before := len(w.kisi.Log())
		w.integrate("hq")
		w.after(3 * time.Minute)
		w.wantDoors("hq", everybody...)
		if taken, failed := w.kisi.Deliveries(); taken < 120 || failed > 0 {
			t.Errorf("%d events taken, %d failed; want two for each person", taken, failed)
		}
		// Two for each person, some to list, and a look or two when all is over.
		if n := len(w.kisi.Log()) - before; n > 2*60+12 {
			t.Errorf("%d calls to Kisi for 60 people, want two each and a dozen", n)
		}
		before = len(w.kisi.Log())
		w.leave("hq", everybody[:10]...)
		w.after(2 * time.Minute)
		if n := len(w.kisi.Log()) - before; n > 10+3 {
			t.Errorf("%d calls to Kisi for 10 revocations, want one each and a look", n)
		}
	})
}

func TestRule16ATargetThatAnImportOfKisiFillsIsRefusedUnlessSomebodyInsists(t *testing.T) {
	// Rule 16.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.kisi.AddImport(w.rules["hq"].kisi, "Nightly Azure sync", true)
		w.kisi.AddImport(w.rules["lab"].kisi, "Old sync", false)
		i := access.Integration{
			ID: "hq", Name: "HQ", Group: entraGroup("hq"),
			Target: access.Target{Connection: app.KisiConnection, Type: access.TargetGroup, ID: w.rules["hq"].kisi},
		}
		_, err := w.app.Engine().Add(t.Context(), i)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), `target.id: Kisi's own import "Nightly Azure sync"`) {
			t.Errorf("adding said %v, want the field and the import's name", err)
		}
		if all, err := w.app.Store().Integrations(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("stored are %v, %v; want nothing", all, err)
		}
		p, err := w.app.Engine().Preview(t.Context(), i)
		w.must(err)
		if !slices.ContainsFunc(p.Warnings, func(s string) bool { return strings.Contains(s, "Nightly Azure sync") }) {
			t.Errorf("the preview warns of %q, want the import's name", p.Warnings)
		}
		w.integrate("lab") // that one is switched off
		w.integrate("hq", func(i *access.Integration) { i.Insist = true })
		w.person("ada")
		w.join("hq", "ada")
		w.settle()
		w.wantDoors("hq", "ada")
	})
}

func TestRule12WhoTakesTheWebhookBackIsNotToldAnyMore(t *testing.T) {
	// Rule 12.
	story(t, func(t *testing.T) {
		w := newWorld(t)
		w.watchKisi()
		w.watchKisi() // a second one takes the first one's place
		ctx := bridge.As(t.Context(), "kim")
		w.must(w.app.Engine().UnwatchKisi(ctx, app.KisiConnection))
		w.kisi.AddUser("eve@fabrikam.example", "Eve")
		w.settle()
		if taken, failed := w.kisi.Deliveries(); taken+failed != 0 {
			t.Errorf("%d events were taken and %d failed, want none sent", taken, failed)
		}
	})
}
