package api_test

import (
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"kisibridge/api"
)

func TestTheDocumentIsValid(t *testing.T) {
	doc := load(t)
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTheServedDocumentIsTheSource(t *testing.T) {
	source, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(source), api.Document()); diff != "" {
		t.Errorf("api/openapi.gen.yaml is stale, run make generate (-source +served):\n%s", diff)
	}
}

func TestEveryOperationSaysWhatItIsAndWhoMayCallIt(t *testing.T) {
	ids := map[string]string{}
	each(load(t), func(where string, op *openapi3.Operation) {
		if op.OperationID == "" || op.Summary == "" || len(op.Tags) != 1 {
			t.Errorf("%s: wants an operationId, a summary and one tag", where)
		}
		if other, twice := ids[op.OperationID]; twice {
			t.Errorf("%s: has the operationId of %s", where, other)
		}
		ids[op.OperationID] = where
		role, hasRole := op.Extensions["x-role"].(string)
		switch {
		case public(op) == hasRole:
			t.Errorf("%s: wants either x-role or security: []", where)
		case hasRole && !api.Role(role).Valid():
			t.Errorf("%s: x-role is %q; use viewer, operator or admin", where, role)
		case hasRole != strings.Contains(where, " /v1/"):
			t.Errorf("%s: what is under /v1 asks for a role, and nothing else does", where)
		}
	})
}

func TestEveryOperationUnderV1AnswersWithProblems(t *testing.T) {
	each(load(t), func(where string, op *openapi3.Operation) {
		if public(op) {
			return
		}
		method, path, _ := strings.Cut(where, " ")
		want := []string{"400", "401", "403", "429", "503"}
		if strings.Contains(path, "{") {
			want = append(want, "404")
		}
		if method == http.MethodPost || method == http.MethodPatch {
			want = append(want, "409", "422")
		}
		if op.Parameters.GetByInAndName("header", "If-Match") != nil {
			want = append(want, "412")
		}
		for _, code := range want {
			if op.Responses.Value(code) == nil {
				t.Errorf("%s: wants an answer %s", where, code)
			}
		}
		for code, answer := range op.Responses.Map() {
			if code >= "400" && answer.Value.Content.Get("application/problem+json") == nil {
				t.Errorf("%s: the answer %s is no problem", where, code)
			}
		}
	})
}

// An operation with a tag that server.yaml leaves out would not be served.
func TestEveryOperationUnderV1IsServed(t *testing.T) {
	var want, got []string
	each(load(t), func(where string, op *openapi3.Operation) {
		if !public(op) {
			want = append(want, strings.NewReplacer("{", ":", "}", "").Replace(where))
		}
	})
	e := echo.New()
	api.RegisterHandlers(e, api.NewStrictHandler(nil, nil))
	for _, r := range e.Routes() {
		got = append(got, r.Method+" "+r.Path)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-described +served):\n%s", diff)
	}
}

func TestBodiesRefuseUnknownFields(t *testing.T) {
	each(load(t), func(where string, op *openapi3.Operation) {
		if public(op) || op.RequestBody == nil {
			return
		}
		body := op.RequestBody.Value.Content.Get("application/json").Schema.Value
		if may := body.AdditionalProperties.Has; may == nil || *may {
			t.Errorf("%s: wants additionalProperties: false", where)
		}
	})
}

func TestEveryPOSTMayBeSentAgain(t *testing.T) {
	each(load(t), func(where string, op *openapi3.Operation) {
		if public(op) || !strings.HasPrefix(where, http.MethodPost) {
			return
		}
		if op.Parameters.GetByInAndName("header", "Idempotency-Key") == nil {
			t.Errorf("%s: wants an Idempotency-Key", where)
		}
	})
}

// Whatever can be asked for when an integration is made can be changed later,
// and be read, but for what it is: its group and its target.
func TestAnIntegrationIsReadAndChangedAsItIsMade(t *testing.T) {
	schemas := load(t).Components.Schemas
	fields := func(name string) []string {
		var all []string
		for field := range schemas[name].Value.Properties {
			all = append(all, field)
		}
		slices.Sort(all)
		return all
	}
	fixed := []string{"entra_connection_id", "entra_group_id", "kisi_connection_id", "target"}
	made := fields("IntegrationCreate")
	want := slices.DeleteFunc(slices.Clone(made), func(f string) bool { return slices.Contains(fixed, f) })
	if diff := cmp.Diff(want, fields("IntegrationPatch")); diff != "" {
		t.Errorf("IntegrationPatch (-want +got):\n%s", diff)
	}
	read := fields("Integration")
	if lost := slices.DeleteFunc(made, func(f string) bool { return slices.Contains(read, f) }); len(lost) > 0 {
		t.Errorf("an Integration does not show %v", lost)
	}
}

func load(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(api.Document()))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// each visits all operations, in order, under names as "GET /v1/runs/{id}".
func each(doc *openapi3.T, visit func(where string, op *openapi3.Operation)) {
	for _, path := range doc.Paths.InMatchingOrder() {
		item := doc.Paths.Value(path).Operations()
		for _, method := range slices.Sorted(maps.Keys(item)) {
			visit(method+" "+path, item[method])
		}
	}
}

// public tells whether anybody may call an operation.
func public(op *openapi3.Operation) bool { return op.Security != nil && len(*op.Security) == 0 }
