package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
	"kisibridge/internal/bridge"
)

// shownPeople are listed of each kind; --json lists all.
const shownPeople = 100

func (p *local) previewIntegration() *cobra.Command {
	c := &cobra.Command{
		Use:   "preview",
		Short: "Show what an integration, or a change of one, would do; write nothing",
		Example: `  kisibridge local integrations preview --name "HQ doors" --entra-group 2e58… --kisi-group 45
  kisibridge local integrations preview --id 7k2m… --membership transitive`,
		Args: cobra.NoArgs,
	}
	id := c.Flags().String("id", "", "preview a change of this integration")
	all := c.Flags().Bool("json", false, "print everything as JSON")
	between, choice := ends(c, "id"), choose(c)
	c.MarkFlagsMutuallyExclusive("id", "entra-group")
	c.RunE = p.act(func(ctx context.Context, a *app.App, _ []string) error {
		i, err := p.blank()
		if *id != "" {
			i, err = a.Store().Integration(ctx, *id)
		} else {
			i.Name = "preview" // a name can be found later
			between(&i)
		}
		if err != nil {
			return err
		}
		choice.apply(&i)
		seen, err := a.Engine().Preview(ctx, i)
		if err != nil {
			return err
		}
		return p.outline(outlineOf(seen), *all)
	})
	return c
}

// An outline is a preview as it is printed.
type outline struct {
	Add      []somebody `json:"add"`
	Adopt    []somebody `json:"adopt"`
	Preserve []somebody `json:"preserve"`
	Remove   []somebody `json:"remove"`
	Skip     []somebody `json:"skip"`
	Held     string     `json:"held,omitempty"`
	Mails    int        `json:"mails"`
	Calls    int        `json:"calls"`
	Seconds  float64    `json:"eta_seconds"`
	Warnings []string   `json:"warnings"`
}

// Somebody is a person of a preview.
type somebody struct {
	Person string `json:"person"`
	Name   string `json:"name,omitempty"`
	Email  string `json:"email,omitempty"`
	Why    string `json:"why,omitempty"`
}

func outlineOf(v bridge.Preview) outline {
	o := outline{
		Add: wanted(v.Add), Adopt: wanted(v.Adopt), Preserve: wanted(v.Preserve), Remove: []somebody{}, Skip: []somebody{},
		Held: v.Held, Mails: v.Mails, Calls: v.Calls, Seconds: v.ETA.Seconds(), Warnings: append([]string{}, v.Warnings...),
	}
	for _, who := range v.Remove {
		o.Remove = append(o.Remove, somebody{Person: who.ID, Name: who.Name, Email: who.UPN})
	}
	for _, s := range v.Skip {
		o.Skip = append(o.Skip, somebody{Person: s.Person, Why: s.Why})
	}
	return o
}

func wanted(of []access.Want) []somebody {
	list := make([]somebody, len(of))
	for k, w := range of {
		list[k] = somebody{Person: w.Person.ID, Name: w.Person.Name, Email: w.Email}
	}
	return list
}

func (p *local) outline(o outline, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(p.out)
		e.SetIndent("", "  ")
		return e.Encode(o)
	}
	for _, part := range []struct {
		what   string
		people []somebody
	}{
		{"Would be granted", o.Add},
		{"Have access already, which would be taken over", o.Adopt},
		{"Have access already, which would be left alone", o.Preserve},
		{"Would lose access", o.Remove},
		{"Would be skipped", o.Skip},
	} {
		write(p.out, part.what, part.people)
	}
	if o.Held != "" {
		fmt.Fprintf(p.out, "The removals would wait for a person: %s\n", o.Held)
	}
	for _, w := range o.Warnings {
		fmt.Fprintf(p.out, "Warning: %s\n", w)
	}
	_, err := fmt.Fprintf(p.out, "Mails: %d. Calls to Kisi: %d at most, which take %s at the rate that is set. Nothing was written.\n",
		o.Mails, o.Calls, time.Duration(o.Seconds*float64(time.Second)).Round(time.Second))
	return err
}

func write(w io.Writer, what string, people []somebody) {
	fmt.Fprintf(w, "%s: %d\n", what, len(people))
	for k, s := range people {
		if k == shownPeople {
			fmt.Fprintf(w, "  … and %d more (--json lists all)\n", len(people)-k)
			return
		}
		fmt.Fprintf(w, "  %s\n", s)
	}
}

// String is a person in one line.
func (s somebody) String() string {
	text := s.Name
	if s.Email != "" {
		text += " <" + s.Email + ">"
	}
	if text == "" {
		text = s.Person
	}
	if s.Why != "" {
		text += ": " + s.Why
	}
	return text
}
