package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"kisibridge/api"
)

func (p *program) status() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show how the bridge does: lag, queues, Kisi's budget", Args: cobra.NoArgs,
		RunE: p.over(func(ctx context.Context, r *remote, _ []string) error {
			s, err := read[api.Status](r.api.GetStatus(ctx))
			if err != nil {
				return err
			}
			return r.show(s, func(w io.Writer) error { return writeStatus(w, s) })
		}),
	}
}

func writeStatus(w io.Writer, s api.Status) error {
	told := "Graph tells of changes"
	if !s.Public {
		told = "Graph cannot reach it; delta is asked every 30 seconds"
	}
	fmt.Fprintf(w, "kisibridge %s; %s; everything is looked at every %s\n", s.Version, told, seconds(s.SweepSeconds))
	fmt.Fprintf(w, "From word of a change to Kisi's answer: median %s, 95 %% %s, 99 %% %s, of %d changes\n",
		lag(s.Lag.P50Seconds), lag(s.Lag.P95Seconds), lag(s.Lag.P99Seconds), s.Lag.Changes)
	if s.OldestJob != nil {
		fmt.Fprintf(w, "The oldest job waits for %s, in %s\n", lag(s.OldestJob.WaitingSeconds), s.OldestJob.Queue)
	}
	fmt.Fprintln(w)
	queues := heads("QUEUE", "WAITING", "RUNNING", "LATER", "RETRY", "DEAD")
	for _, q := range s.Queues {
		queues.add(q.Name, q.Waiting, q.Running, q.Later, q.Retry, q.Dead)
	}
	budget := heads("KISI", "CALLS/S", "IN USE", "SLOWED")
	for _, k := range s.Kisi {
		budget.add(k.ConnectionID, fmt.Sprintf("%.1f", k.Rate), fmt.Sprintf("%.0f %%", k.Used*100), yes(k.Slowed))
	}
	err := queues.print(w)
	fmt.Fprintln(w)
	return errors.Join(err, budget.print(w))
}

func lag(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond)
}

func (p *program) dead() *cobra.Command {
	return group("dead", "Show work that was given up, and try it again", p.deadList(), p.deadRetry())
}

func (r *remote) listDead(ctx context.Context, limit int) ([]api.DeadJob, error) {
	return all[api.DeadJob](limit, func(size *int, cursor *string) (*http.Response, error) {
		return r.api.ListDeadJobs(ctx, &api.ListDeadJobsParams{Limit: size, Cursor: cursor})
	})
}

func (p *program) deadList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List work that was given up", Args: cobra.NoArgs}
	limit := limited(c)
	c.RunE = p.over(func(ctx context.Context, r *remote, _ []string) error {
		list, err := r.listDead(ctx, *limit)
		if err != nil {
			return err
		}
		s := heads("ID", "QUEUE", "KIND", "NAME", "FAILED", "ATTEMPTS", "ERROR")
		for _, j := range list {
			s.add(j.ID, j.Queue, j.Kind, j.Name, when(j.FailedAt), j.Attempts, j.Error)
		}
		return r.show(list, s.print)
	})
	return c
}

func (p *program) deadRetry() *cobra.Command {
	c := &cobra.Command{Use: "retry [ID]", Short: "Try a dead job again, or all of them", Args: cobra.MaximumNArgs(1)}
	every := c.Flags().Bool("all", false, "all of them")
	c.ValidArgsFunction = p.ids(func(ctx context.Context, r *remote) (map[string]string, error) {
		names := map[string]string{}
		list, err := r.listDead(ctx, 0)
		for _, j := range list {
			names[j.ID] = j.Kind + " " + j.Name
		}
		return names, err
	})
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if *every == (len(args) == 1) {
			return misused("dead retry: give the ID of a job, or --all")
		}
		return p.over(func(ctx context.Context, r *remote, args []string) error {
			answer, err := r.retry(ctx, args)
			tried, err := read[api.Retried](answer, err)
			if err != nil {
				return err
			}
			return r.show(tried, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "Queued again: %d\n", tried.Retried)
				return err
			})
		})(cmd, args)
	}
	return c
}

func (r *remote) retry(ctx context.Context, args []string) (*http.Response, error) {
	if len(args) == 1 {
		return r.api.RetryDeadJob(ctx, args[0], nil)
	}
	return r.api.RetryDeadJobs(ctx, nil)
}
