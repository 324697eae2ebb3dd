package app

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"kisibridge/internal/redistest"
)

// process makes an app that is not run.
func process(t *testing.T, o Options, environ ...string) *App {
	t.Helper()
	var err error
	if o.Config, err = Load(environ); err != nil {
		t.Fatal(err)
	}
	o.NoListen = true
	a, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() }) // a second time, where Run ran
	return a
}

func ask(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, http.NoBody))
	return w
}

func TestTheAppAnswersWhetherItLivesAndWhetherItIsReady(t *testing.T) {
	well := process(t, Options{Redis: redistest.Memory(t)}).Handler()
	worker := process(t, Options{Redis: redistest.Memory(t)}, "KISIBRIDGE_ROLES=worker").Handler()
	alone := process(t, Options{}, "KISIBRIDGE_REDIS_URL=redis://"+closedPort(t)).Handler()
	const fine, problem = "application/json", "application/problem+json"
	for _, tc := range []struct {
		name         string
		handler      http.Handler
		method, path string
		status       int
		kind, body   string
	}{
		{"lives", well, "GET", "/healthz", 200, fine, `{"status":"ok"}`},
		{"is ready", well, "GET", "/readyz", 200, fine, `{"status":"ready"}`},
		{"lives without Redis", alone, "GET", "/healthz", 200, fine, `{"status":"ok"}`},
		{"is not ready without Redis", alone, "GET", "/readyz", 503, problem, `{"title":"Service Unavailable","status":503,"detail":"` + notReady + `"}`},
		{"nothing is there", well, "GET", "/etc/passwd", 404, problem, `{"title":"Not Found","status":404}`},
		{"not in this way", well, "DELETE", "/healthz", 405, problem, `{"title":"Method Not Allowed","status":405}`},
		{"no notifications without the role", worker, "POST", "/webhooks/graph", 404, problem, `{"title":"Not Found","status":404}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			began := time.Now()
			got := ask(tc.handler, tc.method, tc.path)
			if got.Code != tc.status || got.Header().Get("Content-Type") != tc.kind {
				t.Errorf("got %d %s, want %d %s", got.Code, got.Header().Get("Content-Type"), tc.status, tc.kind)
			}
			if diff := cmp.Diff(tc.body, strings.TrimSpace(got.Body.String())); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if d := time.Since(began); d > 3*time.Second {
				t.Errorf("the answer took %v, want about a second at most", d)
			}
		})
	}
}

func TestGraphIsAnsweredByTheRoleAPI(t *testing.T) {
	h := process(t, Options{Redis: redistest.Memory(t)}, "KISIBRIDGE_ROLES=api").Handler()
	got := ask(h, "POST", "/webhooks/graph?validationToken=abc")
	if got.Code != http.StatusOK || got.Body.String() != "abc" {
		t.Errorf("got %d %q, want the validation token", got.Code, got.Body)
	}
}

func TestMetricsTellOfTheBridgeAndItsProcess(t *testing.T) {
	got := ask(process(t, Options{Redis: redistest.Memory(t)}).Handler(), "GET", "/metrics")
	for _, want := range []string{"\nkisibridge_", "\ngo_goroutines ", "\nprocess_start_time_seconds "} {
		if !strings.Contains(got.Body.String(), want) {
			t.Errorf("no %q among the metrics (status %d)", want, got.Code)
		}
	}
}

func TestAPanicIsLoggedAndNotShown(t *testing.T) {
	var said strings.Builder
	a := process(t, Options{Redis: redistest.Memory(t)})
	e := newRouter(a.store, a.registry, nil, NewLog(&said, "info"))
	e.GET("/panic", func(echo.Context) error { panic("hunter2") })
	got := ask(e, "GET", "/panic")
	if diff := cmp.Diff(`{"title":"Internal Server Error","status":500}`, strings.TrimSpace(got.Body.String())); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	var line struct{ Msg, Path, Err string }
	if err := json.Unmarshal([]byte(said.String()), &line); err != nil {
		t.Fatalf("%q: %v", said.String(), err)
	}
	if line.Msg != "a request failed" || line.Path != "/panic" || !strings.Contains(line.Err, "http_test.go") {
		t.Errorf("the log says %+v, want the request and where it failed", line)
	}
}

func TestWhoStopsTakesNothingNewAndAnswersWhatWasBegun(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, finish := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "done") // the client checks it
	})
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, l, h, slog.New(slog.DiscardHandler)) }()
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	answered := make(chan string, 1)
	go func() {
		answer, err := client.Get("http://" + l.Addr().String())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body) // a short text is not "done"
		answered <- string(text)
	}()
	<-begun
	cancel()
	for { // until the listener is closed
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		c.Close()
		time.Sleep(time.Millisecond)
	}
	close(finish)
	if got := <-answered; got != "done" {
		t.Errorf("got %q, want what was begun to be answered", got)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
