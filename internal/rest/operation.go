package rest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"

	"kisibridge/internal/auth"
)

// An operation is what the document says of one route.
type operation struct {
	id      string
	role    auth.Role
	route   *routers.Route
	queries map[string]bool // the query parameters there are
	fields  map[string]bool // of the body
}

// described lists the operations that ask for a role, in the document's order.
func described(document string) ([]*operation, error) {
	doc, err := openapi3.NewLoader().LoadFromData([]byte(document))
	if err != nil {
		return nil, fmt.Errorf("read the API's document: %w", err)
	}
	var all []*operation
	for _, path := range doc.Paths.InMatchingOrder() {
		item := doc.Paths.Value(path)
		methods := item.Operations()
		for _, method := range slices.Sorted(maps.Keys(methods)) {
			op := methods[method]
			name, ok := op.Extensions["x-role"].(string)
			if !ok {
				continue // anybody may call it, and somebody else answers
			}
			role, err := auth.ParseRole(name)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			all = append(all, newOperation(role, &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op}))
		}
	}
	return all, nil
}

func newOperation(role auth.Role, route *routers.Route) *operation {
	op := &operation{id: route.Operation.OperationID, role: role, route: route, queries: map[string]bool{}, fields: map[string]bool{}}
	for _, p := range route.Operation.Parameters {
		if p.Value.In == openapi3.ParameterInQuery {
			op.queries[p.Value.Name] = true
		}
	}
	if body := route.Operation.RequestBody; body != nil {
		for name := range body.Value.Content.Get("application/json").Schema.Value.Properties {
			op.fields[name] = true
		}
	}
	return op
}

// may tells whether the document lists an answer; a nil operation is a path
// that there is not.
func (op *operation) may(status int) bool {
	return op == nil || status == http.StatusInternalServerError || op.route.Operation.Responses.Status(status) != nil
}

// first is the first of some answers that the document lists.
func (op *operation) first(statuses ...int) int {
	for _, status := range statuses {
		if op.may(status) {
			return status
		}
	}
	return http.StatusInternalServerError
}
