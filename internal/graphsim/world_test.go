package graphsim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const graphHost = "https://graph.example"

// A world is a tenant, a client of it, and a bridge that listens.
type world struct {
	*Server
	t      *testing.T
	bridge *bridge
	client http.RoundTripper
	breach *bool // violations are expected
}

func newWorld(t *testing.T, opts Options) *world {
	w := &world{t: t, bridge: &bridge{}, breach: new(bool)}
	if opts.Notify == nil {
		opts.Notify = RoundTripper(w.bridge)
	}
	opts.Violation = func(said string) {
		if !*w.breach {
			t.Errorf("violation: %s", said)
		}
	}
	w.Server = New(opts)
	w.client = RoundTripper(w.Server)
	t.Cleanup(w.Close)
	return w
}

// in is the same world in a subtest.
func (w *world) in(t *testing.T) *world {
	same := *w
	same.t = t
	return &same
}

// person adds somebody whose address is their id.
func (w *world) person(ids ...string) {
	for _, id := range ids {
		upn := id + "@contoso.example"
		w.AddUser(User{ID: id, DisplayName: id, UserPrincipalName: upn, Mail: new(upn), AccountEnabled: true})
	}
}

// group adds a group of people, whom it makes.
func (w *world) group(id string, people ...string) {
	w.AddGroup(id, id+" doors")
	w.person(people...)
	w.Join(id, people...)
}

type object = map[string]any

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	text   string
	body   object
}

func (w *world) do(method, target, body string, header ...string) (reply, error) {
	w.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = graphHost + target
	}
	target = strings.ReplaceAll(target, " ", "%20")
	req, err := http.NewRequestWithContext(w.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.Token())
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			req.Header.Del(header[i])
		}
	}
	resp, err := w.client.RoundTrip(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	r := reply{status: resp.StatusCode, header: resp.Header, text: string(text)}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(text, &r.body); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, target, err, text)
		}
	}
	return r, nil
}

// want does a request and wants it answered with status.
func (w *world) want(status int, method, target, body string, header ...string) reply {
	w.t.Helper()
	r, err := w.do(method, target, body, header...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, target, err)
	}
	if r.status != status {
		w.t.Fatalf("%s %s answered %d, want %d: %s", method, target, r.status, status, r.text)
	}
	return r
}

func (w *world) get(target string, header ...string) reply {
	w.t.Helper()
	return w.want(http.StatusOK, http.MethodGet, target, "", header...)
}

// refused wants a breach of the contract: 400, and one more violation.
func (w *world) refused(method, target, body string) {
	w.t.Helper()
	before := len(w.Violations())
	*w.breach = true
	defer func() { *w.breach = false }()
	w.want(http.StatusBadRequest, method, target, body)
	if got := len(w.Violations()) - before; got != 1 {
		w.t.Errorf("%s %s made %d violations, want 1", method, target, got)
	}
}

func (r reply) values() []object {
	var list []object
	for _, v := range r.body["value"].([]any) {
		list = append(list, v.(object))
	}
	return list
}

func (r reply) code() any {
	e, _ := r.body["error"].(object)
	return e["code"]
}

// pluck returns one property of each line.
func (r reply) pluck(name string) []any {
	var list []any
	for _, v := range r.values() {
		list = append(list, v[name])
	}
	return list
}

// A tale is what one delta round told, merged: for each object its members
// ("+ada", "-bob") or its removal.
type tale map[string][]string

// round follows a delta link to its end.
func (w *world) round(link string) (tale, string) {
	w.t.Helper()
	told := tale{}
	for {
		page := w.get(link)
		for _, v := range page.values() {
			told.add(v)
		}
		if next, more := page.body["@odata.nextLink"].(string); more {
			link = next
			continue
		}
		return told, page.body["@odata.deltaLink"].(string)
	}
}

func (told tale) add(v object) {
	id := v["id"].(string)
	if r, gone := v["@removed"].(object); gone {
		told[id] = append(told[id], "removed: "+r["reason"].(string))
		return
	}
	told[id] = append(told[id], []string{}...)
	members, _ := v["members@delta"].([]any)
	for _, m := range members {
		m := m.(object)
		sign := "+"
		if _, gone := m["@removed"]; gone {
			sign = "-"
		}
		told[id] = append(told[id], sign+m["id"].(string))
	}
}

func (w *world) wantRound(link string, want tale) string {
	w.t.Helper()
	got, next := w.round(link)
	if diff := cmp.Diff(want, got, sameWhenEmpty()); diff != "" {
		w.t.Errorf("delta round (-want +got):\n%s", diff)
	}
	return next
}

// sameWhenEmpty sees no difference between nil and no members.
func sameWhenEmpty() cmp.Option {
	return cmp.Comparer(func(a, b []string) bool { return strings.Join(a, " ") == strings.Join(b, " ") })
}

func groupsDelta(ids ...string) string {
	link := graphHost + "/v1.0/groups/delta?$select=id,displayName,members"
	if len(ids) > 0 {
		link += "&$filter=" + url.QueryEscape("id eq '"+strings.Join(ids, "' or id eq '")+"'")
	}
	return link
}

// A bridge is the other end of notifications: it shakes hands and keeps what
// it is sent. The zero value answers 202 at once.
type bridge struct {
	mu     sync.Mutex // guards all below
	status int        // of answers to notifications; 0: 202
	mute   string     // a path that does not shake hands
	got    []arrival
}

type arrival struct {
	At    time.Time
	Path  string
	Value []object
}

func (b *bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if token := r.URL.Query().Get("validationToken"); token != "" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if r.URL.Path != b.mute {
			_, _ = io.WriteString(w, token) // in memory
		}
		return
	}
	text, _ := io.ReadAll(r.Body)
	var body struct{ Value []object }
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b.got = append(b.got, arrival{At: time.Now(), Path: r.URL.Path, Value: body.Value})
	status := b.status
	if status == 0 {
		status = http.StatusAccepted
	}
	w.WriteHeader(status)
}

func (b *bridge) answer(status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status = status
}

// took returns what came, and forgets it.
func (b *bridge) took() []arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.got
	b.got = nil
	return got
}

// subscription is the body of a POST that Graph takes.
func subscription(resource string, change ...string) string {
	fields := object{
		"changeType":         "updated,deleted",
		"notificationUrl":    "https://bridge.example/webhooks/graph",
		"resource":           resource,
		"expirationDateTime": time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339),
		"clientState":        "s3cret",
	}
	for i := 0; i < len(change); i += 2 {
		fields[change[i]] = change[i+1]
	}
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (w *world) subscribe(resource string, change ...string) string {
	w.t.Helper()
	r := w.want(http.StatusCreated, "POST", "/v1.0/subscriptions", subscription(resource, change...))
	return r.body["id"].(string)
}
