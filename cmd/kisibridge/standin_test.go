package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kisibridge/api"
	"kisibridge/internal/graphsim"
)

// A counter stands where a bridge would: it answers as openapi.yaml says, as
// far as commands need it, and writes down what it was asked.
type counter struct {
	t            testing.TB
	connections  []api.Connection
	integrations []api.Integration
	runs         []api.Run // what a run looks like, glance after glance
	asked        []string  // method and path of what changes something, and its body
	pages        int       // that were given
	refuse       map[string]api.Problem
}

// dawn is when everything of a counter was made.
func dawn() time.Time { return time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC) }

func newCounter(t testing.TB) *counter {
	tenant := api.Tenant{ID: "contoso", DisplayName: "Contoso"}
	return &counter{t: t, refuse: map[string]api.Problem{}, connections: []api.Connection{
		{ID: "contoso", Kind: api.ConnectionKindEntra, Name: "Contoso", Tenant: &tenant, CreatedAt: dawn()},
		{ID: "01KISI", Kind: api.ConnectionKindKisi, Name: "Doors", Organization: &api.Organization{ID: 4711, Name: "Contoso Ltd"}, CreatedAt: dawn()},
	}}
}

// do runs a command against the counter; errors are among the words.
func (c *counter) do(ctx context.Context, environ []string, args ...string) (status int, out, errs string) {
	var o, e strings.Builder
	p := &program{environ: environ, in: strings.NewReader("secret-of-kisi\n"), out: &o, err: &e, to: graphsim.RoundTripper(c)}
	status = p.run(ctx, args)
	return status, o.String(), e.String()
}

// with runs a command that must go well against something else.
func (c *counter) with(ctx context.Context, to http.RoundTripper, args ...string) string {
	c.t.Helper()
	var o, e strings.Builder
	p := &program{out: &o, err: &e, to: to}
	if status := p.run(ctx, args); status != exitWell {
		c.t.Errorf("%q ends with %d: %s", args, status, &e)
	}
	return o.String()
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := http.NewServeMux()
	m.HandleFunc("GET /v1/connections", func(w http.ResponseWriter, r *http.Request) { list(c, w, r, c.connections) })
	m.HandleFunc("GET /v1/connections/{id}", func(w http.ResponseWriter, r *http.Request) {
		give(w, http.StatusOK, c.connections[c.connection(r.PathValue("id"))])
	})
	m.HandleFunc("POST /v1/connections", c.createConnection)
	m.HandleFunc("PATCH /v1/connections/{id}", c.updateConnection)
	m.HandleFunc("GET /v1/integrations", func(w http.ResponseWriter, r *http.Request) { list(c, w, r, c.integrations) })
	m.HandleFunc("POST /v1/integrations", c.createIntegration)
	m.HandleFunc("GET /v1/integrations/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"7"`)
		give(w, http.StatusOK, c.integrations[c.integration(r.PathValue("id"))])
	})
	m.HandleFunc("PATCH /v1/integrations/{id}", c.updateIntegration)
	m.HandleFunc("POST /v1/integrations/{id}/sync", func(w http.ResponseWriter, _ *http.Request) { give(w, http.StatusAccepted, c.run()) })
	m.HandleFunc("GET /v1/runs/{id}", func(w http.ResponseWriter, _ *http.Request) { give(w, http.StatusOK, c.run()) })
	for pattern, problem := range c.refuse {
		m.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(problem.Status)
			_ = json.NewEncoder(w).Encode(problem) // a recorder
		})
	}
	m.ServeHTTP(w, r)
}

func give(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a recorder
}

// list gives pages of two at most, whatever was asked for.
func list[T any](c *counter, w http.ResponseWriter, r *http.Request, of []T) {
	c.pages++
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor")) // none is 0
	size, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || size < 1 || size > 200 {
		c.t.Errorf("%s: a limit of %d", r.URL, size)
	}
	got := page[T]{Items: slices.Clone(of[from:min(len(of), from+min(2, size))])}
	if end := from + len(got.Items); end < len(of) {
		got.Next = strconv.Itoa(end)
	}
	give(w, http.StatusOK, got)
}

// run is how far the run is now.
func (c *counter) run() api.Run {
	now := c.runs[0]
	if len(c.runs) > 1 {
		c.runs = c.runs[1:]
	}
	return now
}

func (c *counter) connection(id string) int {
	return slices.IndexFunc(c.connections, func(x api.Connection) bool { return x.ID == id })
}

func (c *counter) integration(id string) int {
	return slices.IndexFunc(c.integrations, func(x api.Integration) bool { return x.ID == id })
}

// take reads a body strictly, and writes down what was asked.
func (c *counter) take(r *http.Request, into any) {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		c.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	text, _ := json.Marshal(into) // it was read from JSON
	c.asked = append(c.asked, fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, text))
}

func (c *counter) createConnection(w http.ResponseWriter, r *http.Request) {
	var made api.ConnectionCreate
	c.take(r, &made)
	c.connections = append(c.connections, api.Connection{ID: "01NEW", Kind: made.Kind, Name: made.Name, CreatedAt: dawn()})
	give(w, http.StatusCreated, c.connections[len(c.connections)-1])
}

func (c *counter) updateConnection(w http.ResponseWriter, r *http.Request) {
	var patch api.ConnectionPatch
	c.take(r, &patch)
	at := &c.connections[c.connection(r.PathValue("id"))]
	if patch.Name != nil {
		at.Name = *patch.Name
	}
	give(w, http.StatusOK, *at)
}

func (c *counter) createIntegration(w http.ResponseWriter, r *http.Request) {
	var made api.IntegrationCreate
	c.take(r, &made)
	i := api.Integration{
		ID: fmt.Sprintf("01I%d", len(c.integrations)+1), State: api.IntegrationStateActive, StateSince: dawn(), CreatedAt: dawn(),
		EmailProperty: api.EmailPropertyUPN, Membership: api.MembershipDirect, ExistingAccess: api.ExistingAccessAdopt,
		DisabledAccounts: api.DisabledAccountsRevoke, RemovalMode: api.RemovalModeAtOnce, RemovalLimit: api.RemovalLimit{Count: 25, Percent: 20},
		Guests: true, Notify: true, SendEmails: true, Exclude: api.Exclude{},
	}
	c.fill(&i, made)
	c.integrations = append(c.integrations, i)
	give(w, http.StatusCreated, i)
}

func (c *counter) updateIntegration(w http.ResponseWriter, r *http.Request) {
	var patch api.IntegrationPatch
	c.take(r, &patch)
	at := &c.integrations[c.integration(r.PathValue("id"))]
	if got := r.Header.Get("If-Match"); got != `"7"` {
		c.t.Errorf("PATCH of %s with If-Match %s, want the ETag that was given", at.ID, got)
	}
	c.fill(at, patch)
	give(w, http.StatusOK, *at)
}

// fill copies fields of the same names.
func (c *counter) fill(i *api.Integration, from any) {
	text, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(text, i)
	}
	if err != nil {
		c.t.Error(err)
	}
}
