package rest

import (
	"context"

	"kisibridge/api"
	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// GetHold shows the removals that wait on the target of an integration.
func (s *Server) GetHold(ctx context.Context, r api.GetHoldRequestObject) (api.GetHoldResponseObject, error) {
	i, err := s.Store.Integration(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	v, err := s.Store.Verdicts(ctx, i.Target)
	if err != nil {
		return nil, err
	}
	hold := v.Hold()
	tag := etagOfHold(hold)
	ids, next, err := page(listOf(r.Params.Limit, r.Params.Cursor, "hold", r.ID), hold.People, func(id string) string { return id })
	if err != nil {
		return nil, err
	}
	names, err := s.Store.People(ctx, i.Group.Connection, ids)
	if err != nil {
		return nil, err
	}
	return api.GetHold200JSONResponse{
		Body:    api.Hold{Count: len(hold.People), Why: hold.Why, Since: at(hold.Since), People: refs(ids, names), NextCursor: next},
		Headers: api.GetHold200ResponseHeaders{ETag: tag},
	}, nil
}

// etagOfHold names whom a hold keeps, and why.
func etagOfHold(h access.Hold) string {
	h.Rev = 0 // counts what was said of others, too
	return etag(h)
}

// answerHold lets the removals go, or the people keep what they hold: with
// If-Match, of the list that the caller saw.
func (s *Server) answerHold(ctx context.Context, id string, approve bool, ifMatch *string) (api.AcceptedJSONResponse, error) {
	all, seen := s.Engine.Dismiss, s.Engine.DismissSeen
	if approve {
		all, seen = s.Engine.Approve, s.Engine.ApproveSeen
	}
	run, err := s.started(ctx, "answered", id, func() error {
		if ifMatch == nil {
			return all(ctx, id)
		}
		i, err := s.Store.Integration(ctx, id)
		if err != nil {
			return err
		}
		v, err := s.Store.Verdicts(ctx, i.Target)
		if err != nil {
			return err
		}
		hold := v.Hold()
		if err := matches(ifMatch, etagOfHold(hold), "the hold of integration "+id); err != nil {
			return err
		}
		err = seen(ctx, id, hold.Rev)
		if fault.Is(err, fault.Clash) {
			return stale("the hold of integration " + id)
		}
		return err
	})
	return accepted(run), err
}

// ApproveHold lets the removals go.
func (s *Server) ApproveHold(ctx context.Context, r api.ApproveHoldRequestObject) (api.ApproveHoldResponseObject, error) {
	run, err := s.answerHold(ctx, r.ID, true, r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	return api.ApproveHold202JSONResponse{AcceptedJSONResponse: run}, nil
}

// DismissHold lets the people keep what they hold.
func (s *Server) DismissHold(ctx context.Context, r api.DismissHoldRequestObject) (api.DismissHoldResponseObject, error) {
	run, err := s.answerHold(ctx, r.ID, false, r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	return api.DismissHold202JSONResponse{AcceptedJSONResponse: run}, nil
}
