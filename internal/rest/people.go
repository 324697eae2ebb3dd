package rest

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"kisibridge/api"
	"kisibridge/internal/bridge"
)

// ListPeople lists people by id. A page that asks for nobody in particular
// reads about nobody else; one that searches must look at everybody.
func (s *Server) ListPeople(ctx context.Context, r api.ListPeopleRequestObject) (api.ListPeopleResponseObject, error) {
	state, search := "", strings.ToLower(text(r.Params.Search))
	if r.Params.State != nil {
		state = string(*r.Params.State)
	}
	l := listOf(r.Params.Limit, r.Params.Cursor, "people", r.ID, state, search)
	after, err := l.after()
	if err != nil {
		return nil, err
	}
	next := ""
	all, err := s.Engine.People(ctx, r.ID, func(all []string) []string {
		from, found := slices.BinarySearch(all, after)
		if found {
			from++
		}
		all = all[from:]
		if state == "" && search == "" && len(all) > l.limit {
			all = all[:l.limit]
			next = l.next(all[l.limit-1])
		}
		return all
	})
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(a bridge.Account) bool { return state != "" && a.State != state || !mentions(a, search) })
	if len(all) > l.limit {
		all = all[:l.limit]
		next = l.next(all[l.limit-1].Person.ID)
	}
	return api.ListPeople200JSONResponse{Items: each(all, account), NextCursor: next}, nil
}

func mentions(a bridge.Account, search string) bool {
	for _, s := range []string{a.Person.Name, a.Person.UPN, a.Person.Mail, a.Grant.Email, a.Person.ID} {
		if strings.Contains(strings.ToLower(s), search) {
			return true
		}
	}
	return false
}

func account(a bridge.Account) api.Account {
	return api.Account{
		EntraUserID: a.Person.ID, Email: cmp.Or(a.Grant.Email, addressOf(a.Person)), Name: a.Person.Name,
		State: api.Position(a.State), Why: a.Why, Since: at(a.Since), Trigger: a.Trigger,
		KisiUserID: a.Grant.User, Trouble: trouble(a.Trouble), Locked: a.Locked,
	}
}

// GetPerson shows one.
func (s *Server) GetPerson(ctx context.Context, r api.GetPersonRequestObject) (api.GetPersonResponseObject, error) {
	all, err := s.Engine.Explain(ctx, r.ID, r.EntraUserID)
	if err != nil {
		return nil, err
	}
	return api.GetPerson200JSONResponse(account(all[0])), nil
}

// GetDrift shows what was changed in Kisi by hand.
func (s *Server) GetDrift(ctx context.Context, r api.GetDriftRequestObject) (api.GetDriftResponseObject, error) {
	i, err := s.Store.Integration(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	d, err := s.Store.Drift(ctx, i.Target)
	if err != nil {
		return nil, err
	}
	names, err := s.Store.People(ctx, i.Group.Connection, slices.Concat(d.Vanished, d.Locked))
	if err != nil {
		return nil, err
	}
	strangers := make([]api.Stranger, len(d.Strangers))
	for k, one := range d.Strangers {
		strangers[k] = api.Stranger{KisiUserID: one.User, KisiRowID: one.Row, Email: one.Email}
	}
	return api.GetDrift200JSONResponse{
		At: at(d.At), Vanished: refs(d.Vanished, names), Strangers: strangers, MoreStrangers: d.More,
		Locked: refs(d.Locked, names), LockedAt: at(d.LockedAt), Incomplete: d.Cut,
	}, nil
}
