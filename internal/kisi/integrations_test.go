package kisi_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/kisisim"
)

func TestImportsAreThoseThatFillTheGroupNow(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	hq, lab := sim.AddGroup("HQ"), sim.AddGroup("Lab")
	sim.AddImport(hq, "was switched off", false)
	sim.AddImport(lab, "fills the lab", true)
	id := sim.AddImport(hq, "Azure: all staff", true)

	got, err := c.Imports(t.Context(), access.Look, hq)
	want := []access.KisiImport{{ID: id, Name: "Azure: all staff", Enabled: true}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Imports: %v (-want +got):\n%s", err, diff)
	}
	if _, err := c.Imports(t.Context(), access.Look, 0); !fault.Is(err, fault.Invalid) {
		t.Errorf("a group without a number: %v, want invalid", err)
	}
}

func TestOtherIntegrationsAreNoImports(t *testing.T) {
	const head = `[{"id":1,"name":"door hook","type":"event_webhook","enabled":true},
		{"id":2,"name":"off","type":"jumpcloud_user_import","enabled":false},
		{"id":3,"name":"JumpCloud","type":"jumpcloud_user_import","enabled":true,"group_id":45}`
	three := map[string]string{"X-Collection-Range": "0-249/3"}
	got, err := scripted(t, answer{status: 200, body: head + "]", header: three}).Imports(t.Context(), access.Look, 45)
	if diff := cmp.Diff([]access.KisiImport{{ID: 3, Name: "JumpCloud", Enabled: true}}, got); diff != "" || err != nil {
		t.Errorf("Imports: %v (-want +got):\n%s", err, diff)
	}
	if _, err := scripted(t, answer{status: 200, body: head + "]", header: three}).Imports(t.Context(), access.Look, 46); !fault.Is(err, fault.Bug) {
		t.Errorf("an import of another group: %v, want a bug, for the filter was ignored", err)
	}
}

func TestAHookTellsOfChangesUntilItIsDropped(t *testing.T) {
	var told []string
	listener := roundTrip(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mac := hmac.New(sha256.New, []byte("a key of ours"))
		mac.Write(body)
		if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); r.Header.Get("X-Signature") != want {
			t.Errorf("signed %s, want %s", r.Header.Get("X-Signature"), want)
		}
		told = append(told, r.URL.String())
		return answer{status: 200}.RoundTrip(r)
	})
	sim, c := organization(t, kisisim.Options{Notify: listener})
	hq, ctx := sim.AddGroup("HQ"), t.Context()
	sim.AddImport(hq, "is no hook", true)

	hook, err := c.AddHook(ctx, access.Look, access.Hook{URL: "https://bridge.example/webhooks/kisi", Key: "a key of ours"})
	want := access.Hook{ID: hook.ID, URL: "https://bridge.example/webhooks/kisi", Key: "a key of ours"}
	if hook != want || hook.ID == 0 || err != nil {
		t.Fatalf("AddHook = %v, %v; want %v", hook, err, want)
	}
	hooks, err := c.Hooks(ctx, access.Look)
	if diff := cmp.Diff([]access.Hook{hook}, hooks); diff != "" || err != nil {
		t.Errorf("Hooks: %v (-want +got):\n%s", err, diff)
	}
	populate(sim, hq, 1)
	for range 2 {
		if err := c.DropHook(ctx, access.Look, hook.ID); err != nil {
			t.Errorf("DropHook: %v, want it dropped, or long gone", err)
		}
	}
	if hooks, err := c.Hooks(ctx, access.Look); hooks != nil || err != nil {
		t.Errorf("Hooks = %v, %v; want none", hooks, err)
	}
	populate(sim, sim.AddGroup("Lab"), 1)
	sim.Close()
	if len(told) != 2 {
		t.Errorf("told %q, want it twice: of a user and of an assignment", told)
	}
}

func TestAHookWithoutAKeyGetsKisis(t *testing.T) {
	_, c := organization(t, kisisim.Options{})
	hook, err := c.AddHook(t.Context(), access.Look, access.Hook{URL: "https://bridge.example/webhooks/kisi"})
	if hook.Key == "" || err != nil {
		t.Errorf("AddHook = %v, %v; want a key of Kisi's", hook, err)
	}
}

func TestHooksAreReadLiberally(t *testing.T) {
	one := map[string]string{"X-Collection-Range": "0-249/1"}
	c := scripted(t, answer{status: 200, header: one, body: `[{"id":7,"type":"event_webhook","url":"https://x.example","enabled":false}]`})
	hooks, err := c.Hooks(t.Context(), access.Look)
	if diff := cmp.Diff([]access.Hook{{ID: 7, URL: "https://x.example"}}, hooks); diff != "" || err != nil {
		t.Errorf("a list that tells the URL: %v (-want +got):\n%s", err, diff)
	}
	c = scripted(t, answer{status: 200, body: `{"id":7}`})
	hook, err := c.AddHook(t.Context(), access.Look, access.Hook{URL: "https://x.example", Key: "k"})
	if want := (access.Hook{ID: 7, URL: "https://x.example", Key: "k"}); hook != want || err != nil {
		t.Errorf("an answer of nothing but an id: %v, %v; want %v", hook, err, want)
	}
}

func TestAHookThatIsGoneBeforeItIsReadIsNotListed(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	hook, err := c.AddHook(t.Context(), access.Look, access.Hook{URL: "https://x.example"})
	if err != nil {
		t.Fatal(err)
	}
	racing := client(t, optionsOf(meanwhile(sim, func() { sim.RemoveIntegration(hook.ID) })))
	if hooks, err := racing.Hooks(t.Context(), access.Look); hooks != nil || err != nil {
		t.Errorf("Hooks = %v, %v; want none", hooks, err)
	}
}

func TestWhatIsNoHookIsRefused(t *testing.T) {
	sim, c := organization(t, kisisim.Options{})
	ctx := t.Context()
	add := func(url string) error {
		_, err := c.AddHook(ctx, access.Look, access.Hook{URL: url})
		return err
	}
	for name, err := range map[string]error{
		"a hook to nowhere": add(""), "a hook to a path": add("/webhooks"), "a hook without a number": c.DropHook(ctx, access.Look, 0),
	} {
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	if n := sim.Calls(""); n != 1 {
		t.Errorf("%d calls, want 1: what is missing is not sent", n)
	}
	for _, body := range []string{`{}`, `{"id":3,"type":"rhombus_systems_camera"}`} {
		_, err := scripted(t, answer{status: 200, body: body}).AddHook(ctx, access.Look, access.Hook{URL: "https://x.example"})
		if !fault.Is(err, fault.Unknown) {
			t.Errorf("an answer of %s: %v, want unknown", body, err)
		}
	}
	gone := scripted(t, answer{status: 404, body: `{"code":"000404","error":"This endpoint does not exist."}`})
	if err := gone.DropHook(ctx, access.Look, 7); !fault.Is(err, fault.Bug) || !strings.Contains(err.Error(), "removed the endpoint") {
		t.Errorf("an endpoint that is gone: %v, want it said", err)
	}
}
