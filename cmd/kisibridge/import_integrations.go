package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"kisibridge/api"
)

// integrate makes what is missing, and changes what differs.
func (i *importer) integrate(ctx context.Context, file []api.IntegrationCreate, there []api.Integration) {
	known := map[string]api.Integration{}
	for _, at := range there {
		made, err := creation(at)
		if err == nil && at.State != api.IntegrationStateDeleting {
			known[identity(made)] = at
		}
	}
	for _, e := range file {
		s := step{Do: "create", Kind: "integration", Name: e.Name}
		for _, id := range []*string{&e.EntraConnectionID, &e.KisiConnectionID} {
			if here, ok := i.ids[*id]; ok {
				*id = here
			}
		}
		at, ok := known[identity(e)]
		if !ok {
			i.note(s, i.create(ctx, e))
			continue
		}
		_, fields, err := difference(at, e)
		s.Do, s.Fields = "leave", fields
		if err == nil && len(fields) > 0 {
			s.Do = "change"
			err = i.amend(ctx, at.ID, e)
		}
		i.note(s, err)
	}
}

func (i *importer) create(ctx context.Context, e api.IntegrationCreate) error {
	if i.dry {
		return nil
	}
	_, err := read[api.Integration](i.api.CreateIntegration(ctx, nil, e))
	return err
}

// amend compares once more with what the ETag stands for: what somebody else
// changes meanwhile is refused.
func (i *importer) amend(ctx context.Context, id string, e api.IntegrationCreate) error {
	if i.dry {
		return nil
	}
	at, etag, err := tagged[api.Integration](i.api.GetIntegration(ctx, id))
	if err != nil {
		return err
	}
	patch, fields, err := difference(at, e)
	if err != nil || len(fields) == 0 {
		return err
	}
	_, err = read[api.Integration](i.api.UpdateIntegration(ctx, id, &api.UpdateIntegrationParams{IfMatch: match(etag)}, patch))
	return err
}

// difference is what the file says otherwise; fields are named in order. What
// it does not name is left out.
func difference(at api.Integration, e api.IntegrationCreate) (patch api.IntegrationPatch, fields []string, err error) {
	was, err := fieldsOf(at)
	if err != nil {
		return patch, nil, err
	}
	asked, err := fieldsOf(e)
	if err != nil {
		return patch, nil, err
	}
	other := map[string]any{}
	for name, value := range asked {
		if name == "target" { // users_only may have an id of 0 or none
			continue
		}
		if !reflect.DeepEqual(plain(value), plain(was[name])) {
			other[name] = value
			fields = append(fields, name)
		}
	}
	text, err := json.Marshal(other)
	if err != nil {
		return patch, nil, err
	}
	slices.Sort(fields)
	return patch, fields, json.Unmarshal(text, &patch)
}

// plain is a value without what makes no difference: the order and the capitals
// of a list of people.
func plain(value any) any {
	list, ok := value.([]any)
	if !ok {
		return value
	}
	texts := make([]string, len(list))
	for k, v := range list {
		texts[k] = strings.ToLower(fmt.Sprint(v))
	}
	slices.Sort(texts)
	return texts
}

// fieldsOf are the fields of a value as JSON has them.
func fieldsOf(v any) (map[string]any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	err = json.Unmarshal(text, &fields)
	maps.DeleteFunc(fields, func(_ string, value any) bool { return value == nil })
	return fields, err
}
