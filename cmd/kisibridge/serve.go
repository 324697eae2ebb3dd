package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/redis/go-redis/v9"
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
			log := app.NewLog(p.err, c.LogLevel)
			redis.SetLogger(redisLog{log}) // else its words stand between our lines, and are no JSON
			a, err := app.New(cmd.Context(), app.Options{Config: c, Entra: directory, ConsentURL: consentURL, Version: version, Log: log})
			if err != nil {
				return err
			}
			return a.Run(cmd.Context())
		},
	}
}

// redisLog takes the client's own words, which repeat what our errors say.
type redisLog struct{ log *slog.Logger }

func (r redisLog) Printf(ctx context.Context, format string, v ...any) {
	r.log.DebugContext(ctx, "redis", "says", fmt.Sprintf(format, v...))
}
