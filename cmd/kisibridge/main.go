// Command kisibridge makes a group change in Microsoft Entra ID reach the
// doors that Kisi opens, in seconds.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	out     io.Writer
	err     io.Writer
	flags   map[string]*string // setting → flag
}

// settings are the flags of the same name as the environment.
var settings = [...]string{
	"LISTEN", "PUBLIC_URL", "REDIS_URL", "GRAPH_URL", "LOGIN_URL", "KISI_URL", "CA_FILE",
	"SWEEP_INTERVAL", "KISI_RATE", "ROLES", "LOG_LEVEL",
}

// errSilent ends with status 1 when everything has been said.
var errSilent = errors.New("")

// run is main without the process around it.
func run(ctx context.Context, args, environ []string, out, errOut io.Writer) int {
	p := &program{environ: environ, out: out, err: errOut, flags: map[string]*string{}}
	root := &cobra.Command{
		Use:           "kisibridge",
		Short:         "Makes a group change in Entra reach the doors that Kisi opens, in seconds",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	for _, s := range settings {
		name := strings.ReplaceAll(strings.ToLower(s), "_", "-")
		p.flags[s] = root.PersistentFlags().String(name, "", "instead of KISIBRIDGE_"+s)
	}
	root.AddCommand(p.serve(), p.demo(), p.doctor(), p.integrations(), p.connections(), p.events(), p.syncPerson(), p.version())
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if !errors.Is(err, errSilent) {
		fmt.Fprintln(errOut, err)
	}
	return 1
}

// config reads the settings; a flag goes before the environment.
func (p *program) config() (app.Config, error) {
	environ := p.environ
	for name, value := range p.flags {
		if *value != "" {
			environ = append(slices.Clip(environ), "KISIBRIDGE_"+name+"="+*value)
		}
	}
	return app.Load(environ)
}

// directory makes the client of the tenant that the settings name.
func directory(c app.Config, tenant string, metrics prometheus.Registerer) (bridge.Entra, error) {
	return newDirectory(c, tenant, metrics)
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
