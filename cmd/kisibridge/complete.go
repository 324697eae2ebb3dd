package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"kisibridge/api"
)

// completing is how long a shell waits for the API.
const completing = 3 * time.Second

type completer = func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective)

// oneOf completes to one of a few words.
func oneOf(words ...cobra.Completion) completer {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// ids completes the first argument to what list finds; a bridge that does not
// answer offers nothing.
func (p *program) ids(list func(ctx context.Context, r *remote) (map[string]string, error)) completer {
	return func(cmd *cobra.Command, args []string, _ string) (found []cobra.Completion, _ cobra.ShellCompDirective) {
		r, err := p.dial()
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completing)
		defer cancel()
		names, err := list(ctx, r)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		for id, name := range names {
			found = append(found, cobra.CompletionWithDesc(id, name))
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

func (p *program) integrationIDs() completer {
	return p.ids(func(ctx context.Context, r *remote) (map[string]string, error) {
		list, err := r.listIntegrations(ctx, 0)
		names := map[string]string{}
		for _, i := range list {
			names[i.ID] = i.Name
		}
		return names, err
	})
}

func (p *program) connectionIDs(kinds ...api.ConnectionKind) completer {
	return p.ids(func(ctx context.Context, r *remote) (map[string]string, error) {
		names := map[string]string{}
		list, err := r.listConnections(ctx, 0)
		for _, c := range list {
			for _, kind := range kinds {
				if c.Kind == kind {
					names[c.ID] = c.Name
				}
			}
		}
		return names, err
	})
}
