package rest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/labstack/echo/v4"

	"kisibridge/api"
)

// validate holds a request against the document, and names every mistake.
func validate(op *operation, c echo.Context) error {
	r := c.Request()
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return malformed([]api.FieldProblem{{Field: "query", Detail: err.Error()}})
	}
	var fields []api.FieldProblem
	for name, values := range query {
		if !op.queries[name] {
			fields = append(fields, api.FieldProblem{Field: name, Detail: "there is no such parameter", Hint: orNil("leave it out")})
		} else if len(values) > 1 {
			fields = append(fields, api.FieldProblem{Field: name, Detail: "is given more than once", Hint: orNil("give it once")})
		}
	}
	err = openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: pathOf(c), QueryParams: query, Route: op.route,
		Options: &openapi3filter.Options{
			MultiError:         true,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, // done before
		},
	})
	if op.route.Operation.RequestBody == nil && r.ContentLength != 0 {
		fields = append(fields, api.FieldProblem{Field: "body", Detail: "none is expected", Hint: orNil("send no body")})
	}
	if fields = append(fields, mistakes(err, "")...); len(fields) == 0 {
		return nil
	}
	slices.SortFunc(fields, func(a, b api.FieldProblem) int { return strings.Compare(a.Field+a.Detail, b.Field+b.Detail) })
	return malformed(slices.CompactFunc(fields, func(a, b api.FieldProblem) bool { return a.Field == b.Field && a.Detail == b.Detail }))
}

func malformed(fields []api.FieldProblem) *refusal {
	return &refusal{
		status: http.StatusBadRequest, detail: fields[0].Field + ": " + fields[0].Detail,
		hint: "/openapi.yaml describes what is expected", fields: fields,
	}
}

// pathOf gives the parameters of the path as they were meant.
func pathOf(c echo.Context) map[string]string {
	all := map[string]string{}
	for k, name := range c.ParamNames() {
		value := c.ParamValues()[k]
		if c.Request().URL.RawPath != "" { // then Echo matched what is escaped
			if plain, err := url.PathUnescape(value); err == nil {
				value = plain
			}
		}
		all[name] = value
	}
	return all
}

// mistakes lists what the validator found, under the names of fields.
func mistakes(err error, field string) []api.FieldProblem {
	var all []api.FieldProblem
	switch e := any(err).(type) { // each error of the tree, and not the first of a kind
	case nil:
	case openapi3.MultiError:
		for _, one := range e {
			all = append(all, mistakes(one, field)...)
		}
	case *openapi3filter.RequestError:
		if e.Parameter != nil {
			field = e.Parameter.Name
		}
		if e.Err == nil || isPlain(e.Err) {
			return []api.FieldProblem{{Field: named(field), Detail: reasonOf(e)}}
		}
		return mistakes(e.Err, field)
	case *openapi3.SchemaError:
		return []api.FieldProblem{ofSchema(e, field)}
	default:
		return []api.FieldProblem{{Field: named(field), Detail: err.Error()}}
	}
	return all
}

// isPlain tells whether an error has no structure worth looking at.
func isPlain(err error) bool {
	switch any(err).(type) {
	case openapi3.MultiError, *openapi3.SchemaError:
		return false
	}
	return true
}

func reasonOf(e *openapi3filter.RequestError) string {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](e.Err); ok {
		return fmt.Sprintf("is larger than %d bytes", tooLarge.Limit)
	}
	switch {
	case errors.Is(e.Err, openapi3filter.ErrInvalidRequired):
		return "is missing"
	case e.Reason != "" && e.Err != nil:
		return e.Reason + ": " + e.Err.Error()
	case e.Reason != "":
		return e.Reason
	}
	return e.Err.Error()
}

// named is the name of a field; the body as a whole has none.
func named(field string) string {
	if field == "" {
		return "body"
	}
	return field
}

// unsupported is how the validator speaks of a field that is not described.
var unsupported = regexp.MustCompile(`^property "(.*)" is unsupported$`)

// ofSchema says which value is wrong. The value itself is left out, for it may
// be a secret.
func ofSchema(e *openapi3.SchemaError, field string) api.FieldProblem {
	at := e.JSONPointer()
	if found := unsupported.FindStringSubmatch(e.Reason); found != nil {
		at = append(at, found[1])
	}
	if len(at) > 0 {
		field = strings.TrimPrefix(field+"."+strings.Join(at, "."), ".")
	}
	return api.FieldProblem{Field: named(field), Detail: e.Reason, Hint: orNil(remedy(e))}
}

func remedy(e *openapi3.SchemaError) string {
	s := e.Schema
	switch e.SchemaField {
	case "required":
		return "add it"
	case "properties", "additionalProperties":
		return "leave out what is not described"
	case "enum":
		return "use one of " + strings.Trim(fmt.Sprint(s.Enum), "[]")
	case "type":
		return "give a value of the type " + strings.Join(s.Type.Slice(), " or ")
	case "format":
		return "write it as " + s.Format
	}
	return s.Description
}
