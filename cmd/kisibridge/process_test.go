package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisisim"
)

// The test binary is also every process of a test: the program itself, and
// both stand-ins.
func TestMain(m *testing.M) {
	switch os.Getenv("KISIBRIDGE_TEST_PROCESS") {
	case "":
		os.Exit(m.Run())
	case "program":
		main()
	case "graph":
		s := graphsim.New(graphsim.Options{Notify: trusting(os.Getenv("KISIBRIDGE_TEST_CA"))})
		people, _ := strconv.Atoi(os.Getenv("KISIBRIDGE_TEST_PEOPLE"))
		s.Seed(people, 12)
		standIn(s)
	case "kisi":
		rate, _ := strconv.Atoi(os.Getenv("KISIBRIDGE_TEST_RATE"))
		s := kisisim.New(kisisim.Options{
			Rate: rate, TolerateRate: true, DoubleAssignments: true, Notify: trusting(os.Getenv("KISIBRIDGE_TEST_CA")),
		})
		s.AddClutter(s.AddGroup("HQ doors"))
		standIn(s)
	}
}

func trusting(file string) http.RoundTripper {
	pool := x509.NewCertPool()
	text, err := os.ReadFile(file)
	if err != nil || !pool.AppendCertsFromPEM(text) {
		log.Fatalf("read the root %s: %v", file, err)
	}
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
}

// standIn serves h over TLS until the process is told to end, and prints where.
func standIn(h http.Handler) {
	cert, err := tls.LoadX509KeyPair(os.Getenv("KISIBRIDGE_TEST_CERT"), os.Getenv("KISIBRIDGE_TEST_CERT"))
	if err != nil {
		log.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("https://" + l.Addr().String())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		<-ctx.Done()
		_ = srv.Close()
	}()
	_ = srv.Serve(l) // ends with the process
}

// A site is a company on this machine, each part a process of its own.
type site struct {
	t       *testing.T
	dir     string
	ca      *authority
	client  *http.Client
	graph   string // addresses
	kisi    string
	public  string // where Graph reaches the bridge
	listen  string // where the bridge listens
	environ []string
	serve   *exec.Cmd
}

// newSite starts both stand-ins, and what stands before the bridge: a proxy
// that ends TLS.
func newSite(t *testing.T, redis string, people, simRate, rate int) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	var err error
	if s.ca, err = newAuthority(filepath.Join(s.dir, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	s.client = &http.Client{Transport: s.ca.transport(), Timeout: 20 * time.Second}
	common := []string{"KISIBRIDGE_TEST_CA=" + s.ca.file, "KISIBRIDGE_TEST_CERT=" + s.writeCert()}
	s.graph = s.standIn(append(common, "KISIBRIDGE_TEST_PROCESS=graph", fmt.Sprintf("KISIBRIDGE_TEST_PEOPLE=%d", people)))
	s.kisi = s.standIn(append(common, "KISIBRIDGE_TEST_PROCESS=kisi", fmt.Sprintf("KISIBRIDGE_TEST_RATE=%d", simRate)))
	s.listen = freeAddress(t)
	s.public = s.proxy()
	s.environ = []string{
		"KISIBRIDGE_LISTEN=" + s.listen, "KISIBRIDGE_PUBLIC_URL=" + s.public, "KISIBRIDGE_REDIS_URL=redis://" + redis,
		"KISIBRIDGE_GRAPH_URL=" + s.graph, "KISIBRIDGE_LOGIN_URL=" + s.graph, "KISIBRIDGE_KISI_URL=" + s.kisi,
		"KISIBRIDGE_CA_FILE=" + s.ca.file, fmt.Sprintf("KISIBRIDGE_KISI_RATE=%d", rate),
		"AZURE_TENANT_ID=" + graphsim.DefaultTenant, "AZURE_CLIENT_ID=" + graphsim.DefaultClientID,
		"AZURE_CLIENT_SECRET=" + graphsim.DefaultClientSecret, "KISI_API_KEY=" + kisisim.DefaultAPIKey,
	}
	t.Cleanup(s.kill)
	return s
}

// writeCert writes certificate and key into one file.
func (s *site) writeCert() string {
	key, err := x509.MarshalECPrivateKey(s.ca.cert.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		s.t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.ca.cert.Certificate[0]})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key})...)
	file := filepath.Join(s.dir, "cert.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

// command makes a process of the test binary.
func (s *site) command(environ []string, args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Env = environ
	c.Stderr = s.t.Output()
	return c
}

func (s *site) standIn(environ []string) string {
	s.t.Helper()
	c := s.command(environ)
	out, err := c.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = c.Process.Kill() // our own child
		_ = c.Wait()         // says "killed", which it was
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.t.Fatalf("a stand-in says no address: %v", err)
	}
	return strings.TrimSpace(address)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// proxy ends TLS before the bridge.
func (s *site) proxy() string {
	s.t.Helper()
	p := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.listen})
	p.ErrorLog = log.New(io.Discard, "", 0)
	l, err := tls.Listen("tcp", "127.0.0.1:0", s.ca.config())
	if err != nil {
		s.t.Fatal(err)
	}
	srv := &http.Server{Handler: p, ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = srv.Serve(l) }() // ends with the test
	s.t.Cleanup(func() { _ = srv.Close() })
	return "https://" + l.Addr().String()
}

// start starts the bridge.
func (s *site) start() {
	s.t.Helper()
	s.serve = s.command(append(s.environ, "KISIBRIDGE_TEST_PROCESS=program"), "serve", "--log-level", "warn")
	if err := s.serve.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// kill ends the bridge with SIGKILL.
func (s *site) kill() {
	if s.serve == nil {
		return
	}
	_ = s.serve.Process.Kill() // our own child
	_ = s.serve.Wait()         // says "killed", which it was
	s.serve = nil
}

// program runs a subcommand in this process, and gives its status and words.
func (s *site) program(args ...string) (int, string) {
	var out strings.Builder
	status := run(s.t.Context(), args, s.environ, &out, &out)
	return status, out.String()
}

// call makes a request of a stand-in.
func (s *site) call(method, address string, into any) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, address, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %d %s %v", method, address, answer.StatusCode, body, err)
	}
	if into != nil {
		if err := json.Unmarshal(body, into); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, address, err, body)
		}
	}
}

// until waits for a condition, for as long as a change may take.
func (s *site) until(what string, limit time.Duration, is func() bool) {
	s.t.Helper()
	for began := time.Now(); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > limit {
			s.t.Fatalf("%s: not within %v", what, limit)
		}
	}
}
