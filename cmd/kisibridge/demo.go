package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/spf13/cobra"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisisim"
)

// A demo is a whole company on one machine: the directory, the doors, and the
// bridge between them.
type demo struct {
	out      io.Writer
	terminal bool
	people   int
	rate     int // requests a second of this Kisi
	once     bool

	graph    *graphsim.Server
	kisi     *kisisim.Server
	app      *app.App
	graphURL string
	kisiURL  string
	appURL   string
	pairs    []pairing
	stop     []func() // last first
}

// A pairing is an integration of the demo.
type pairing struct {
	name  string // of the Entra group and of the Kisi group
	entra string
	kisi  int
}

func (p *program) demo() *cobra.Command {
	d := &demo{out: p.out}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the bridge at work on this machine, with stand-ins for Entra and Kisi",
		Args:  cobra.NoArgs,
	}
	c.Flags().BoolVar(&d.once, "once", false, "end after the tour; status 1 when directory and doors differ")
	c.Flags().IntVar(&d.people, "people", 5000, "size of the organization")
	c.Flags().IntVar(&d.rate, "demo-kisi-rate", 200, "requests a second that this Kisi allows; the real one allows 5")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		d.terminal = isTerminal(p.out)
		return d.run(cmd.Context())
	}
	return c
}

func (d *demo) run(ctx context.Context) (err error) {
	if d.people < 100 || d.rate < 1 {
		return fmt.Errorf("--people %d --demo-kisi-rate %d: use at least 100 people and a rate of at least 1", d.people, d.rate)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer d.close()
	defer cancel()
	if err := d.start(ctx); err != nil {
		return fmt.Errorf("start the demo: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- d.app.Run(ctx) }()
	d.stop = append(d.stop, func() {
		cancel()
		<-done //nolint:errcheck // a demo that is told to end has nothing to say
	})

	tour := make(chan error, 1)
	go func() { tour <- d.tour(ctx) }()
	select {
	case err := <-done:
		done <- err
		cancel()
		<-tour //nolint:errcheck // it ends with the bridge
		return fmt.Errorf("the bridge ended: %w", err)
	case err := <-tour:
		if err != nil || d.once {
			return err
		}
	}
	d.invite()
	<-ctx.Done()
	return nil
}

func (d *demo) close() {
	for _, v := range slices.Backward(d.stop) {
		v()
	}
}

// start puts the company together: an embedded Redis, the two clouds behind
// TLS with a certificate authority of their own, and the bridge.
func (d *demo) start(ctx context.Context) error {
	m := miniredis.NewMiniRedis()
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		return fmt.Errorf("embedded Redis: %w", err)
	}
	d.stop = append(d.stop, m.Close)
	dir, err := os.MkdirTemp("", "kisibridge-demo-")
	if err != nil {
		return err
	}
	d.stop = append(d.stop, func() { _ = os.RemoveAll(dir) }) // a temporary folder
	ca, err := newAuthority(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return err
	}
	d.graph = graphsim.New(graphsim.Options{Notify: ca.transport()})
	d.stop = append(d.stop, d.graph.Close)
	d.kisi = kisisim.New(kisisim.Options{Rate: d.rate, TolerateRate: true})
	d.populate()

	if d.graphURL, err = d.listen(ca, d.graph); err != nil {
		return err
	}
	if d.kisiURL, err = d.listen(ca, d.kisi); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.appURL = "https://" + l.Addr().String()
	return d.startApp(ctx, tls.NewListener(l, ca.config()), m.Addr(), ca.file)
}

// The demo's own secrets open nothing else: everything of it is in memory.
const (
	demoToken  = "demo-admin-token-of-nobody"
	demoSecret = "a2lzaWJyaWRnZSBkZW1vIGtleSBvZiAzMiBieXRlcyE=" //nolint:gosec // see above
)

func (d *demo) startApp(ctx context.Context, l net.Listener, redis, caFile string) error {
	c, err := app.Load([]string{
		"KISIBRIDGE_PUBLIC_URL=" + d.appURL,
		"KISIBRIDGE_REDIS_URL=redis://" + redis,
		"KISIBRIDGE_GRAPH_URL=" + d.graphURL,
		"KISIBRIDGE_LOGIN_URL=" + d.graphURL,
		"KISIBRIDGE_KISI_URL=" + d.kisiURL,
		"KISIBRIDGE_CA_FILE=" + caFile,
		fmt.Sprintf("KISIBRIDGE_KISI_RATE=%d", d.rate),
		"AZURE_TENANT_ID=" + graphsim.DefaultTenant,
		"AZURE_CLIENT_ID=" + graphsim.DefaultClientID,
		"AZURE_CLIENT_SECRET=" + graphsim.DefaultClientSecret,
		"KISI_API_KEY=" + kisisim.DefaultAPIKey,
		"KISIBRIDGE_ADMIN_TOKEN=" + demoToken,
		"KISIBRIDGE_SECRET_KEY=" + demoSecret,
	})
	if err != nil {
		return err
	}
	d.app, err = app.New(ctx, app.Options{
		Config: c, Entra: directory, ConsentURL: consentURL, Version: version, Listener: l, Log: slog.New(slog.DiscardHandler),
	})
	return err
}

// populate fills the directory, and makes a Kisi that knows a part of the
// company already: some people, and some access that is taken over.
func (d *demo) populate() {
	d.graph.Seed(d.people, 12)
	groups := d.graph.Groups()
	for _, g := range groups[:2] {
		d.pairs = append(d.pairs, pairing{name: g.DisplayName, entra: g.ID, kisi: d.kisi.AddGroup(g.DisplayName)})
	}
	for k, id := range d.graph.Members(d.pairs[0].entra) {
		if k%10 != 0 {
			continue
		}
		u, _ := d.graph.User(id)
		user := d.kisi.AddUser(u.UserPrincipalName, u.DisplayName)
		if k%20 == 0 {
			d.kisi.AddAssignment(kisisim.Assignment{AppliesToID: d.pairs[0].kisi, AssigneeID: user})
		}
	}
}

// listen serves h over TLS on a free port.
func (d *demo) listen(ca *authority, h http.Handler) (url string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(tls.NewListener(l, ca.config())) }()
	d.stop = append(d.stop, func() {
		_ = srv.Close() // nobody waits for an answer any more
		<-served        //nolint:errcheck // says that it was closed
	})
	return "https://" + l.Addr().String(), nil
}

// integrate makes the two integrations.
func (d *demo) integrate(ctx context.Context) error {
	for _, p := range d.pairs {
		_, err := d.app.Engine().Add(ctx, access.Integration{
			Name:   p.name,
			Group:  access.Group{Connection: graphsim.DefaultTenant, ID: p.entra},
			Target: access.Target{Connection: app.KisiConnection, Type: access.TargetGroup, ID: p.kisi},
		})
		if err != nil {
			return fmt.Errorf("add the integration %s: %w", p.name, err)
		}
	}
	return nil
}

// differ says how directory and doors differ, or "".
func (d *demo) differ() string {
	for _, p := range d.pairs {
		want := map[string]bool{}
		for _, id := range d.graph.Members(p.entra) {
			if u, ok := d.graph.User(id); ok {
				want[u.UserPrincipalName] = true
			}
		}
		holders := d.kisi.Holders(p.kisi)
		for _, email := range holders {
			if !want[email] {
				return fmt.Sprintf("%s: %s opens doors and is not in the group", p.name, email)
			}
		}
		if len(holders) != len(want) {
			return fmt.Sprintf("%s: %d in the group, %d open doors", p.name, len(want), len(holders))
		}
	}
	return ""
}

var errDiffer = errors.New("directory and doors differ")

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
