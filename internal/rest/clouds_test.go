package rest_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/bridge"
	"kisibridge/internal/fault"
	"kisibridge/internal/rest"
	"kisibridge/internal/store"
)

// silent wakes nobody: no work is done here.
type silent struct{}

func (silent) Wake(context.Context, ...access.Wake) error              { return nil }
func (silent) Later(context.Context, access.Wake, time.Duration) error { return nil }

// entraCloud is a tenant; what the API does not ask of one, it has not.
type entraCloud struct {
	bridge.Entra
	groups map[string][]access.Person
}

func (e *entraCloud) Group(_ context.Context, id string) (access.GroupInfo, error) {
	if _, ok := e.groups[id]; !ok {
		return access.GroupInfo{}, fault.New(fault.Missing, "group "+id, "there is none")
	}
	return access.GroupInfo{ID: id, Name: id}, nil
}

func (e *entraCloud) Members(_ context.Context, id string) ([]access.Member, []access.Person, error) {
	var members []access.Member
	for _, p := range e.groups[id] {
		members = append(members, access.Member{ID: p.ID, Kind: access.KindUser})
	}
	return members, slices.Clone(e.groups[id]), nil
}

func (e *entraCloud) Living(_ context.Context, people []string) (map[string]bool, error) {
	all := map[string]bool{}
	for _, id := range people {
		all[id] = true
	}
	return all, nil
}

func (e *entraCloud) Belongs(_ context.Context, people, groups []string) (map[string][]string, error) {
	all := map[string][]string{}
	for _, id := range people {
		all[id] = nil
		for _, g := range groups {
			if slices.ContainsFunc(e.groups[g], func(p access.Person) bool { return p.ID == id }) {
				all[id] = append(all[id], g)
			}
		}
	}
	return all, nil
}

// kisiCloud is an organization, as far as the API asks for it.
type kisiCloud struct {
	bridge.Kisi
	places map[access.Target]string
	rows   []access.Row

	mu    sync.Mutex // guards hooks
	hooks []access.Hook
}

func (k *kisiCloud) Describe(_ context.Context, _ access.Urgency, t access.Target) (access.Place, error) {
	name, ok := k.places[t]
	if !ok {
		return access.Place{}, fault.New(fault.Missing, t.String(), "there is none")
	}
	return access.Place{ID: t.ID, Name: name}, nil
}

func (k *kisiCloud) Imports(context.Context, access.Urgency, int) ([]access.KisiImport, error) {
	return nil, nil
}

func (k *kisiCloud) EachRow(_ context.Context, _ access.Urgency, _ access.Target, visit func([]access.Row, int) bool) error {
	visit(k.rows, len(k.rows))
	return nil
}

func (k *kisiCloud) Hooks(context.Context, access.Urgency) ([]access.Hook, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.hooks), nil
}

func (k *kisiCloud) AddHook(_ context.Context, _ access.Urgency, h access.Hook) (access.Hook, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h.ID = len(k.hooks) + 1
	k.hooks = append(k.hooks, h)
	return h, nil
}

func (k *kisiCloud) DropHook(_ context.Context, _ access.Urgency, id int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hooks = slices.DeleteFunc(k.hooks, func(h access.Hook) bool { return h.ID == id })
	return nil
}

// connections stand for those of the app.
type connections struct {
	store *store.Store
	mu    sync.Mutex // guards all
	all   []store.Connection
}

func (c *connections) Connections(context.Context) ([]store.Connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all), nil
}

func (c *connections) AddKisi(_ context.Context, name, key string) (store.Connection, error) {
	if strings.HasPrefix(key, "wrong") {
		return store.Connection{}, fault.New(fault.Invalid, "connection", "api_key: opens nothing")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	made := store.Connection{ID: fmt.Sprintf("k%d", len(c.all)), Kind: store.KisiConnection, Name: name, Organization: 8, Created: time.Now(), Checked: time.Now()}
	c.all = append(c.all, made)
	return made, nil
}

func (c *connections) find(id string) (*store.Connection, error) {
	for k := range c.all {
		if c.all[k].ID == id {
			return &c.all[k], nil
		}
	}
	return nil, fault.New(fault.Missing, "connection "+id, "there is none of that id")
}

func (c *connections) Change(_ context.Context, id string, name, key *string) (store.Connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	there, err := c.find(id)
	if err != nil {
		return store.Connection{}, err
	}
	if key != nil && strings.HasPrefix(*key, "wrong") {
		return *there, fault.New(fault.Invalid, "connection", "api_key: opens nothing")
	}
	if name != nil {
		there.Name = *name
	}
	return *there, nil
}

func (c *connections) Remove(_ context.Context, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = slices.DeleteFunc(c.all, func(s store.Connection) bool { return s.ID == id })
	return nil
}

func (c *connections) Check(_ context.Context, id string) (store.Connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	there, err := c.find(id)
	if err != nil {
		return store.Connection{}, err
	}
	there.Checked, there.Trouble = time.Now(), "no answer"
	return *there, nil
}

// Groups gives three groups a page.
func (c *connections) Groups(_ context.Context, _, search, cursor string) ([]access.GroupInfo, string, error) {
	pages := map[string]string{"": "abc", "2": "def", "3": "g"}
	var found []access.GroupInfo
	for _, r := range pages[cursor] {
		if strings.Contains(string(r), search) {
			found = append(found, access.GroupInfo{ID: string(r), Name: "group " + string(r)})
		}
	}
	return found, map[string]string{"": "2", "2": "3"}[cursor], nil
}

func (c *connections) Teams(context.Context, string, string) ([]access.GroupInfo, error) {
	return []access.GroupInfo{{ID: "1", Name: "red"}, {ID: "2", Name: "blue"}}, nil
}

func (c *connections) Authorize(_ context.Context, who string) (string, error) {
	if who == "" {
		return "", io.ErrUnexpectedEOF
	}
	return "https://login.example/adminconsent?state=s", nil
}

// queues stand for those of the app.
type queues struct {
	mu   sync.Mutex // guards dead
	dead map[string]rest.DeadJob
}

func (q *queues) Dead(context.Context) ([]rest.DeadJob, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Collect(maps.Values(q.dead)), nil
}

func (q *queues) Revive(_ context.Context, id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.dead[id]; !ok {
		return fault.New(fault.Missing, "dead job "+id, "there is none of that id")
	}
	delete(q.dead, id)
	return nil
}

func (q *queues) Status(context.Context) (rest.Work, error) {
	return rest.Work{
		Queues: []rest.QueueStatus{{Name: "revoke", Waiting: 1}}, Oldest: &rest.OldestJob{Queue: "revoke", WaitingSeconds: .5},
		Kisi: []rest.KisiBudget{{ConnectionID: "doors", Rate: 5, Used: .5}},
	}, nil
}

func (q *queues) bury(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.dead == nil {
		q.dead = map[string]rest.DeadJob{}
	}
	failed := time.Now()
	q.dead[id] = rest.DeadJob{ID: id, Queue: "pull", Kind: "pull", Name: "contoso/hq", Error: "no", Attempts: 9, FailedAt: &failed}
}
