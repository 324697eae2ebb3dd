package main

import (
	"context"
	"fmt"
	"slices"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
	"kisibridge/internal/kisi"
	"kisibridge/internal/store"
)

func (p *program) checkKisi(ctx context.Context, c app.Config) []finding {
	if c.KisiAPIKey == "" {
		return []finding{{warn, "kisi: no organization is connected", "set KISI_API_KEY"}}
	}
	transport, err := c.Transport()
	if err != nil {
		return []finding{{fail, err.Error(), ""}}
	}
	client, err := kisi.New(kisi.Options{URL: c.KisiURL, APIKey: string(c.KisiAPIKey), Transport: transport, Version: version})
	if err != nil {
		return []finding{{fail, err.Error(), ""}}
	}
	who, err := client.Whoami(ctx, access.Look)
	if err != nil {
		return []finding{{fail, err.Error(), "make a key as an organization owner or administrator: My Account, API"}}
	}
	found := []finding{{fine, fmt.Sprintf("kisi: the key opens organization %q as %s; keep that user for the bridge alone", who.Organization.Name, who.Email), ""}}
	return append(found, p.checkHook(ctx, c, client)...)
}

// checkHook says how soon a change by hand in Kisi is seen.
func (p *program) checkHook(ctx context.Context, c app.Config, client *kisi.Client) []finding {
	slow := fmt.Sprintf("kisi: changes by hand are found by the sweep, within %s", c.SweepInterval)
	if c.HookURL() == "" {
		return []finding{{warn, slow, "set KISIBRIDGE_PUBLIC_URL, then run: kisibridge connections watch " + app.KisiConnection}}
	}
	var kept access.Hook
	err := p.stored(ctx, func(s *store.Store) (err error) {
		kept, err = s.Hook(ctx, app.KisiConnection)
		return err
	})
	if err != nil {
		return nil // said of Redis
	}
	if kept.ID == 0 {
		return []finding{{warn, slow + "; Kisi's event webhook is not set up", "to see them within seconds, run: kisibridge connections watch " + app.KisiConnection}}
	}
	there, err := client.Hooks(ctx, access.Look)
	if err != nil {
		return []finding{{fail, err.Error(), "let the user of the key manage integrations in Kisi"}}
	}
	found := slices.ContainsFunc(there, func(h access.Hook) bool { return h.ID == kept.ID })
	switch url := c.HookURL() + app.KisiConnection; {
	case !found:
		return []finding{{fail, fmt.Sprintf("kisi: event webhook %d is not there any more; changes by hand may be seen a day late", kept.ID), "run: kisibridge connections watch " + app.KisiConnection}}
	case kept.URL != url:
		return []finding{{fail, "kisi: events are sent to " + kept.URL + ", and this bridge is at " + url, "run: kisibridge connections watch " + app.KisiConnection}}
	}
	return []finding{{fine, "kisi: the event webhook tells of changes by hand within seconds", ""}}
}
