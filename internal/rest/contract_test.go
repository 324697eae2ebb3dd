package rest_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/google/go-cmp/cmp"

	"kisibridge/api"
	"kisibridge/internal/access"
	"kisibridge/internal/store"
)

const (
	goodIntegration = `{"name":"New","entra_connection_id":"contoso","entra_group_id":"lab","kisi_connection_id":"doors","target":{"type":"group","id":2}}`
	badFields       = `{"name":" ","entra_connection_id":"contoso","entra_group_id":"lab","kisi_connection_id":"doors","target":{"type":"group","id":2},"removal_mode":"after"}`
	noGroup         = `{"name":"New","entra_connection_id":"contoso","entra_group_id":"nowhere","kisi_connection_id":"doors","target":{"type":"group","id":3}}`
	unknownField    = `{"name":"New","entra_connection_id":"contoso","entra_group_id":"lab","kisi_connection_id":"doors","target":{"type":"group","id":2},"mode":"shadow"}`
)

// An exchange is a call of an operation and the answer that it shall have.
type exchange struct {
	operation, method, path, body string
	header                        map[string]string
	want                          int
}

var exchanges = []exchange{
	{"listConnections", "GET", "/v1/connections?limit=2", "", nil, 200},
	{"listConnections", "GET", "/v1/connections?limit=0", "", nil, 400},
	{"listConnections", "GET", "/v1/connections?limit=x", "", nil, 400},
	{"createConnection", "POST", "/v1/connections", `{"kind":"kisi","name":"More","api_key":"k"}`, nil, 201},
	{"createConnection", "POST", "/v1/connections", `{"kind":"kisi","name":"More","api_key":"wrong"}`, nil, 422},
	{"createConnection", "POST", "/v1/connections", `{"kind":"entra","name":"More","api_key":"k"}`, nil, 422},
	{"createConnection", "POST", "/v1/connections", `{"kind":"kisi"}`, nil, 400},
	{"createConnection", "POST", "/v1/connections", `{"kind":`, nil, 400},
	{"createConnection", "POST", "/v1/connections", ``, nil, 400},
	{"authorizeEntra", "POST", "/v1/connections/entra/authorize", ``, nil, 200},
	{"authorizeEntra", "POST", "/v1/connections/entra/authorize", `{"name":"Contoso"}`, nil, 200},
	{"authorizeEntra", "POST", "/v1/connections/entra/authorize", `{"tenant":"x"}`, nil, 400},
	{"getConnection", "GET", "/v1/connections/contoso", "", nil, 200},
	{"getConnection", "GET", "/v1/connections/none", "", nil, 404},
	{"getConnection", "GET", "/v1/connections/a%20b", "", nil, 400},
	{"updateConnection", "PATCH", "/v1/connections/doors", `{"name":"Portals"}`, nil, 200},
	{"updateConnection", "PATCH", "/v1/connections/doors", `{"api_key":"wrong"}`, nil, 422},
	{"updateConnection", "PATCH", "/v1/connections/kisi", `{"name":"x"}`, nil, 409},
	{"updateConnection", "PATCH", "/v1/connections/none", `{"name":"x"}`, nil, 404},
	{"updateConnection", "PATCH", "/v1/connections/doors", `{"name":"x"}`, map[string]string{"If-Match": `"old"`}, 412},
	{"deleteConnection", "DELETE", "/v1/connections/spare", "", nil, 204},
	{"deleteConnection", "DELETE", "/v1/connections/doors", "", nil, 409},
	{"deleteConnection", "DELETE", "/v1/connections/none", "", nil, 404},
	{"checkConnection", "POST", "/v1/connections/doors/check", "", nil, 200},
	{"checkConnection", "POST", "/v1/connections/none/check", "", nil, 404},
	{"listConnectionGroups", "GET", "/v1/connections/contoso/groups?limit=2", "", nil, 200},
	{"listConnectionGroups", "GET", "/v1/connections/none/groups", "", nil, 404},
	{"listConnectionTeams", "GET", "/v1/connections/doors/teams", "", nil, 200},
	{"listConnectionTeams", "GET", "/v1/connections/contoso/teams", "", nil, 409},
	{"watchConnection", "POST", "/v1/connections/doors/watch", "", nil, 200},
	{"watchConnection", "POST", "/v1/connections/contoso/watch", "", nil, 422},
	{"watchConnection", "POST", "/v1/connections/kisi/watch", "", nil, 409}, // there is no client of it
	{"unwatchConnection", "DELETE", "/v1/connections/doors/watch", "", nil, 204},
	{"unwatchConnection", "DELETE", "/v1/connections/none/watch", "", nil, 404},
	{"listIntegrations", "GET", "/v1/integrations", "", nil, 200},
	{"listIntegrations", "GET", "/v1/integrations?cursor=x", "", nil, 400},
	{"createIntegration", "POST", "/v1/integrations", goodIntegration, nil, 201},
	{"createIntegration", "POST", "/v1/integrations", badFields, nil, 422},
	{"createIntegration", "POST", "/v1/integrations", noGroup, nil, 422},
	{"createIntegration", "POST", "/v1/integrations", unknownField, nil, 400},
	{"previewIntegration", "POST", "/v1/integrations/preview", goodIntegration, nil, 200},
	{"previewIntegration", "POST", "/v1/integrations/preview?replaces=hq", goodIntegration, nil, 200},
	{"previewIntegration", "POST", "/v1/integrations/preview?replaces=none", goodIntegration, nil, 422},
	{"previewIntegration", "POST", "/v1/integrations/preview", badFields, nil, 422},
	{"getIntegration", "GET", "/v1/integrations/hq", "", nil, 200},
	{"getIntegration", "GET", "/v1/integrations/none", "", nil, 404},
	{"updateIntegration", "PATCH", "/v1/integrations/hq", `{"guests":false}`, nil, 200},
	{"updateIntegration", "PATCH", "/v1/integrations/hq", `{"removal_mode":"after"}`, nil, 422},
	{"updateIntegration", "PATCH", "/v1/integrations/hq", `{}`, nil, 400},
	{"updateIntegration", "PATCH", "/v1/integrations/hq", `{"guests":true}`, map[string]string{"If-Match": `"old"`}, 412},
	{"updateIntegration", "PATCH", "/v1/integrations/none", `{"guests":false}`, nil, 404},
	{"deleteIntegration", "DELETE", "/v1/integrations/old", "", map[string]string{"If-Match": `"old"`}, 412},
	{"deleteIntegration", "DELETE", "/v1/integrations/old", "", nil, 202},
	{"deleteIntegration", "DELETE", "/v1/integrations/none", "", nil, 404},
	{"syncIntegration", "POST", "/v1/integrations/hq/sync?from_scratch=true", "", nil, 202},
	{"syncIntegration", "POST", "/v1/integrations/hq/sync?from_scratch=maybe", "", nil, 400},
	{"syncIntegration", "POST", "/v1/integrations/none/sync", "", nil, 404},
	{"pauseIntegration", "POST", "/v1/integrations/hq/pause", "", nil, 200},
	{"pauseIntegration", "POST", "/v1/integrations/none/pause", "", nil, 404},
	{"resumeIntegration", "POST", "/v1/integrations/hq/resume", "", nil, 202},
	{"resumeIntegration", "POST", "/v1/integrations/none/resume", "", nil, 404},
	{"resumeIntegration", "POST", "/v1/integrations/old/resume", "", nil, 422},
	{"nodIntegration", "POST", "/v1/integrations/staged/nod", "", nil, 202},
	{"nodIntegration", "POST", "/v1/integrations/hq/nod", "", nil, 422},
	{"getHold", "GET", "/v1/integrations/hq/hold?limit=1", "", nil, 200},
	{"getHold", "GET", "/v1/integrations/none/hold", "", nil, 404},
	{"approveHold", "POST", "/v1/integrations/hq/hold/approve", "", map[string]string{"If-Match": `"old"`}, 412},
	{"approveHold", "POST", "/v1/integrations/hq/hold/approve", "", nil, 202},
	{"approveHold", "POST", "/v1/integrations/hq/hold/approve", "", nil, 422},
	{"dismissHold", "POST", "/v1/integrations/staged/hold/dismiss", "", nil, 202},
	{"dismissHold", "POST", "/v1/integrations/none/hold/dismiss", "", nil, 404},
	{"listPeople", "GET", "/v1/integrations/hq/people", "", nil, 200},
	{"listPeople", "GET", "/v1/integrations/hq/people?state=granted&search=ADA", "", nil, 200},
	{"listPeople", "GET", "/v1/integrations/hq/people?state=happy", "", nil, 400},
	{"listPeople", "GET", "/v1/integrations/none/people", "", nil, 404},
	{"getPerson", "GET", "/v1/integrations/hq/people/ada", "", nil, 200},
	{"getPerson", "GET", "/v1/integrations/hq/people/nobody", "", nil, 404},
	{"getDrift", "GET", "/v1/integrations/hq/drift", "", nil, 200},
	{"getDrift", "GET", "/v1/integrations/none/drift", "", nil, 404},
	{"listRuns", "GET", "/v1/integrations/hq/runs", "", nil, 200},
	{"listRuns", "GET", "/v1/integrations/none/runs", "", nil, 404},
	{"getRun", "GET", "/v1/runs/hq.1000", "", nil, 200},
	{"getRun", "GET", "/v1/runs/hq.1", "", nil, 404},
	{"getRun", "GET", "/v1/runs/none.1", "", nil, 404},
	{"getRun", "GET", "/v1/runs/x", "", nil, 404},
	{"syncPerson", "POST", "/v1/people/ada/sync", `{"entra_connection_id":"contoso"}`, nil, 202},
	{"syncPerson", "POST", "/v1/people/ada/sync", `{"entra_connection_id":"none"}`, nil, 409},
	{"syncPerson", "POST", "/v1/people/ada/sync", `{}`, nil, 400},
	{"listEvents", "GET", "/v1/events?integration=hq&since=2020-01-01T00:00:00Z", "", nil, 200},
	{"listEvents", "GET", "/v1/events?since=yesterday", "", nil, 400},
	{"listEvents", "GET", "/v1/events?sinse=2020-01-01T00:00:00Z", "", nil, 400},
	{"exportEvents", "GET", "/v1/events.ndjson", "", nil, 200},
	{"exportEvents", "GET", "/v1/events.ndjson?person=", "", nil, 400},
	{"streamEvents", "GET", "/v1/events/stream", "", nil, 200},
	{"streamEvents", "GET", "/v1/events/stream", "", map[string]string{"Last-Event-ID": "99999999999999999999999999"}, 400},
	{"listSubscriptions", "GET", "/v1/subscriptions", "", nil, 200},
	{"listSubscriptions", "GET", "/v1/subscriptions?limit=201", "", nil, 400},
	{"getStatus", "GET", "/v1/status", "", nil, 200},
	{"getStatus", "GET", "/v1/status?x=1", "", nil, 400},
	{"listKeys", "GET", "/v1/keys", "", nil, 200},
	{"listKeys", "GET", "/v1/keys?limit=1&limit=2", "", nil, 400},
	{"createKey", "POST", "/v1/keys", `{"name":"ci","role":"viewer","expires_at":"2999-01-01T00:00:00Z"}`, nil, 201},
	{"createKey", "POST", "/v1/keys", `{"name":"ci","role":"viewer"}`, nil, 409},
	{"createKey", "POST", "/v1/keys", `{"name":"late","role":"viewer","expires_at":"1999-01-01T00:00:00Z"}`, nil, 422},
	{"createKey", "POST", "/v1/keys", `{"name":"x","role":"owner"}`, nil, 400},
	{"deleteKey", "DELETE", "/v1/keys/KEY", "", nil, 204},
	{"deleteKey", "DELETE", "/v1/keys/none", "", nil, 404},
	{"listDeadJobs", "GET", "/v1/queues/dead", "", nil, 200},
	{"listDeadJobs", "GET", "/v1/queues/dead?cursor=!", "", nil, 400},
	{"retryDeadJob", "POST", "/v1/queues/dead/pull.a/retry", "", nil, 200},
	{"retryDeadJob", "POST", "/v1/queues/dead/none/retry", "", nil, 404},
	{"retryDeadJobs", "POST", "/v1/queues/dead", "", nil, 200},
	{"retryDeadJobs", "POST", "/v1/queues/dead", `{"all":true}`, nil, 400},
}

// furnished is a world in which every exchange finds what it is about.
func furnished(t testing.TB) *world {
	w := newWorld(t)
	hq := w.integration("hq", 1, "ada", "bob", "cyd")
	w.integration("old", 4, "ada", "bob")
	staged := w.integration("staged", 5, "ada", "bob")
	w.group("lab", 2, "ada", "eve")
	ctx := t.Context()
	_, err := w.store.ChangeIntegration(ctx, "staged", func(i *access.Integration) bool { i.FirstBatch = 1; return true })
	w.check(err)
	w.grant(hq, "eve", 200)
	w.hold(hq, "eve", "bob")
	w.hold(staged, "ada")
	w.check(w.store.AddRun(ctx, "hq", store.Run{At: time.UnixMilli(1000), Cause: "sweep", Make: 3, Joined: 3}))
	w.check(w.store.SaveDrift(ctx, hq.Target, store.Drift{At: time.Now(), Vanished: []string{"ada"}, Locked: []string{"nobody"}, Strangers: []store.Stranger{{User: 9, Row: 10}}}))
	w.check(w.store.SaveTrouble(ctx, hq.Target, "cyd", &store.Trouble{Class: "busy", Err: "no answer", At: time.Now()}))
	for _, g := range []string{"hq", access.AllGroups, access.AllUsers} {
		w.check(w.store.SaveSubscription(ctx, access.Subscription{ID: "s", Group: access.Group{Connection: "contoso", ID: g}, Created: time.Now(), Expires: time.Now().Add(time.Hour)}))
	}
	w.check(w.store.AddEvent(ctx, store.Event{At: time.Now(), What: "access granted", Integrations: []string{"hq"}, Person: "ada", Told: time.Now(), Lag: time.Second}))
	w.clouds.all = append(w.clouds.all, store.Connection{ID: "spare", Kind: store.KisiConnection, Name: "Spare"})
	w.queues.bury("pull.a")
	w.queues.bury("pull.b")
	return w
}

func TestEveryOperationAnswersAsItIsDescribed(t *testing.T) {
	w, doc := furnished(t), document(t)
	id, _, err := w.gate.CreateKey(t.Context(), "to go", 1, nil)
	w.check(err)
	seen := map[string]string{}
	for _, x := range exchanges {
		x.path = strings.Replace(x.path, "KEY", id.ID, 1)
		t.Run(x.operation+" "+http.StatusText(x.want), func(t *testing.T) {
			rec := w.exchange(x)
			if rec.Code != x.want {
				t.Errorf("%s %s: %d, want %d: %s", x.method, x.path, rec.Code, x.want, rec.Body)
			}
			holds(t, doc, x, rec)
			if rec.Header().Get("X-Request-ID") == "" {
				t.Error("the answer has no X-Request-ID")
			}
		})
		if x.want < 300 {
			seen[x.operation] += "+"
		} else {
			seen[x.operation] += "-"
		}
	}
	for name := range doc {
		if !strings.Contains(seen[name], "+") || !strings.Contains(seen[name], "-") {
			t.Errorf("%s: wants an exchange that goes well and one that does not", name)
		}
	}
}

// exchange calls as an admin; a stream is left after a moment.
func (w *world) exchange(x exchange) *httptest.ResponseRecorder {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	if x.operation == "streamEvents" {
		ctx, cancel = context.WithTimeout(w.t.Context(), 200*time.Millisecond)
	}
	defer cancel()
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, request{method: x.method, path: x.path, body: x.body, header: x.header}.make(ctx, w.tokens["admin"]))
	return rec
}

// document lists the operations that ask for a role, by their ids.
func document(t testing.TB) map[string]*routers.Route {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(api.Document()))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*routers.Route{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.Extensions["x-role"] != nil {
				all[op.OperationID] = &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op}
			}
		}
	}
	return all
}

// holds holds an answer against the document.
func holds(t *testing.T, doc map[string]*routers.Route, x exchange, rec *httptest.ResponseRecorder) {
	t.Helper()
	kind := rec.Header().Get("Content-Type")
	streams := slices.Contains([]string{"application/x-ndjson", "text/event-stream"}, kind)
	err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: httptest.NewRequest(x.method, "http://bridge.example"+x.path, nil), Route: doc[x.operation],
		},
		Status: rec.Code, Header: rec.Header(), Body: io.NopCloser(bytes.NewReader(rec.Body.Bytes())),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: streams, MultiError: true},
	})
	if err != nil {
		t.Errorf("%s %s: %v", x.method, x.path, err)
	}
	if rec.Code >= 400 && kind != "application/problem+json" {
		t.Errorf("the answer %d is of the type %q", rec.Code, kind)
	}
}

func TestEachRouteLetsExactlyTheIntendedRolesIn(t *testing.T) {
	w := newWorld(t)
	least := map[string]int{"viewer": 1, "operator": 2, "admin": 3}
	for name, route := range document(t) {
		role := route.Operation.Extensions["x-role"].(string)
		path := strings.NewReplacer("{id}", "none", "{entra_user_id}", "none").Replace(route.Path)
		for _, who := range []string{"", "viewer", "operator", "admin"} {
			// What is wrong with the request is told to those who may make it.
			rec := w.do(request{method: route.Method, path: path + "?no_such_parameter=1", role: who})
			want := http.StatusBadRequest
			switch {
			case who == "":
				want = http.StatusUnauthorized
			case least[who] < least[role]:
				want = http.StatusForbidden
			}
			if rec.Code != want {
				t.Errorf("%s as %q: %d, want %d", name, who, rec.Code, want)
			}
			holds(t, map[string]*routers.Route{name: route}, exchange{operation: name, method: route.Method, path: path}, rec)
		}
	}
}

func TestProblemsNameTheFieldAndTheRemedy(t *testing.T) {
	w := furnished(t)
	type told struct {
		Type   string
		Errors []api.FieldProblem
	}
	hint := func(s string) *string { return &s }
	for _, tc := range []struct {
		name, body string
		status     int
		want       told
	}{
		{"an unknown field", unknownField, 400, told{"/problems/malformed", []api.FieldProblem{
			{Field: "mode", Detail: `property "mode" is unsupported`, Hint: hint("leave out what is not described")},
		}}},
		{"every wrong value at once", badFields, 422, told{"/problems/invalid", []api.FieldProblem{
			{Field: "name", Detail: `is empty; give the integration a name, as "HQ doors"`},
			{Field: "removal_hours", Detail: "is 0; give 1 to 8760 with removal_mode after, and none otherwise"},
		}}},
		{"what is not there", noGroup, 422, told{"/problems/invalid", []api.FieldProblem{
			{Field: "entra_group_id", Detail: "there is no group nowhere in Entra; give the object id of one"},
			{Field: "target.id", Detail: "there is no group 3 in Kisi; give the number of one"},
		}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := read[told](t, w.want(tc.status, "POST", "/v1/integrations", tc.body))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
		})
	}
}
