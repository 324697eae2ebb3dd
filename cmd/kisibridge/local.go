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

// Local are the commands that work on the Redis of serve, for when there is no
// API to speak to.
type local struct{ *program }

func (p *program) local() *cobra.Command {
	l := &local{p}
	c := group("local", "Work on the Redis of serve, past the API",
		l.integrations(), l.connections(), l.events(), l.syncPerson())
	c.Long = `Work on the Redis of serve, past the API: for a first start without a token, or
when the API does not answer. It takes the settings of serve, and the user of
this machine stands in the audit trail.`
	c.Hidden = true
	return c
}

// connect makes the client of a tenant.
type connect func(c app.Config, tenant string, metrics prometheus.Registerer) (bridge.Entra, error)

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
