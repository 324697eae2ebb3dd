package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"kisibridge/internal/app"
)

func (p *local) connections() *cobra.Command {
	return group("connections", "Change what the bridge is connected to",
		&cobra.Command{
			Use:   "watch",
			Short: "Let Kisi tell of changes by hand, so that they are seen within seconds",
			Args:  cobra.NoArgs,
			RunE: p.act(func(ctx context.Context, a *app.App, _ []string) error {
				hook, err := a.Engine().WatchKisi(ctx, app.KisiConnection)
				if err == nil {
					_, err = fmt.Fprintf(p.out, "Kisi tells %s of changes (event webhook %d)\n", hook.URL, hook.ID)
				}
				return err
			}),
		},
		&cobra.Command{
			Use:   "unwatch",
			Short: "Take Kisi's event webhook back; the sweep finds changes by hand",
			Args:  cobra.NoArgs,
			RunE: p.act(func(ctx context.Context, a *app.App, _ []string) error {
				return a.Engine().UnwatchKisi(ctx, app.KisiConnection)
			}),
		},
	)
}
