package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"kisibridge/api"
)

func (p *program) imports() *cobra.Command {
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Make the bridge match a file of export; what matches is left alone",
		Long: `Make the bridge match a file of export; - is standard input.

A connection is found by its id, or by kind and name. An integration is found by
name, group and target: it is made when it is not there, changed where the file
says otherwise, and left alone where it matches. What the file does not name
stays as it is; nothing is deleted. The same file again changes nothing.

Through the API no connection is made: use connections add-kisi and authorize.
With --with-secrets those of a file of export --with-secrets are written to the
Redis of serve, with the settings of serve, whose KISIBRIDGE_SECRET_KEY must be
the one that sealed them.`,
		Args: cobra.ExactArgs(1),
	}
	dry := c.Flags().Bool("dry-run", false, "say what would be done, and do nothing")
	secrets := c.Flags().Bool("with-secrets", false, "also make connections and set their sealed keys, in Redis")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		file, err := p.configurationOf(args[0])
		if err != nil {
			return err
		}
		return p.over(func(ctx context.Context, r *remote, _ []string) error {
			i := &importer{remote: r, dry: *dry, ids: map[string]string{}, fixed: map[string]bool{}}
			return i.run(ctx, file, *secrets)
		})(cmd, args)
	}
	return c
}

// configurationOf reads a file, and refuses what it does not understand.
func (p *program) configurationOf(name string) (*configuration, error) {
	from := p.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, misused("import: %w", err)
		}
		defer f.Close()
		from = f
	}
	text, err := io.ReadAll(from)
	if err != nil {
		return nil, fmt.Errorf("import %s: %w", name, err)
	}
	var c configuration
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&c); err != nil {
		return nil, misused("import %s: %s", name, yaml.FormatError(err, false, true))
	}
	if c.Format != format {
		return nil, misused("import %s: kisibridge: is %d; this version reads files that begin with kisibridge: %d", name, c.Format, format)
	}
	return &c, c.twice(name)
}

// twice complains of entries that would be one.
func (all *configuration) twice(name string) error {
	seen := map[string]bool{}
	for _, i := range all.Integrations {
		key := identity(i)
		if seen[key] {
			return misused("import %s: the integration %q, from group %s to %s, is there twice", name, i.Name, i.EntraGroupID, targetOf(i.Target))
		}
		seen[key] = true
	}
	return nil
}

// identity is by what an integration is found again.
func identity(i api.IntegrationCreate) string {
	return strings.Join([]string{i.Name, i.EntraConnectionID, i.EntraGroupID, i.KisiConnectionID, targetOf(i.Target)}, "\x00")
}

// A step is what an import does, or would do, about one entry.
type step struct {
	Do     string   `json:"do"` // create, change, leave, or fail
	Kind   string   `json:"kind"`
	Name   string   `json:"name"`
	Fields []string `json:"fields,omitempty"`
	Why    string   `json:"why,omitempty"`
}

// An importer goes through a file, entry by entry, and does not stop at one
// that fails.
type importer struct {
	*remote
	dry   bool
	ids   map[string]string // of a connection in the file → here
	fixed map[string]bool   // connections of the file that the settings of serve make here
	steps []step
	wrong []error
}

// note remembers what was done about an entry.
func (i *importer) note(s step, err error) {
	if err != nil {
		s.Do, s.Why = "fail", err.Error()
		i.wrong = append(i.wrong, fmt.Errorf("%s %s: %w", s.Kind, s.Name, err))
	}
	i.steps = append(i.steps, s)
}

func (i *importer) run(ctx context.Context, file *configuration, secrets bool) error {
	there, err := i.listConnections(ctx, 0)
	if err != nil {
		return err
	}
	integrations, err := i.listIntegrations(ctx, 0)
	if err != nil {
		return err
	}
	i.connect(ctx, file.Connections, there, secrets)
	if secrets {
		if err := i.unseal(ctx, file.Connections); err != nil {
			return err
		}
	}
	i.integrate(ctx, file.Integrations, integrations)
	err = i.show(i.steps, func(w io.Writer) error {
		s := heads("DO", "KIND", "NAME", "WHAT")
		for _, at := range i.steps {
			what := strings.Join(at.Fields, ", ")
			if at.Why != "" {
				what, _, _ = strings.Cut(at.Why, "\n")
			}
			s.add(at.Do, at.Kind, at.Name, dash(what))
		}
		return s.print(w)
	})
	return errors.Join(append(i.wrong, err)...)
}

// connect finds the connections of the file, and names them as it does. With
// secrets, unseal makes what is missing.
func (i *importer) connect(ctx context.Context, file []connectionEntry, there []api.Connection, secrets bool) {
	for _, e := range file {
		c, err := theSame(there, e)
		s := step{Do: "leave", Kind: "connection", Name: e.Name}
		if err != nil {
			if !secrets || !e.portable() {
				i.note(s, err)
			}
			continue
		}
		i.ids[e.ID], i.fixed[e.ID] = c.ID, c.FromSettings
		if c.Name != e.Name && !c.FromSettings && !e.FromSettings {
			s.Do, s.Fields = "change", []string{"name"}
			err = i.rename(ctx, c.ID, e.Name)
		}
		i.note(s, err)
	}
}

// portable tells whether all that a connection needs is in the file.
func (e connectionEntry) portable() bool {
	return !e.FromSettings && (e.Sealed != "" || e.Kind == api.ConnectionKindEntra)
}

func (i *importer) rename(ctx context.Context, id, name string) error {
	if i.dry {
		return nil
	}
	_, err := read[api.Connection](i.api.UpdateConnection(ctx, id, nil, api.ConnectionPatch{Name: &name}))
	return err
}

// theSame finds a connection of the file here.
func theSame(there []api.Connection, e connectionEntry) (api.Connection, error) {
	at := slices.IndexFunc(there, func(c api.Connection) bool { return c.ID == e.ID && c.Kind == e.Kind })
	if at >= 0 {
		return there[at], nil
	}
	if e.Kind == api.ConnectionKindEntra { // its id is that of the tenant, and no other will do
		return api.Connection{}, absent(e)
	}
	c, err := choice(there, e.Kind, e.Name)
	if err != nil {
		err = absent(e)
	}
	return c, err
}

// absent says how a connection comes to be.
func absent(e connectionEntry) error {
	how := "make it with kisibridge connections add-kisi, or import a file of export --with-secrets with --with-secrets"
	switch {
	case e.FromSettings:
		how = "it is made by the settings of serve: AZURE_TENANT_ID, KISI_API_KEY"
	case e.Kind == api.ConnectionKindEntra:
		how = "make it with kisibridge connections authorize"
	}
	return misused("there is no %s connection %s (%s): %s", e.Kind, e.ID, e.Name, how)
}
