package rest

import (
	"context"
	"slices"
	"strings"
	"time"

	"kisibridge/api"
	"kisibridge/internal/access"
	"kisibridge/internal/bridge"
	"kisibridge/internal/fault"
)

// ListIntegrations lists integrations by name.
func (s *Server) ListIntegrations(ctx context.Context, r api.ListIntegrationsRequestObject) (api.ListIntegrationsResponseObject, error) {
	all, err := s.Store.Integrations(ctx)
	if err != nil {
		return nil, err
	}
	items, next, err := page(listOf(r.Params.Limit, r.Params.Cursor, "integrations"), all, func(i access.Integration) string { return byName(i.Name, i.ID) })
	if err != nil {
		return nil, err
	}
	return api.ListIntegrations200JSONResponse{Items: each(items, shown), NextCursor: next}, nil
}

// CreateIntegration makes one, and starts it. A try that was cut off, and is
// made again under its Idempotency-Key, goes on with what the first one made.
func (s *Server) CreateIntegration(ctx context.Context, r api.CreateIntegrationRequestObject) (api.CreateIntegrationResponseObject, error) {
	i := made(r.Body)
	i.ID = strings.ToLower(seed(ctx))
	run, err := s.begin(ctx, "created", i.ID, "", 0)
	if err != nil {
		return nil, err
	}
	i, err = s.Engine.Add(ctx, i)
	if fault.Is(err, fault.Clash) && isAgain(ctx) {
		if i, err = s.Store.Integration(ctx, i.ID); err == nil {
			err = s.Engine.Sync(ctx, i.ID, false)
		}
	}
	if err != nil {
		return nil, err
	}
	body := shown(i)
	body.LastRun = &run
	return api.CreateIntegration201JSONResponse{
		Body: body, Headers: api.CreateIntegration201ResponseHeaders{ETag: etagOf(i), Location: "/v1/integrations/" + i.ID},
	}, nil
}

// GetIntegration shows one, with how it stands.
func (s *Server) GetIntegration(ctx context.Context, r api.GetIntegrationRequestObject) (api.GetIntegrationResponseObject, error) {
	v, err := s.Engine.View(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	body := shown(v.Integration)
	body.Numbers = &api.Numbers{Members: v.Members, Holders: v.Holders, Held: len(v.Hold.People), LeftToDelete: v.Left}
	body.Subscription = subscription(v.Subscription)
	if len(v.Runs) > 0 {
		p, err := s.Engine.Progress(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		run := passed(r.ID, v.Runs[0], p, true)
		body.LastRun = &run
	}
	return api.GetIntegration200JSONResponse{Body: body, Headers: api.GetIntegration200ResponseHeaders{ETag: etagOf(v.Integration)}}, nil
}

// UpdateIntegration changes one.
func (s *Server) UpdateIntegration(ctx context.Context, r api.UpdateIntegrationRequestObject) (api.UpdateIntegrationResponseObject, error) {
	i, err := s.Engine.UpdateIf(ctx, r.ID, s.seen(r.Params.IfMatch), func(i *access.Integration) { changed(i, *r.Body) })
	if err != nil {
		return nil, err
	}
	return api.UpdateIntegration200JSONResponse{Body: shown(i), Headers: api.UpdateIntegration200ResponseHeaders{ETag: etagOf(i)}}, nil
}

// seen refuses an integration that the caller saw otherwise.
func (s *Server) seen(ifMatch *string) func(access.Integration) error {
	return func(i access.Integration) error { return matches(ifMatch, etagOf(i), "integration "+i.ID) }
}

// DeleteIntegration ends one.
func (s *Server) DeleteIntegration(ctx context.Context, r api.DeleteIntegrationRequestObject) (api.DeleteIntegrationResponseObject, error) {
	i, err := s.Store.Integration(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	holders, err := s.Store.Holders(ctx, i.Target)
	if err != nil {
		return nil, err
	}
	run, err := s.begin(ctx, deletion, r.ID, "", holders)
	if err != nil {
		return nil, err
	}
	if err := s.Engine.DeleteIf(ctx, r.ID, s.seen(r.Params.IfMatch)); err != nil {
		return nil, err
	}
	return api.DeleteIntegration202JSONResponse{AcceptedJSONResponse: accepted(run)}, nil
}

// PauseIntegration stops all writes.
func (s *Server) PauseIntegration(ctx context.Context, r api.PauseIntegrationRequestObject) (api.PauseIntegrationResponseObject, error) {
	if err := s.Engine.Pause(ctx, r.ID); err != nil {
		return nil, err
	}
	i, err := s.Store.Integration(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return api.PauseIntegration200JSONResponse{Body: shown(i), Headers: api.PauseIntegration200ResponseHeaders{ETag: etagOf(i)}}, nil
}

// ResumeIntegration goes on.
func (s *Server) ResumeIntegration(ctx context.Context, r api.ResumeIntegrationRequestObject) (api.ResumeIntegrationResponseObject, error) {
	run, err := s.started(ctx, "resumed", r.ID, func() error { return s.Engine.Resume(ctx, r.ID) })
	if err != nil {
		return nil, err
	}
	return api.ResumeIntegration202JSONResponse{AcceptedJSONResponse: accepted(run)}, nil
}

// NodIntegration lets a staged import go on.
func (s *Server) NodIntegration(ctx context.Context, r api.NodIntegrationRequestObject) (api.NodIntegrationResponseObject, error) {
	run, err := s.started(ctx, "nodded", r.ID, func() error { return s.Engine.Nod(ctx, r.ID) })
	if err != nil {
		return nil, err
	}
	return api.NodIntegration202JSONResponse{AcceptedJSONResponse: accepted(run)}, nil
}

// SyncIntegration reads the group now.
func (s *Server) SyncIntegration(ctx context.Context, r api.SyncIntegrationRequestObject) (api.SyncIntegrationResponseObject, error) {
	scratch := r.Params.FromScratch != nil && *r.Params.FromScratch
	run, err := s.started(ctx, "asked for", r.ID, func() error { return s.Engine.Sync(ctx, r.ID, scratch) })
	if err != nil {
		return nil, err
	}
	return api.SyncIntegration202JSONResponse{AcceptedJSONResponse: accepted(run)}, nil
}

// SyncPerson reads one person from scratch.
func (s *Server) SyncPerson(ctx context.Context, r api.SyncPersonRequestObject) (api.SyncPersonResponseObject, error) {
	run, err := s.begin(ctx, "asked for", "", r.EntraUserID, 0)
	if err != nil {
		return nil, err
	}
	if err := s.Engine.SyncPerson(ctx, r.Body.EntraConnectionID, r.EntraUserID); err != nil {
		return nil, err
	}
	return api.SyncPerson202JSONResponse{AcceptedJSONResponse: accepted(run)}, nil
}

// mostShown is how many of each list a preview shows.
const mostShown = 100

// PreviewIntegration shows what one would do.
func (s *Server) PreviewIntegration(ctx context.Context, r api.PreviewIntegrationRequestObject) (api.PreviewIntegrationResponseObject, error) {
	i := made(r.Body)
	i.Group.ID = strings.ToLower(i.Group.ID)
	if r.Params.Replaces != nil {
		was, err := s.Store.Integration(ctx, *r.Params.Replaces)
		if fault.Is(err, fault.Missing) {
			return nil, wrong("replaces", "there is no integration "+*r.Params.Replaces, "leave it out for a new one")
		}
		if err != nil {
			return nil, err
		}
		i.ID, i.Nodded = was.ID, was.Nodded && was.FirstBatch == i.FirstBatch
	}
	p, err := s.Engine.Preview(ctx, i)
	if err != nil {
		return nil, err
	}
	names, err := s.namesOf(ctx, i.Group.Connection, p.Skip)
	if err != nil {
		return nil, err
	}
	return api.PreviewIntegration200JSONResponse(preview(p, names)), nil
}

// namesOf reads of whom is skipped what is stored; of a new group, nothing is.
func (s *Server) namesOf(ctx context.Context, tenant string, skip []access.Skip) (map[string]access.Person, error) {
	return s.Store.People(ctx, tenant, each(firstOf(skip), func(k access.Skip) string { return k.Person }))
}

func firstOf[T any](all []T) []T { return all[:min(len(all), mostShown)] }

func preview(p bridge.Preview, names map[string]access.Person) api.Preview {
	wants := func(all []access.Want) []api.PersonRef {
		return each(firstOf(all), func(w access.Want) api.PersonRef {
			return api.PersonRef{EntraUserID: w.Person.ID, Email: w.Email, Name: w.Person.Name}
		})
	}
	return api.Preview{
		Counts: api.PreviewCounts{Add: len(p.Add), Adopt: len(p.Adopt), Preserve: len(p.Preserve), Remove: len(p.Remove), Skip: len(p.Skip)},
		Add:    wants(p.Add), Adopt: wants(p.Adopt), Preserve: wants(p.Preserve), Remove: each(firstOf(p.Remove), ref),
		Skip: each(firstOf(p.Skip), func(k access.Skip) api.SkippedPerson {
			who := names[k.Person]
			return api.SkippedPerson{EntraUserID: k.Person, Email: addressOf(who), Name: who.Name, Why: k.Why}
		}),
		Held: p.Held, Mails: p.Mails, Calls: p.Calls, ETASeconds: int(p.ETA.Round(time.Second) / time.Second),
		Warnings: append([]string{}, slices.Clone(p.Warnings)...),
	}
}
