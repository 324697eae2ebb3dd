package entra

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	abstractions "github.com/microsoft/kiota-abstractions-go"

	"kisibridge/internal/fault"
)

const (
	batchSize  = 20 // Graph: json-batching
	batchesOut = 4
)

// A batchRequest and a batchAnswer are as JSON batching has them. They are our
// own because the SDK's make a tree of maps of every person.
type batchRequest struct {
	ID      string            `json:"id"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    any               `json:"body,omitempty"`
}

type batchAnswer struct {
	ID      string            `json:"id"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

// A batch is some requests, each to be answered on its own.
type batch struct {
	kind kind
	op   string
	all  []batchRequest
	open []int // positions in all of those still to be answered
	take func(n int, a batchAnswer) error
}

// inBatches sends requests twenty at a time and hands over the answer to the
// one at n, for several n at once. What take refuses for a moment is asked
// again; what it refuses otherwise is the end.
func (c *Client) inBatches(ctx context.Context, k kind, op string, all []batchRequest, take func(n int, a batchAnswer) error) error {
	places := make([]int, len(all))
	for n := range all {
		places[n], all[n].ID = n, strconv.Itoa(n)
		all[n].mark(priority(ctx))
	}
	chunks := slices.Collect(slices.Chunk(places, batchSize))
	return spread(ctx, len(chunks), func(ctx context.Context, i int) error {
		b := &batch{kind: k, op: op, all: all, open: chunks[i], take: take}
		return patiently(ctx, func() error { return b.ask(ctx, c) })
	})
}

// mark says on the request itself how urgent it is: the requests of a batch
// are throttled one by one (Graph: throttling).
func (r *batchRequest) mark(priority string) {
	if r.Headers == nil {
		r.Headers = map[string]string{}
	}
	r.Headers[priorityHeader] = priority
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

// ask asks what is open. Whatever is throttled for a moment stays open; what
// was not answered for another reason is an error, never an absence.
func (b *batch) ask(ctx context.Context, c *Client) error {
	answers, err := call(ctx, c, b.kind, b.op, func(ctx context.Context) (map[string]batchAnswer, error) {
		return c.post(ctx, b.requests())
	})
	if err != nil {
		return err
	}
	var open []int
	var later error
	for _, n := range b.open {
		err := b.take(n, answers[b.all[n].ID])
		switch {
		case brief(err):
			open, later = append(open, n), longer(later, err)
		case err != nil:
			return err
		}
	}
	b.open = open
	return later
}

func (b *batch) requests() []batchRequest {
	requests := make([]batchRequest, 0, len(b.open))
	for _, n := range b.open {
		requests = append(requests, b.all[n])
	}
	return requests
}

func longer(a, b error) error {
	if fault.After(a) > fault.After(b) {
		return a
	}
	return b
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
	said, err := c.adapter.SendPrimitive(ctx, info, "[]byte", odataErrors())
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

// refusal tells why the answer is none, or nil when it is one.
func (a batchAnswer) refusal(k kind, op string) error {
	switch a.Status {
	case 0:
		return fault.New(fault.Busy, op, "the batch answered without it")
	case http.StatusOK:
		return nil
	}
	var said struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal(a.Body, &said) // what speaks otherwise than Graph has no code
	return refused(k, op, a.Status, said.Error.Code, said.Error.Message, a.headers())
}

func (a batchAnswer) headers() *abstractions.ResponseHeaders {
	h := abstractions.NewResponseHeaders()
	for name, value := range a.Headers {
		h.Add(name, value)
	}
	return h
}
