package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// A Secret is a text that nothing prints.
type Secret string

// String hides it.
func (Secret) String() string { return "***" }

// GoString hides it from %#v.
func (Secret) GoString() string { return "***" }

// MarshalText hides it from JSON and logs.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// UnmarshalText reads it.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = Secret(text)
	return nil
}

// Config is the manual of the settings; all come from the environment.
type Config struct {
	// Where the bridge listens.
	Listen string `env:"KISIBRIDGE_LISTEN" envDefault:":8080"`
	// Where Graph reaches us, as https://bridge.example; empty: changes are seen by delta every 30 seconds.
	PublicURL string `env:"KISIBRIDGE_PUBLIC_URL"`
	// redis://, rediss://, redis-sentinel://host,host/master or redis-cluster://host,host
	RedisURL Secret `env:"KISIBRIDGE_REDIS_URL" envDefault:"redis://127.0.0.1:6379/0"`
	// Graph and the login host of a national cloud; empty: the global cloud.
	GraphURL string `env:"KISIBRIDGE_GRAPH_URL"`
	LoginURL string `env:"KISIBRIDGE_LOGIN_URL"`
	// Kisi's API; empty: https://api.kisi.io.
	KisiURL string `env:"KISIBRIDGE_KISI_URL"`
	// More roots, as PEM, that calls to the three may trust.
	CAFile string `env:"KISIBRIDGE_CA_FILE"`
	// How often everything is compared.
	SweepInterval time.Duration `env:"KISIBRIDGE_SWEEP_INTERVAL" envDefault:"15m"`
	// Calls a second to Kisi, over all replicas.
	KisiRate int `env:"KISIBRIDGE_KISI_RATE" envDefault:"5"`
	// all, or some of api,worker,scheduler.
	Roles []string `env:"KISIBRIDGE_ROLES" envDefault:"all"`
	// debug, info, warn or error.
	LogLevel string `env:"KISIBRIDGE_LOG_LEVEL" envDefault:"info"`

	// The app registration, with one of the three credentials.
	TenantID           string `env:"AZURE_TENANT_ID"`
	ClientID           string `env:"AZURE_CLIENT_ID"`
	ClientSecret       Secret `env:"AZURE_CLIENT_SECRET"`
	CertificatePath    string `env:"AZURE_CLIENT_CERTIFICATE_PATH"`
	FederatedTokenFile string `env:"AZURE_FEDERATED_TOKEN_FILE"`
	// A key of a Kisi user that the bridge has for itself.
	KisiAPIKey Secret `env:"KISI_API_KEY"`
}

// mine is how the names of our own settings begin.
const mine = "KISIBRIDGE_"

// Load reads the settings from an environment ("NAME=value") and returns every
// mistake at once, a line each: the name, what was found, what is expected.
func Load(environ []string) (Config, error) {
	vars := map[string]string{}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		if value != "" {
			vars[name] = value
		}
	}
	var c Config
	errs := unheardOf(vars)
	if err := env.ParseWithOptions(&c, env.Options{Environment: vars}); err != nil {
		errs = append(errs, readable(vars, err)...)
		return c, errors.Join(errs...)
	}
	return c, errors.Join(append(errs, c.mistakes()...)...)
}

// readable names the settings that could not be read at all.
func readable(vars map[string]string, err error) []error {
	var errs []error
	for name, hint := range map[string]string{
		"KISIBRIDGE_SWEEP_INTERVAL": "a duration from 1m to 24h, as 15m",
		"KISIBRIDGE_KISI_RATE":      "a whole number from 1 to 1000, as 5",
	} {
		if strings.Contains(err.Error(), fieldOf[name]) {
			errs = append(errs, mistake(name, vars[name], hint))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	if len(errs) == 0 {
		errs = append(errs, err)
	}
	return errs
}

var fieldOf = map[string]string{"KISIBRIDGE_SWEEP_INTERVAL": "SweepInterval", "KISIBRIDGE_KISI_RATE": "KisiRate"}

// unheardOf finds settings that bear our name and that nobody reads.
func unheardOf(vars map[string]string) []error {
	params, err := env.GetFieldParams(&Config{})
	if err != nil {
		return []error{err}
	}
	known := []string{"KISIBRIDGE_SECRET_KEY", "KISIBRIDGE_ADMIN_TOKEN"} // of the API and the console
	for _, p := range params {
		known = append(known, p.Key)
	}
	var errs []error
	for name := range vars {
		if strings.HasPrefix(name, mine) && !strings.HasPrefix(name, mine+"TEST_") && name != mine+"BENCH" && !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("%s: there is no such setting; did you mean %s?", name, nearest(name, known)))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

// nearest finds the known name that shares most with name, from either end.
func nearest(name string, known []string) string {
	best, most := known[0], -1
	for _, k := range known {
		n := 0
		for n < min(len(k), len(name)) && k[n] == name[n] {
			n++
		}
		for m := 1; m <= min(len(k), len(name))-n && k[len(k)-m] == name[len(name)-m]; m++ {
			n++
		}
		if n > most {
			best, most = k, n
		}
	}
	return best
}

func mistake(name, found, expected string) error {
	return fmt.Errorf("%s: is %q, expected %s", name, found, expected)
}

// mistakes checks what could be read.
func (c Config) mistakes() []error {
	var errs []error
	want := func(ok bool, name, found, expected string) {
		if !ok {
			errs = append(errs, mistake(name, found, expected))
		}
	}
	want(c.PublicURL == "" || isURL(c.PublicURL, false), "KISIBRIDGE_PUBLIC_URL", c.PublicURL, "an address that begins with https://, as https://bridge.example")
	if _, err := redisOptions(string(c.RedisURL)); err != nil {
		errs = append(errs, fmt.Errorf("KISIBRIDGE_REDIS_URL: %w", err))
	}
	for name, value := range map[string]string{
		"KISIBRIDGE_GRAPH_URL": c.GraphURL, "KISIBRIDGE_LOGIN_URL": c.LoginURL, "KISIBRIDGE_KISI_URL": c.KisiURL,
	} {
		want(value == "" || isURL(value, true), name, value, "an https:// address, or http:// on this machine")
	}
	if _, err := c.roots(); err != nil {
		errs = append(errs, fmt.Errorf("KISIBRIDGE_CA_FILE: %w", err))
	}
	want(c.SweepInterval >= time.Minute && c.SweepInterval <= 24*time.Hour, "KISIBRIDGE_SWEEP_INTERVAL", c.SweepInterval.String(), "a duration from 1m to 24h, as 15m")
	want(c.KisiRate >= 1 && c.KisiRate <= 1000, "KISIBRIDGE_KISI_RATE", fmt.Sprint(c.KisiRate), "a whole number from 1 to 1000, as 5")
	for _, r := range c.Roles {
		want(slices.Contains([]string{"all", api, worker, scheduler}, r), "KISIBRIDGE_ROLES", r, "all, or some of api,worker,scheduler")
	}
	want(slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel), "KISIBRIDGE_LOG_LEVEL", c.LogLevel, "debug, info, warn or error")
	errs = append(errs, c.azure()...)
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

// azure checks the app registration: all of it, or none.
func (c Config) azure() []error {
	var errs []error
	credentials := 0
	for _, set := range []bool{c.ClientSecret != "", c.CertificatePath != "", c.FederatedTokenFile != ""} {
		if set {
			credentials++
		}
	}
	if c.TenantID == "" && c.ClientID == "" && credentials == 0 {
		return nil
	}
	if c.TenantID == "" {
		errs = append(errs, errors.New("AZURE_TENANT_ID: is empty, expected the id of the tenant, as 8b1f0c6e-… (Entra admin center, Overview)"))
	}
	if c.ClientID == "" {
		errs = append(errs, errors.New("AZURE_CLIENT_ID: is empty, expected the application id of the app registration"))
	}
	if credentials != 1 {
		errs = append(errs, fmt.Errorf("AZURE_CLIENT_SECRET: %d credentials are set, expected one of AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH and AZURE_FEDERATED_TOKEN_FILE", credentials))
	}
	for name, path := range map[string]string{"AZURE_CLIENT_CERTIFICATE_PATH": c.CertificatePath, "AZURE_FEDERATED_TOKEN_FILE": c.FederatedTokenFile} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w; expected a file that this process can read", name, err))
		}
	}
	return errs
}

func isURL(s string, plainOnLoopback bool) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return false
	}
	host := u.Hostname()
	loopback := host == "localhost" || host == "127.0.0.1" || host == "::1"
	return u.Scheme == "https" || plainOnLoopback && u.Scheme == "http" && loopback
}

// The roles of a process.
const (
	api       = "api"
	worker    = "worker"
	scheduler = "scheduler"
)

// has tells whether the process plays a role.
func (c Config) has(role string) bool {
	return slices.Contains(c.Roles, "all") || slices.Contains(c.Roles, role)
}

// NotificationURL is where Graph sends notifications; "" when it cannot.
func (c Config) NotificationURL() string {
	if c.PublicURL == "" {
		return ""
	}
	return strings.TrimRight(c.PublicURL, "/") + "/webhooks/graph"
}

// roots are the certificate authorities that are trusted; nil: the system's.
func (c Config) roots() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("%w; expected a file of certificates that this process can read", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate, expected PEM, as -----BEGIN CERTIFICATE-----", c.CAFile)
	}
	return pool, nil
}

// Transport is for calls to Graph, the login host and Kisi.
func (c Config) Transport() (http.RoundTripper, error) {
	pool, err := c.roots()
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
	}, nil
}

// NewLog makes the log: JSON, one line an event.
func NewLog(w interface{ Write([]byte) (int, error) }, level string) *slog.Logger {
	l := slog.LevelInfo
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo // Load has refused any other word
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
}
