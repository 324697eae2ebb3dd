package main

import (
	"context"
	"errors"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"kisibridge/internal/app"
	"kisibridge/internal/bridge"
)

// connect makes the client of the tenant that the settings name.
type connect func(c app.Config, metrics prometheus.Registerer) (bridge.Entra, error)

// open opens what serve works on. What it wakes, serve carries out.
func (p *program) open(ctx context.Context, entra connect) (*app.App, error) {
	c, err := p.config()
	if err != nil {
		return nil, err
	}
	return app.New(ctx, app.Options{
		Config: c, Entra: entra, NoListen: true, Version: version, Log: app.NewLog(p.err, "error"),
	})
}

// with opens what serve works on, for as long as do takes; the audit trail
// names whoever sits at the terminal.
func (p *program) with(ctx context.Context, do func(ctx context.Context, a *app.App) error) error {
	a, err := p.open(ctx, directory)
	if err != nil {
		return err
	}
	return errors.Join(do(bridge.As(ctx, "cli:"+osUser()), a), a.Close())
}

// osUser is who runs the command. A container often has no name for them.
func osUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}

// act is the RunE of a command that works on what serve works on.
func (p *program) act(do func(ctx context.Context, a *app.App, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return p.with(cmd.Context(), func(ctx context.Context, a *app.App) error { return do(ctx, a, args) })
	}
}

// ago says how long something is past; "never" of what was not.
func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return time.Since(t).Round(time.Second).String() + " ago"
}

// moment is a time in the words of the audit trail; "-" for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
