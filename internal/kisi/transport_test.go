package kisi_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/kisi"
)

// These are the only tests with sockets: what they are about is the transport.

func TestConnectionsAreKeptAndUsedAgain(t *testing.T) {
	const workers = 16
	var opened atomic.Int32
	var together sync.WaitGroup
	together.Add(workers)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/users/") {
			together.Done()
			together.Wait()
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, html)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	c := client(t, kisi.Options{URL: srv.URL, APIKey: secret})

	var calls sync.WaitGroup
	for n := range workers {
		calls.Go(func() {
			if _, err := c.User(t.Context(), access.Look, n+1); !fault.Is(err, fault.Busy) {
				t.Errorf("got %v, want busy", err)
			}
		})
	}
	calls.Wait()
	for n := range 50 {
		if err := c.Revoke(t.Context(), access.Revoke, doors, n+1); err != nil {
			t.Error(err)
		}
	}
	if got := opened.Load(); got != workers {
		t.Errorf("%d connections for %d calls at once and 50 after them, want %d", got, workers, workers)
	}
}

func TestWhatWasNeverSentMayBeSentAgain(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	strange := client(t, kisi.Options{URL: srv.URL, APIKey: secret})
	if err := grant(t.Context(), strange); !fault.Is(err, fault.Busy) || !strings.Contains(fault.Hint(err), "KISIBRIDGE_CA_FILE") {
		t.Errorf("got %v, want busy, and how to trust the certificate", err)
	}
	srv.Close()
	if err := grant(t.Context(), strange); !fault.Is(err, fault.Busy) {
		t.Errorf("got %v of class %v, want busy, for nobody listens", err, fault.Of(err))
	}
}

func TestAKeyIsNotSentWhereKisiPoints(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	defer elsewhere.Close()
	srv := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer srv.Close()
	if err := grant(t.Context(), client(t, kisi.Options{URL: srv.URL, APIKey: secret})); !fault.Is(err, fault.Bug) {
		t.Errorf("got %v, want a bug", err)
	}
}
