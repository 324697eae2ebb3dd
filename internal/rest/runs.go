package rest

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"kisibridge/api"
	"kisibridge/internal/access"
	"kisibridge/internal/bridge"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

const (
	deletion = "deleted" // what a run is that ends an integration
	keptRuns = 200       // of an integration
	byClick  = "person"  // the cause of what somebody asked for
)

// runID names a run by what it is of, and when it began.
func runID(of string, began time.Time) string {
	return of[:min(len(of), 80)] + "." + strconv.FormatInt(began.UnixMilli(), 10)
}

// begin writes down that a run is asked for, before it is.
func (s *Server) begin(ctx context.Context, what, integration, person string, total int) (api.Run, error) {
	a := store.Asked{Integration: integration, Person: person, What: what, By: who(ctx), At: time.Now(), Total: total}
	a.ID = runID(integration+person, a.At)
	return asked(a), s.Store.SaveAsked(ctx, a)
}

// started begins a run of an integration that there is.
func (s *Server) started(ctx context.Context, what, integration string, do func() error) (api.Run, error) {
	if _, err := s.Store.Integration(ctx, integration); err != nil {
		return api.Run{}, err
	}
	run, err := s.begin(ctx, what, integration, "", 0)
	if err != nil {
		return run, err
	}
	return run, do()
}

func accepted(run api.Run) api.AcceptedJSONResponse {
	return api.AcceptedJSONResponse{Body: run, Headers: api.AcceptedResponseHeaders{Location: "/v1/runs/" + run.ID}}
}

// asked shows a run that has just begun.
func asked(a store.Asked) api.Run {
	return api.Run{
		ID: a.ID, IntegrationID: a.Integration, Person: a.Person, Cause: byClick, By: a.By,
		State: api.RunStateRunning, StartedAt: a.At.UTC(), Progress: api.Progress{Total: a.Total},
	}
}

// passed shows a pass that was written down. Only the newest can still have
// work before it.
func passed(integration string, r store.Run, p bridge.Progress, newest bool) api.Run {
	run := api.Run{
		ID: runID(integration, r.At), IntegrationID: integration, Cause: r.Cause, State: api.RunStateDone, StartedAt: r.At.UTC(),
		Joined: r.Joined, Left: r.Left, Make: r.Make, Revoke: r.Revoke, Skipped: r.Skipped, Held: r.Held, Error: r.Err,
	}
	run.Progress = api.Progress{Done: r.Make + r.Revoke, Total: r.Make + r.Revoke}
	if newest {
		run.Progress = progress(r.Make+r.Revoke, p)
	}
	switch {
	case r.Err != "":
		run.State = api.RunStateFailed
	case run.Progress.Done < run.Progress.Total:
		run.State = api.RunStateRunning
	}
	return run
}

func progress(total int, p bridge.Progress) api.Progress {
	total = max(total, p.Pending)
	return api.Progress{Done: total - p.Pending, Total: total, ETASeconds: int(math.Ceil(p.ETA.Seconds()))}
}

// ListRuns lists passes, the newest first.
func (s *Server) ListRuns(ctx context.Context, r api.ListRunsRequestObject) (api.ListRunsResponseObject, error) {
	runs, err := s.passes(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	items, next, err := page(listOf(r.Params.Limit, r.Params.Cursor, "runs", r.ID), runs, func(run api.Run) string {
		return fmt.Sprintf("%020d", math.MaxInt64-run.StartedAt.UnixNano())
	})
	if err != nil {
		return nil, err
	}
	return api.ListRuns200JSONResponse{Items: items, NextCursor: next}, nil
}

// passes shows all passes that are kept of an integration, the newest first.
func (s *Server) passes(ctx context.Context, integration string) ([]api.Run, error) {
	p, err := s.Engine.Progress(ctx, integration)
	if err != nil {
		return nil, err
	}
	stored, err := s.Store.Runs(ctx, integration, keptRuns)
	if err != nil {
		return nil, err
	}
	all := make([]api.Run, len(stored))
	for k, r := range stored {
		all[k] = passed(integration, r, p, k == 0)
	}
	return all, nil
}

// GetRun shows a run that was asked for, or a pass.
func (s *Server) GetRun(ctx context.Context, r api.GetRunRequestObject) (api.GetRunResponseObject, error) {
	run, err := s.run(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.GetRun200JSONResponse(run), nil
}

func (s *Server) run(ctx context.Context, id string) (api.Run, error) {
	a, err := s.Store.Asked(ctx, id)
	switch {
	case fault.Is(err, fault.Missing):
		return s.pass(ctx, id, err)
	case err != nil:
		return api.Run{}, err
	case a.Person != "":
		return s.runOfPerson(ctx, a)
	}
	return s.runOf(ctx, a)
}

// pass finds a pass by its name; missing is the answer where there is none.
func (s *Server) pass(ctx context.Context, id string, missing error) (api.Run, error) {
	dot := strings.LastIndex(id, ".")
	if dot < 0 {
		return api.Run{}, missing
	}
	all, err := s.passes(ctx, id[:dot])
	if fault.Is(err, fault.Missing) {
		return api.Run{}, missing
	}
	for _, run := range all {
		if run.ID == id {
			return run, nil
		}
	}
	if err == nil {
		err = missing
	}
	return api.Run{}, err
}

// runOf tells how far an integration is since somebody asked: it is done once
// the group was read since, everybody was decided about, and nobody waits.
func (s *Server) runOf(ctx context.Context, a store.Asked) (api.Run, error) {
	run := asked(a)
	v, err := s.Engine.View(ctx, a.Integration)
	if fault.Is(err, fault.Missing) {
		return ended(run, a), nil
	}
	if err != nil {
		return run, err
	}
	if v.Integration.State == access.Deleting {
		total := max(a.Total, v.Left)
		run.Progress = api.Progress{Done: total - v.Left, Total: total}
		return run, nil
	}
	p, err := s.Engine.Progress(ctx, a.Integration)
	if err != nil {
		return run, err
	}
	stored, err := s.Store.Runs(ctx, a.Integration, keptRuns)
	if err != nil {
		return run, err
	}
	for _, r := range stored { // the oldest since is the one that was asked for
		if r.At.Before(a.At) {
			break
		}
		run.Joined, run.Left, run.Make, run.Revoke = r.Joined, r.Left, r.Make, r.Revoke
		run.Skipped, run.Held, run.Error = r.Skipped, r.Held, r.Err
	}
	run.Progress = progress(run.Make+run.Revoke, p)
	switch {
	case v.Integration.State == access.Failing || run.Error != "":
		run.State, run.Error = api.RunStateFailed, firstWord(run.Error, v.Integration.Why)
	case v.Group.Pulled.After(a.At) && !v.Integration.Unsettled && p.Pending == 0:
		run.State = api.RunStateDone
	}
	return run, nil
}

// ended shows the run of an integration that is gone.
func ended(run api.Run, a store.Asked) api.Run {
	run.State, run.Progress.Done = api.RunStateDone, run.Progress.Total
	if a.What != deletion {
		run.State, run.Error = api.RunStateFailed, "the integration was deleted"
	}
	return run
}

func firstWord(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// runOfPerson counts the integrations in which a person is not in line yet.
func (s *Server) runOfPerson(ctx context.Context, a store.Asked) (api.Run, error) {
	run := asked(a)
	all, err := s.Store.Integrations(ctx)
	if err != nil {
		return run, err
	}
	for _, i := range all {
		accounts, err := s.Engine.People(ctx, i.ID, func([]string) []string { return []string{a.Person} })
		if fault.Is(err, fault.Missing) {
			continue
		}
		if err != nil {
			return run, err
		}
		for _, at := range accounts {
			run.Progress.Total++
			if at.State != access.Pending && at.State != access.Moving && at.State != access.Leaving {
				run.Progress.Done++
			}
			if at.Trouble != nil && at.Trouble.At.After(a.At) {
				run.Error = at.Trouble.Err
			}
		}
	}
	switch {
	case run.Error != "":
		run.State = api.RunStateFailed
	case run.Progress.Done == run.Progress.Total:
		run.State = api.RunStateDone
	}
	return run, nil
}
