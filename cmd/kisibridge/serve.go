package main

import (
	"runtime/debug"

	"github.com/spf13/cobra"

	"kisibridge/internal/app"
)

func (p *program) serve() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the bridge until it is told to stop",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Most of the memory is short-lived pages of lists: collecting them
			// early halves what a group of 50,000 people takes.
			debug.SetGCPercent(40)
			c, err := p.config()
			if err != nil {
				return err
			}
			a, err := app.New(cmd.Context(), app.Options{
				Config: c, Entra: directory, Version: version, Log: app.NewLog(p.err, c.LogLevel),
			})
			if err != nil {
				return err
			}
			return a.Run(cmd.Context())
		},
	}
}
