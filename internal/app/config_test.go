package app_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kisibridge/internal/app"
)

func TestAnEmptyEnvironmentIsEnoughToStart(t *testing.T) {
	want := app.Config{
		Listen: ":8080", RedisURL: "redis://127.0.0.1:6379/0", SweepInterval: 15 * time.Minute, KisiRate: 5,
		Roles: []string{"all"}, LogLevel: "info",
	}
	for _, environ := range [][]string{nil, {"KISIBRIDGE_LISTEN=", "AZURE_TENANT_ID=", "PATH=/bin"}} {
		got, err := app.Load(environ)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Load(%q) (-want +got):\n%s", environ, diff)
		}
	}
}

func TestEverySettingIsRead(t *testing.T) {
	ca, file := certificate(t), write(t, "token", "t")
	got, err := app.Load([]string{
		"KISIBRIDGE_LISTEN=127.0.0.1:0", "KISIBRIDGE_PUBLIC_URL=https://bridge.example/kisi/",
		"KISIBRIDGE_REDIS_URL=rediss://u:p@redis.example/3", "KISIBRIDGE_GRAPH_URL=https://graph.example/v1.0",
		"KISIBRIDGE_LOGIN_URL=http://127.0.0.1:9000", "KISIBRIDGE_KISI_URL=http://[::1]:9001", "KISIBRIDGE_CA_FILE=" + ca,
		"KISIBRIDGE_SWEEP_INTERVAL=1h", "KISIBRIDGE_KISI_RATE=7", "KISIBRIDGE_ROLES=api, worker",
		"KISIBRIDGE_LOG_LEVEL=info", "KISIBRIDGE_LOG_LEVEL=debug", // the last one counts
		"AZURE_TENANT_ID=contoso.example", "AZURE_CLIENT_ID=c", "AZURE_FEDERATED_TOKEN_FILE=" + file, "KISI_API_KEY=key",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := app.Config{
		Listen: "127.0.0.1:0", PublicURL: "https://bridge.example/kisi/", RedisURL: "rediss://u:p@redis.example/3",
		GraphURL: "https://graph.example/v1.0", LoginURL: "http://127.0.0.1:9000", KisiURL: "http://[::1]:9001", CAFile: ca,
		SweepInterval: time.Hour, KisiRate: 7, Roles: []string{"api", "worker"}, LogLevel: "debug",
		TenantID: "contoso.example", ClientID: "c", FederatedTokenFile: file, KisiAPIKey: "key",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
	if want, got := "https://bridge.example/kisi/webhooks/graph", got.NotificationURL(); got != want {
		t.Errorf("notifications go to %q, want %q", got, want)
	}
	if !got.Has("api") || !got.Has("worker") || got.Has("scheduler") {
		t.Errorf("roles are %v, want api and worker", got.Roles)
	}
}

func TestEveryMistakeIsReportedAtOnce(t *testing.T) {
	folder := t.TempDir()
	_, err := app.Load([]string{
		"KISIBRIDGE_LISTEN=8080", "KISIBRIDGE_PUBLIC_URL=http://bridge.example", "KISIBRIDGE_REDIS_URL=http://u:hunter2@redis",
		"KISIBRIDGE_GRAPH_URL=graph.example", "KISIBRIDGE_LOGIN_URL=https://u:hunter2@login.example", "KISIBRIDGE_KISI_URL=http://kisi.example",
		"KISIBRIDGE_CA_FILE=" + folder + "/none.pem", "KISIBRIDGE_SWEEP_INTERVAL=often", "KISIBRIDGE_KISI_RATE=many",
		"KISIBRIDGE_ROLES=api,king", "KISIBRIDGE_LOG_LEVEL=loud", "KISIBRIDGE_REDIS_ULR=redis://:hunter2@redis",
		"AZURE_TENANT_ID=a/b", "AZURE_CLIENT_SECRET=hunter2", "AZURE_CLIENT_CERTIFICATE_PATH=" + folder,
		"KISI_API_KEY=hunter 2",
	})
	if err == nil {
		t.Fatal("no mistake was found")
	}
	want := `
AZURE_CLIENT_CERTIFICATE_PATH: is "DIR" (is a directory), expected a file with certificate and key that this process can read, as /etc/kisibridge/app.pem
AZURE_CLIENT_ID: is empty, expected the application id of the app registration, as 0b7d9f9e-53a0-4d57-b3a6-8f2f0a4f1c22
AZURE_CLIENT_SECRET: is one of three credentials, found AZURE_CLIENT_SECRET and AZURE_CLIENT_CERTIFICATE_PATH, expected exactly one of AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH and AZURE_FEDERATED_TOKEN_FILE, as AZURE_CLIENT_SECRET=…
AZURE_TENANT_ID: is "a/b", expected the id of the tenant (Entra admin center, Overview), as 6f1c2c5e-9a39-4d0a-8e1a-0d6c0f7b7a11
KISIBRIDGE_CA_FILE: is "DIR/none.pem" (no such file or directory), expected a file of certificates in PEM that this process can read, as /etc/kisibridge/ca.pem
KISIBRIDGE_GRAPH_URL: is "graph.example", expected an https:// address without user and query, or http:// on this machine, as https://graph.microsoft.us/v1.0
KISIBRIDGE_KISI_RATE: is "many", expected a whole number from 1 to 1000, as 5
KISIBRIDGE_KISI_URL: is "http://kisi.example", expected an https:// address without user and query, or http:// on this machine, as https://api.kisi.io
KISIBRIDGE_LISTEN: is "8080", expected host:port or :port, as :8080
KISIBRIDGE_LOGIN_URL: is *** (it may hold a password), expected an https:// address without user and query, or http:// on this machine, as https://login.microsoftonline.us
KISIBRIDGE_LOG_LEVEL: is "loud", expected debug, info, warn or error, as info
KISIBRIDGE_PUBLIC_URL: is "http://bridge.example", expected an https:// address without user and query, as https://bridge.example
KISIBRIDGE_REDIS_ULR: there is no such setting, did you mean KISIBRIDGE_REDIS_URL?
KISIBRIDGE_REDIS_URL: begins with http://, expected redis://, rediss://, redis-sentinel:// or redis-cluster://, as redis://127.0.0.1:6379/0
KISIBRIDGE_ROLES: is "api,king", expected all, or some of api,worker,scheduler, as api,worker
KISIBRIDGE_SWEEP_INTERVAL: is "often", expected a duration from 1m to 24h, as 15m
KISI_API_KEY: is *** with a blank or another character that no key has, expected the key as Kisi shows it under My account, API, as 0123456789abcdef0123456789abcdef
`
	got := "\n" + strings.ReplaceAll(err.Error(), folder, "DIR") + "\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
}

func TestASettingIsRightOrNamed(t *testing.T) {
	file := write(t, "some", "no certificate")
	azure := []string{"AZURE_TENANT_ID=t", "AZURE_CLIENT_ID=c"}
	for _, tc := range []struct {
		name    string
		environ []string
		wrong   string // the setting; "" for none
	}{
		{"a public address on this machine needs TLS too", []string{"KISIBRIDGE_PUBLIC_URL=http://127.0.0.1"}, "KISIBRIDGE_PUBLIC_URL"},
		{"a public address has no query", []string{"KISIBRIDGE_PUBLIC_URL=https://b.example?a=b"}, "KISIBRIDGE_PUBLIC_URL"},
		{"a public address has a host", []string{"KISIBRIDGE_PUBLIC_URL=https://:443"}, "KISIBRIDGE_PUBLIC_URL"},
		{"plain HTTP stays on this machine", []string{"KISIBRIDGE_GRAPH_URL=http://10.0.0.1"}, "KISIBRIDGE_GRAPH_URL"},
		{"plain HTTP on this machine", []string{"KISIBRIDGE_GRAPH_URL=http://localhost:1"}, ""},
		{"the shortest interval", []string{"KISIBRIDGE_SWEEP_INTERVAL=1m"}, ""},
		{"too short an interval", []string{"KISIBRIDGE_SWEEP_INTERVAL=59s"}, "KISIBRIDGE_SWEEP_INTERVAL"},
		{"the longest interval", []string{"KISIBRIDGE_SWEEP_INTERVAL=24h"}, ""},
		{"too long an interval", []string{"KISIBRIDGE_SWEEP_INTERVAL=24h1s"}, "KISIBRIDGE_SWEEP_INTERVAL"},
		{"no rate", []string{"KISIBRIDGE_KISI_RATE=0"}, "KISIBRIDGE_KISI_RATE"},
		{"the highest rate", []string{"KISIBRIDGE_KISI_RATE=1000"}, ""},
		{"too high a rate", []string{"KISIBRIDGE_KISI_RATE=1001"}, "KISIBRIDGE_KISI_RATE"},
		{"a role left out between commas", []string{"KISIBRIDGE_ROLES=api,,worker"}, "KISIBRIDGE_ROLES"},
		{"a file without a certificate", []string{"KISIBRIDGE_CA_FILE=" + file}, "KISIBRIDGE_CA_FILE"},
		{"a port that is none", []string{"KISIBRIDGE_LISTEN=:65536"}, "KISIBRIDGE_LISTEN"},
		{"a secret", append(azure, "AZURE_CLIENT_SECRET=s"), ""},
		{"a certificate", append(azure, "AZURE_CLIENT_CERTIFICATE_PATH="+file), ""},
		{"a token file that is not there", append(azure, "AZURE_FEDERATED_TOKEN_FILE="+file+"2"), "AZURE_FEDERATED_TOKEN_FILE"},
		{"no credential", azure, "AZURE_CLIENT_SECRET"},
		{"no tenant", []string{"AZURE_CLIENT_ID=c", "AZURE_CLIENT_SECRET=s"}, "AZURE_TENANT_ID"},
		{"no application", []string{"AZURE_TENANT_ID=t", "AZURE_CLIENT_SECRET=s"}, "AZURE_CLIENT_ID"},
		{"a misspelt name", []string{"KISIBRIDGE_SWEEP_INTREVAL=1h"}, "KISIBRIDGE_SWEEP_INTREVAL"},
		{"settings of the API and the console", []string{"KISIBRIDGE_SECRET_KEY=" + strings.Repeat("A", 43) + "=", "KISIBRIDGE_ADMIN_TOKEN=a-token-of-twenty-two-s"}, ""},
		{"a key that is no base64", []string{"KISIBRIDGE_SECRET_KEY=a"}, "KISIBRIDGE_SECRET_KEY"},
		{"a key that is too short", []string{"KISIBRIDGE_SECRET_KEY=AAAA"}, "KISIBRIDGE_SECRET_KEY"},
		{"three keys", []string{"KISIBRIDGE_SECRET_KEY=" + strings.Repeat(strings.Repeat("A", 43)+"=,", 3)[:134]}, "KISIBRIDGE_SECRET_KEY"},
		{"a token that is guessed soon", []string{"KISIBRIDGE_ADMIN_TOKEN=b"}, "KISIBRIDGE_ADMIN_TOKEN"},
		{"what Kubernetes says of its Services", []string{
			"KISIBRIDGE_SERVICE_HOST=10.0.0.1", "KISIBRIDGE_SERVICE_PORT=8080", "KISIBRIDGE_SERVICE_PORT_HTTP=8080",
			"KISIBRIDGE_PORT=tcp://10.0.0.1:8080", "KISIBRIDGE_PORT_8080_TCP_ADDR=10.0.0.1", "KISIBRIDGE_REDIS_PORT=tcp://10.0.0.2:6379",
		}, ""},
		{"a port of a person's", []string{"KISIBRIDGE_PORT=8080"}, "KISIBRIDGE_PORT"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := app.Load(tc.environ)
			got := ""
			if err != nil {
				got, _, _ = strings.Cut(err.Error(), ":")
			}
			if got != tc.wrong || err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one mistake of %q", err, tc.wrong)
			}
		})
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	c, err := app.Load([]string{
		"KISIBRIDGE_REDIS_URL=redis://:hunter2@redis", "KISI_API_KEY=hunter2",
		"AZURE_TENANT_ID=t", "AZURE_CLIENT_ID=c", "AZURE_CLIENT_SECRET=hunter2",
	})
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&said, verb+"\n", c)
		fmt.Fprintf(&said, verb+"\n", &c)
		fmt.Fprintf(&said, verb+"\n", c.KisiAPIKey)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	said.Write(text)
	app.NewLog(&said, "debug").Info("settings", "config", c, "key", c.KisiAPIKey)
	slog.New(slog.NewTextHandler(&said, nil)).Info("settings", "config", c, "key", c.KisiAPIKey)
	hex := fmt.Sprintf("%x", "hunter2")
	if got := said.String(); strings.Contains(got, "hunter2") || strings.Contains(got, hex) || !strings.Contains(got, "***") {
		t.Errorf("a secret is shown:\n%s", got)
	}
	if got := string(c.KisiAPIKey); got != "hunter2" {
		t.Errorf("the key is %q, want it usable", got)
	}
}

func TestTheLogLeavesOutWhatIsBelowItsLevel(t *testing.T) {
	var said strings.Builder
	log := app.NewLog(&said, "warn")
	log.Info("a detail")
	log.Warn("it hurts", "integration", "hq")
	var got map[string]any
	if err := json.Unmarshal([]byte(said.String()), &got); err != nil {
		t.Fatalf("%q: %v", said.String(), err)
	}
	delete(got, "time")
	if diff := cmp.Diff(map[string]any{"level": "WARN", "msg": "it hurts", "integration": "hq"}, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestCallsTrustTheRootsOfTheFileAndNoOthers(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	defer s.Close()
	for _, tc := range []struct {
		name  string
		ca    string
		trust bool
	}{
		{"the system's roots alone", "", false},
		{"the server's root too", pemFile(t, s.Certificate()), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			transport, err := app.Config{CAFile: tc.ca}.Transport()
			if err != nil {
				t.Fatal(err)
			}
			client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
			defer client.CloseIdleConnections()
			answer, err := client.Get(s.URL)
			if err == nil {
				answer.Body.Close()
			}
			if (err == nil) != tc.trust {
				t.Errorf("got %v, want trust: %t", err, tc.trust)
			}
		})
	}
}

func certificate(t *testing.T) string {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	return pemFile(t, s.Certificate())
}

func pemFile(t *testing.T, c *x509.Certificate) string {
	t.Helper()
	return write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
