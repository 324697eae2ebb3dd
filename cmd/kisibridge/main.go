// Command kisibridge makes a group change in Microsoft Entra ID reach the
// doors that Kisi opens, in seconds.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"kisibridge/internal/app"
	"kisibridge/internal/bridge"
	"kisibridge/internal/entra"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// A program is what every subcommand shares.
type program struct {
	environ []string
	in      io.Reader
	out     io.Writer
	err     io.Writer
	flags   map[string]*string // setting → flag
	to      http.RoundTripper  // to the API; nil: the network

	output string // table, json or yaml
	server string // instead of KISIBRIDGE_URL
	begun  bool   // the command line was understood
}

// settings are the flags of the same name as the environment.
var settings = [...]string{
	"LISTEN", "PUBLIC_URL", "REDIS_URL", "GRAPH_URL", "LOGIN_URL", "KISI_URL", "CA_FILE",
	"SWEEP_INTERVAL", "KISI_RATE", "ROLES", "LOG_LEVEL",
}

// run is main without the process around it.
func run(ctx context.Context, args, environ []string, out, errOut io.Writer) int {
	p := &program{environ: environ, in: os.Stdin, out: out, err: errOut}
	return p.run(ctx, args)
}

const manual = `kisibridge makes a group change in Microsoft Entra ID reach the doors that Kisi
opens, in seconds.

serve runs the bridge, demo shows it, doctor looks whether it can run. All other
commands speak to a bridge that runs, at KISIBRIDGE_URL (http://localhost:8080),
with the API key or admin token of KISIBRIDGE_TOKEN.

For a first start, or when the API does not answer, kisibridge local works on
the Redis of a bridge instead, with the settings of serve: see kisibridge local
--help. So do keys rotate, and export and import where they are told
--with-secrets.

Exit status:
  0  all went well
  1  something else went wrong: the message says what
  2  the command line, or what it asks for, is wrong
  3  there is no such thing
  4  denied: no token, an unknown one, or one whose role does not suffice
  5  a conflict, or what was to be changed has changed meanwhile
  6  the bridge, or what it needs, does not answer now: try again`

func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	root.SetOut(p.out)
	root.SetErr(p.err)
	return p.end(root.ExecuteContext(ctx))
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "kisibridge",
		Short:         "Makes a group change in Entra reach the doors that Kisi opens, in seconds",
		Long:          manual,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	p.flags = map[string]*string{}
	for _, s := range settings {
		name := strings.ReplaceAll(strings.ToLower(s), "_", "-")
		p.flags[s] = root.PersistentFlags().String(name, "", "instead of KISIBRIDGE_"+s)
	}
	root.AddCommand(p.serve(), p.demo(), p.doctor(), p.version(), p.local())
	root.AddCommand(p.remote()...)
	p.watchBegin(root)
	return root
}

// watchBegin notes, before any command runs, that its line was understood.
func (p *program) watchBegin(c *cobra.Command) {
	if do := c.RunE; do != nil {
		c.RunE = func(cmd *cobra.Command, args []string) error {
			p.begun = true
			return do(cmd, args)
		}
	}
	for _, sub := range c.Commands() {
		p.watchBegin(sub)
	}
}

// config reads the settings; a flag goes before the environment.
func (p *program) config() (app.Config, error) {
	environ := slices.DeleteFunc(slices.Clone(p.environ), ofClient)
	for name, value := range p.flags {
		if *value != "" {
			environ = append(environ, "KISIBRIDGE_"+name+"="+*value)
		}
	}
	return app.Load(environ)
}

// ofClient tells of a setting that is for the commands, and nothing that the
// bridge itself should wonder about.
func ofClient(line string) bool {
	name, _, _ := strings.Cut(line, "=")
	return name == urlSetting || name == tokenSetting
}

// directory makes the client of the tenant that the settings name.
func directory(c app.Config, tenant string, metrics prometheus.Registerer) (bridge.Entra, error) {
	return newDirectory(c, tenant, metrics)
}

// consentURL is where an admin of a tenant consents to the app registration.
func consentURL(c app.Config, redirect, state string) (string, error) {
	return entra.Options{GraphURL: c.GraphURL, LoginURL: c.LoginURL, ClientID: c.ClientID}.ConsentURL(redirect, state)
}

func newDirectory(c app.Config, tenant string, metrics prometheus.Registerer) (*entra.Client, error) {
	transport, err := c.Transport()
	if err != nil {
		return nil, err
	}
	return entra.New(entra.Options{
		Tenant: tenant, GraphURL: c.GraphURL, LoginURL: c.LoginURL,
		ClientID: c.ClientID, ClientSecret: string(c.ClientSecret),
		CertificatePath: c.CertificatePath, FederatedTokenFile: c.FederatedTokenFile,
		Transport: transport, Metrics: metrics,
	})
}

func (p *program) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.out, "kisibridge", version)
			return err
		},
	}
}
