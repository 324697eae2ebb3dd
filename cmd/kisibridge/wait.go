package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"kisibridge/api"
)

// glance is how often a run is looked at.
const glance = time.Second

// waiting adds the flag that lets a command stay until its run has ended.
func waiting(c *cobra.Command) *bool {
	return c.Flags().Bool("wait", false, "stay until the run has ended, and show how far it is")
}

// accepted shows the run that the API began, at its end if wait is set.
func (r *remote) accepted(ctx context.Context, wait bool, answer *http.Response, err error) error {
	run, err := read[api.Run](answer, err)
	if err == nil && wait {
		run, err = r.follow(ctx, run)
	}
	if err != nil {
		return err
	}
	return r.ended(run)
}

// ended shows a run; one that failed is an error, too.
func (r *remote) ended(run api.Run) error {
	if err := r.show(run, tableOfRuns(run)); err != nil {
		return err
	}
	if run.State == api.RunStateFailed {
		return fmt.Errorf("run %s failed: %s", run.ID, dash(run.Error))
	}
	return nil
}

// follow looks at a run until it has ended.
func (r *remote) follow(ctx context.Context, run api.Run) (api.Run, error) {
	line := progressLine{p: r.program, live: isTerminal(r.err)}
	for run.State == api.RunStateRunning {
		line.say(run.Progress)
		if err := pause(ctx, glance); err != nil {
			return run, err
		}
		now, err := read[api.Run](r.api.GetRun(ctx, run.ID))
		if err != nil {
			line.end()
			return run, err
		}
		run = now
	}
	line.say(run.Progress)
	line.end()
	return run, nil
}

// A progressLine says how far something is, on standard error: over and over
// in one line of a terminal, and once for each tenth elsewhere.
type progressLine struct {
	p     *program
	live  bool
	said  bool
	tenth int
}

func (l *progressLine) say(at api.Progress) {
	tenth := at.Done * 10 / max(1, at.Total)
	if !l.live && l.said && tenth == l.tenth {
		return
	}
	text := fmt.Sprintf("%d of %d", at.Done, at.Total)
	if at.ETASeconds > 0 {
		text += ", " + seconds(at.ETASeconds).String() + " left"
	}
	if l.live {
		fmt.Fprintf(l.p.err, "\r%-40s", text)
	} else {
		fmt.Fprintln(l.p.err, text)
	}
	l.said, l.tenth = true, tenth
}

func (l *progressLine) end() {
	if l.live && l.said {
		fmt.Fprintln(l.p.err)
	}
}
