package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"kisibridge/internal/bridge"
	"kisibridge/internal/fault"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisisim"
	"kisibridge/internal/redistest"
)

func TestAnAppWithoutConnectionsRunsEndsAndLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which ends only when no goroutine is left
		var said strings.Builder
		a := process(t, Options{Redis: redistest.Memory(t), Poll: time.Second, Log: NewLog(&said, "info")})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if err := a.Run(ctx); err != nil {
			t.Error(err)
		}
		if d := time.Since(began); d < time.Minute || d > 80*time.Second {
			t.Errorf("it ran for %v, want a minute and a moment", d)
		}
		for _, want := range []string{`"setting":"AZURE_TENANT_ID"`, `"setting":"KISI_API_KEY"`, `"msg":"kisibridge ends"`} {
			if strings.Count(said.String(), want) != 1 {
				t.Errorf("the log says %s, want %s once", said.String(), want)
			}
		}
	})
}

func TestShiftsStopOneAfterTheOtherAndWhatWasOpenedIsClosedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := make(chan string, 10)
		slow := func(name string) loop {
			return loop{name, func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(time.Second)
				said <- name
				return nil
			}}
		}
		closing := func(name string) func() error {
			return func() error { said <- "close " + name; return nil }
		}
		a := &App{
			log:    slog.New(slog.DiscardHandler),
			shifts: [][]loop{{slow("http")}, {slow("worker")}, {slow("queue")}}, closers: []func() error{closing("redis"), closing("listener")},
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := a.Run(ctx); err != nil {
			t.Error(err)
		}
		close(said)
		var got []string
		for name := range said {
			got = append(got, name)
		}
		if diff := cmp.Diff([]string{"http", "worker", "queue", "close listener", "close redis"}, got); diff != "" {
			t.Errorf("ends (-want +got):\n%s", diff)
		}
	})
}

func TestALoopThatFailsEndsTheOthersAndIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		ended := false
		a := &App{log: slog.New(slog.DiscardHandler), shifts: [][]loop{
			{{"http", func(ctx context.Context) error { <-ctx.Done(); ended = true; return nil }}},
			{{"worker", func(context.Context) error { time.Sleep(time.Second); return broken }}},
		}}
		err := a.Run(t.Context())
		if !errors.Is(err, broken) || err.Error() != "worker: broken" || !ended {
			t.Errorf("got %v, the other ended: %t; want worker: broken, and true", err, ended)
		}
	})
}

func TestAKeyOfAnotherOrganizationEndsTheApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := kisisim.New(kisisim.Options{Violation: func(v string) { t.Errorf("Kisi: %s", v) }})
		a := process(t, Options{
			Redis: redistest.Memory(t), Poll: time.Second, KisiTransport: graphsim.RoundTripper(k),
		}, "KISI_API_KEY="+kisisim.DefaultAPIKey)
		if err := a.Store().Bind(t.Context(), KisiConnection, -1); err != nil {
			t.Fatal(err)
		}
		if err := a.Run(t.Context()); !fault.Is(err, fault.Denied) || !strings.HasPrefix(err.Error(), "bind: ") {
			t.Errorf("got %v, want that the key is of another organization", err)
		}
	})
}

func TestAKisiThatRefusesTheKeyEndsNothingAndIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said strings.Builder
		k := kisisim.New(kisisim.Options{})
		a := process(t, Options{
			Redis: redistest.Memory(t), Poll: time.Second, KisiTransport: graphsim.RoundTripper(k), Log: NewLog(&said, "info"),
		}, "KISI_API_KEY=wrong")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		if err := a.Run(ctx); err != nil {
			t.Error(err)
		}
		if n := strings.Count(said.String(), "the Kisi key is not known to be right yet"); n != 1 {
			t.Errorf("told %d times, want once:\n%s", n, said.String())
		}
	})
}

func TestWhatNewBeganIsUndoneWhenItGoesWrong(t *testing.T) {
	broken := errors.New("no such certificate")
	c, err := Load([]string{"AZURE_TENANT_ID=t", "AZURE_CLIENT_ID=c", "AZURE_CLIENT_SECRET=s"})
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(t.Context(), Options{
		Config: c, Entra: func(Config, string, prometheus.Registerer) (bridge.Entra, error) { return nil, broken },
	})
	if !errors.Is(err, broken) || a != nil {
		t.Errorf("got %v, %v; want no app, and the cause", a, err)
	}
}
