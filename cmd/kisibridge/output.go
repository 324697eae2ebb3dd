package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/goccy/go-yaml"
)

// form is how the answer is printed.
func (p *program) form() (string, error) {
	switch p.output {
	case "table", "json", "yaml":
		return p.output, nil
	}
	return "", misused("--output: is %q; use table, json or yaml", p.output)
}

// show prints v for programs, or what table writes for people.
func (p *program) show(v any, table func(w io.Writer) error) error {
	form, err := p.form()
	if err != nil || form == "table" {
		if err == nil {
			err = table(p.out)
		}
		return err
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err == nil && form == "yaml" {
		text, err = yaml.JSONToYAML(text) // the same fields in the same order
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.out, strings.TrimRight(string(text), "\n"))
	return err
}

// A sheet is a table for people.
type sheet struct {
	heads []any
	rows  [][]any
}

func heads(names ...any) *sheet { return &sheet{heads: names} }

func (s *sheet) add(cells ...any) { s.rows = append(s.rows, cells) }

func (s *sheet) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	if s.heads != nil {
		row(w, s.heads...)
	}
	for _, r := range s.rows {
		row(w, r...)
	}
	return w.Flush()
}

// when is a time that may be missing.
func when(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return moment(*t)
}

// text is a word that may be missing.
func text(s *string) string {
	if s == nil {
		return "-"
	}
	return dash(*s)
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
