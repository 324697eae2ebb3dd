package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"kisibridge/internal/app"
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
			for _, check := range []func(context.Context, app.Config) []finding{p.checkRedis, checkEntra, p.checkTold, p.checkKisi, checkPublicURL} {
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
	err := p.stored(ctx, func(s *store.Store) (err error) {
		h, err = s.Health(ctx)
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

// stored opens the memory alone: what is wrong with the clouds is told elsewhere.
func (p *program) stored(ctx context.Context, do func(s *store.Store) error) error {
	a, err := p.open(ctx, nil)
	if err != nil {
		return err
	}
	return errors.Join(do(a.Store()), a.Close())
}

func skew(whose string, d time.Duration) finding {
	if d.Abs() > maxSkew {
		return finding{fail, fmt.Sprintf("the clock of this machine and that of %s differ by %s", whose, d.Round(time.Second)), "let both keep time by NTP"}
	}
	return finding{fine, "the clocks of this machine and of " + whose + " agree", ""}
}
