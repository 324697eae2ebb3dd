package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
	"kisibridge/internal/kisi"
	"kisibridge/internal/store"
)

// A finding is one line of the doctor's.
type finding struct {
	grade  grade
	what   string
	remedy string
}

type grade string

const (
	fine grade = "ok  "
	warn grade = "warn"
	fail grade = "FAIL"
)

// maxSkew is as far as clocks may differ: tokens and Retry-After dates rest on them.
const maxSkew = 2 * time.Minute

func (p *program) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that serve needs, and say what to do about what is wrong",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.config()
			if err != nil {
				return err
			}
			failed := false
			for _, check := range []func(context.Context, app.Config) []finding{p.checkRedis, checkEntra, checkKisi, checkPublicURL} {
				ctx, cancel := context.WithTimeout(cmd.Context(), 30*time.Second)
				for _, f := range check(ctx, c) {
					failed = failed || f.grade == fail
					if err := p.print(f); err != nil {
						cancel()
						return err
					}
				}
				cancel()
			}
			if failed {
				return errSilent
			}
			return nil
		},
	}
}

func (p *program) print(f finding) error {
	line := string(f.grade) + "  " + f.what
	if f.remedy != "" {
		line += ": " + f.remedy
	}
	_, err := fmt.Fprintln(p.out, line)
	return err
}

func (p *program) checkRedis(ctx context.Context, _ app.Config) []finding {
	var h store.Health
	err := p.with(ctx, func(a *app.App) (err error) {
		h, err = a.Store().Health(ctx)
		return err
	})
	if err != nil {
		return []finding{{fail, err.Error(), "start Redis, or set KISIBRIDGE_REDIS_URL to one that runs"}}
	}
	found := []finding{{fine, "redis answers, version " + h.Version, ""}}
	switch {
	case !h.AppendOnly:
		found = append(found, finding{warn, "redis forgets everything when it restarts", "set appendonly yes and appendfsync always"})
	case h.Fsync != "always" && h.Fsync != "":
		found = append(found, finding{warn, "redis may forget the last second when it crashes (appendfsync " + h.Fsync + ")", "set appendfsync always"})
	default:
		found = append(found, finding{fine, "redis keeps what it was told", ""})
	}
	if h.Eviction != "" && h.Eviction != "noeviction" {
		found = append(found, finding{fail, "redis throws keys away when memory is short (" + h.Eviction + ")", "set maxmemory-policy noeviction"})
	}
	return append(found, skew("redis", h.Skew))
}

func skew(whose string, d time.Duration) finding {
	if d.Abs() > maxSkew {
		return finding{fail, fmt.Sprintf("the clock of this machine and that of %s differ by %s", whose, d.Round(time.Second)), "let both keep time by NTP"}
	}
	return finding{fine, "the clocks of this machine and of " + whose + " agree", ""}
}

func checkEntra(ctx context.Context, c app.Config) []finding {
	if c.TenantID == "" {
		return []finding{{warn, "entra: no tenant is connected", "set AZURE_TENANT_ID, AZURE_CLIENT_ID and a credential"}}
	}
	client, err := newDirectory(c, nil)
	if err != nil {
		return []finding{{fail, err.Error(), ""}}
	}
	got, err := client.Check(ctx)
	if err != nil {
		return []finding{{fail, err.Error(), ""}}
	}
	found := []finding{{fine, "entra: tenant " + c.TenantID + " gives a token", ""}}
	for _, need := range []struct {
		name string
		has  bool
	}{{"GroupMember.Read.All", got.GroupMemberReadAll || got.GroupReadAll}, {"User.Read.All", got.UserReadAll}} {
		if need.has {
			found = append(found, finding{fine, "entra: permission " + need.name, ""})
			continue
		}
		found = append(found, finding{fail, "entra: no permission " + need.name, "add it to the app registration as an application permission and grant admin consent; it can take minutes to show"})
	}
	if got.GroupReadAll {
		found = append(found, finding{fine, "entra: subscribing to groups is allowed", ""})
	} else {
		found = append(found, finding{warn, "entra: subscribing to groups may be refused; then they are swept every minute", "add Group.Read.All and grant admin consent"})
	}
	return append(found, skew("graph", got.Skew))
}

func checkKisi(ctx context.Context, c app.Config) []finding {
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
	return []finding{{fine, fmt.Sprintf("kisi: the key opens organization %q as %s; keep that user for the bridge alone", who.Organization.Name, who.Email), ""}}
}

// checkPublicURL asks our own address for a validation, as Graph will.
func checkPublicURL(ctx context.Context, c app.Config) []finding {
	target := c.NotificationURL()
	if target == "" {
		return []finding{{warn, "no public address: changes are seen by delta every 30 seconds", "set KISIBRIDGE_PUBLIC_URL to where Graph reaches this bridge"}}
	}
	remedy := "let https://…/webhooks/graph reach a running serve from the internet, with a certificate that Microsoft trusts"
	transport, err := c.Transport()
	if err != nil {
		return []finding{{fail, err.Error(), ""}}
	}
	token := "kisibridge doctor: ä+/&="
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target+"?validationToken="+url.QueryEscape(token), http.NoBody)
	if err != nil {
		return []finding{{fail, "public address: " + err.Error(), remedy}}
	}
	r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		return []finding{{fail, "public address: " + err.Error(), remedy}}
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
	if err != nil || answer.StatusCode != http.StatusOK || string(body) != token || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/plain") {
		return []finding{{fail, fmt.Sprintf("public address: %s does not answer a validation (status %d)", target, answer.StatusCode), remedy}}
	}
	return []finding{{fine, "the public address answers a validation", ""}}
}
