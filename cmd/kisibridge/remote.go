package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kisibridge/api"
	"kisibridge/internal/app"
	"kisibridge/internal/fault"
)

// The settings of the commands that speak to a bridge.
const (
	urlSetting   = "KISIBRIDGE_URL"
	tokenSetting = "KISIBRIDGE_TOKEN"
	defaultURL   = "http://localhost:8080"
)

// A remote is a bridge somewhere, as its API shows it.
type remote struct {
	*program
	api *api.Client
}

// remote are the commands over the API.
func (p *program) remote() []*cobra.Command {
	all := []*cobra.Command{
		p.integrations(), p.connections(), p.events(), p.keys(), p.status(), p.dead(), p.syncPerson(), p.export(), p.imports(),
	}
	for _, c := range all {
		f := c.PersistentFlags()
		f.StringVar(&p.server, "url", "", "instead of "+urlSetting)
		f.StringVarP(&p.output, "output", "o", "table", "table, json or yaml")
		_ = c.RegisterFlagCompletionFunc("output", oneOf("table", "json", "yaml")) // the flag is there
	}
	return all
}

// dial makes the client; it calls nobody.
func (p *program) dial() (*remote, error) {
	if _, err := p.form(); err != nil {
		return nil, err
	}
	at := cmp.Or(p.server, p.setting(urlSetting), defaultURL)
	if u, err := url.Parse(at); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, misused("%s: is %q; use the address of a bridge, as https://bridge.example", urlSetting, at)
	}
	way := p.to
	if way == nil {
		var err error
		ca := cmp.Or(*p.flags["CA_FILE"], p.setting("KISIBRIDGE_CA_FILE"))
		if way, err = (app.Config{CAFile: ca}).Transport(); err != nil {
			return nil, err
		}
	}
	c, err := api.NewClient(strings.TrimRight(at, "/"),
		api.WithHTTPClient(patient{&http.Client{Transport: way}}), api.WithRequestEditorFn(p.sign))
	return &remote{p, c}, err
}

// over is the RunE of a command over the API.
func (p *program) over(do func(ctx context.Context, r *remote, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		r, err := p.dial()
		if err != nil {
			return err
		}
		return do(cmd.Context(), r, args)
	}
}

// setting reads the environment; the last one counts.
func (p *program) setting(name string) string {
	value := ""
	for _, line := range p.environ {
		if n, v, _ := strings.Cut(line, "="); n == name {
			value = v
		}
	}
	return value
}

// sign says who calls.
func (p *program) sign(_ context.Context, req *http.Request) error {
	if token := p.setting(tokenSetting); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("User-Agent", "kisibridge/"+version)
	return nil
}

// patient sends again what came too early, as long as the bridge says when.
type patient struct{ *http.Client }

// tries bound how often a request is sent.
const tries = 5

func (d patient) Do(req *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		answer, err := d.Client.Do(req)
		if err != nil || answer.StatusCode != http.StatusTooManyRequests || try == tries {
			return answer, err
		}
		seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
		if err != nil || seconds > 60 {
			return answer, nil
		}
		if err := errors.Join(answer.Body.Close(), pause(req.Context(), time.Duration(seconds)*time.Second)); err != nil {
			return nil, err
		}
		if req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// read takes an answer of the generated client apart.
func read[T any](answer *http.Response, err error) (T, error) {
	v, _, err := tagged[T](answer, err)
	return v, err
}

// tagged is read that also gives the ETag, for If-Match.
func tagged[T any](answer *http.Response, err error) (v T, etag string, _ error) {
	body, err := taken(answer, err)
	if err != nil {
		return v, "", err
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return v, "", fmt.Errorf("%s: the answer is not what openapi.yaml says (%w); is %s right?", asked(answer), err, urlSetting)
	}
	return v, answer.Header.Get("ETag"), nil
}

// done takes an answer without content.
func done(answer *http.Response, err error) error {
	_, err = taken(answer, err)
	return err
}

// taken reads an answer whole; what is no success becomes an error.
func taken(answer *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, unreached(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return nil, unreached(err)
	case answer.StatusCode >= 300:
		return nil, problemOf(answer, body)
	}
	return body, nil
}

// unreached is an error of a bridge that did not answer.
func unreached(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &fault.Error{
		Class: fault.Busy, Op: "ask the bridge", Err: err,
		Hint: "start it with kisibridge serve, or set " + urlSetting + " to where it runs",
	}
}

func asked(answer *http.Response) string {
	if answer.Request == nil {
		return "the bridge"
	}
	return answer.Request.Method + " " + answer.Request.URL.String()
}
