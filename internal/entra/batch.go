package entra

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/models/odataerrors"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

const (
	batchSize  = 20 // Graph: json-batching
	batchesOut = 4
)

// People reads details by id, twenty a request; who was deleted comes back as
// gone. They are sorted by id, each once.
func (c *Client) People(ctx context.Context, ids []string) ([]access.Person, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	if len(ids) > 0 && ids[0] == "" {
		return nil, fault.New(fault.Invalid, "graph: read people", "an id is empty") // it would list everybody
	}
	people := make([]access.Person, len(ids))
	batches := slices.Collect(slices.Chunk(ids, batchSize))
	err := spread(ctx, len(batches), func(ctx context.Context, n int) error {
		return c.readPeople(ctx, batches[n], people[n*batchSize:])
	})
	if err != nil {
		return nil, err
	}
	return people, nil
}

// spread does n things, some at a time, until one fails, and gives its error:
// those of the others come of being stopped.
func spread(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	workers := min(batchesOut, n)
	errs := make(chan error, workers+1)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(taken.Add(1)) - 1; i < n; i = int(taken.Add(1)) - 1 {
				if err := do(ctx, i); err != nil {
					errs <- err
					stop()
					return
				}
			}
		})
	}
	wg.Wait()
	errs <- nil
	return <-errs
}

// readPeople puts up to twenty people where their ids stand.
func (c *Client) readPeople(ctx context.Context, ids []string, into []access.Person) error {
	b := &batch{ids: ids, people: into}
	for n := range ids {
		b.open = append(b.open, n)
	}
	return patiently(ctx, func() error { return b.ask(ctx, c) })
}

// A batch is some people, each to be answered on its own.
type batch struct {
	ids    []string
	people []access.Person
	open   []int // who is still to be asked about
}

// ask asks about those who are open. Whoever is throttled for a moment stays
// open; who was not read for another reason is an error, never an absence.
func (b *batch) ask(ctx context.Context, c *Client) error {
	answers, err := call(ctx, c, peopleCall, "read people", func(ctx context.Context) (map[string]batchAnswer, error) {
		return c.post(ctx, b.requests())
	})
	if err != nil {
		return err
	}
	var open []int
	var later error
	for _, n := range b.open {
		p, err := answers[strconv.Itoa(n)].person(b.ids[n])
		switch {
		case brief(err):
			open, later = append(open, n), longer(later, err)
		case err != nil:
			return err
		default:
			b.people[n] = p
		}
	}
	b.open = open
	return later
}

func longer(a, b error) error {
	if fault.After(a) > fault.After(b) {
		return a
	}
	return b
}

// A batchRequest and a batchAnswer are as JSON batching has them. They are our
// own because the SDK's make a tree of maps of every person.
type batchRequest struct {
	ID     string `json:"id"`
	Method string `json:"method"`
	URL    string `json:"url"`
}

type batchAnswer struct {
	ID      string            `json:"id"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

func (b *batch) requests() []batchRequest {
	query := "?$select=" + strings.Join(personFields, ",")
	var requests []batchRequest
	for _, n := range b.open {
		requests = append(requests, batchRequest{strconv.Itoa(n), http.MethodGet, "/users/" + url.PathEscape(b.ids[n]) + query})
	}
	return requests
}

// post sends requests through the SDK, which signs in and reads errors.
func (c *Client) post(ctx context.Context, requests []batchRequest) (map[string]batchAnswer, error) {
	body, err := json.Marshal(map[string]any{"requests": requests})
	if err != nil {
		return nil, err
	}
	info := abstractions.NewRequestInformation()
	info.Method, info.UrlTemplate = abstractions.POST, "{+baseurl}/$batch"
	info.Headers.TryAdd("Accept", "application/json")
	info.SetStreamContentAndContentType(body, "application/json")
	said, err := c.adapter.SendPrimitive(ctx, info, "[]byte", abstractions.ErrorMappings{"XXX": odataerrors.CreateODataErrorFromDiscriminatorValue})
	if err != nil {
		return nil, err
	}
	text, _ := said.([]byte) // nothing at all is no JSON either
	var answer struct {
		Responses []batchAnswer `json:"responses"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("read the batch's answer: %w", err)
	}
	byID := make(map[string]batchAnswer, len(answer.Responses))
	for _, a := range answer.Responses {
		byID[a.ID] = a
	}
	return byID, nil
}

// person reads the answer about one person.
func (a batchAnswer) person(id string) (access.Person, error) {
	op := "graph: read person " + id
	var u struct {
		ID      string `json:"id"`
		Name    string `json:"displayName"`
		UPN     string `json:"userPrincipalName"`
		Mail    string `json:"mail"`
		Enabled *bool  `json:"accountEnabled"`
		Error   struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	broken := json.Unmarshal(a.Body, &u)
	switch {
	case a.Status == 0:
		return access.Person{}, fault.New(fault.Busy, op, "the batch answered without it")
	case a.Status != http.StatusOK:
		return a.refusal(id, refused(peopleCall, op, a.Status, u.Error.Code, u.Error.Message, a.headers()))
	case broken != nil || !strings.EqualFold(u.ID, id):
		return access.Person{}, fault.New(fault.Busy, op, "the batch answered with something else")
	}
	p := access.Person{ID: id, Name: u.Name, UPN: u.UPN, Mail: u.Mail, Disabled: u.Enabled != nil && !*u.Enabled}
	return p, readable(p)
}

// refusal takes a 404 for what it says, when Graph says it.
func (a batchAnswer) refusal(id string, err error) (access.Person, error) {
	if fault.Is(err, fault.Missing) {
		return access.Person{ID: id, Gone: true}, nil
	}
	return access.Person{}, err
}

func (a batchAnswer) headers() *abstractions.ResponseHeaders {
	h := abstractions.NewResponseHeaders()
	for name, value := range a.Headers {
		h.Add(name, value)
	}
	return h
}
