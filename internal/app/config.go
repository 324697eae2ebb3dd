package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// A Secret is a text that nothing prints; string(s) is the way to it.
type Secret string

// Format hides it from every verb of fmt.
func (Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "***") // fmt gathers in memory
}

// String hides it.
func (Secret) String() string { return "***" }

// MarshalText hides it from JSON and logs.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// UnmarshalText reads it.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = Secret(text)
	return nil
}

// Config is the manual of the settings; all come from the environment.
type Config struct {
	// Where the bridge listens, as host:port or :port.
	Listen string `env:"KISIBRIDGE_LISTEN" envDefault:":8080"`
	// Where Graph reaches us, as https://bridge.example; empty: changes are seen by delta every 30 seconds.
	PublicURL string `env:"KISIBRIDGE_PUBLIC_URL"`
	// redis://[user:password@]host/db, rediss:// for TLS, redis-sentinel://host,host/master?db=0&tls=true
	// or redis-cluster://host,host?tls=true. User and password are Redis's, not the sentinels'.
	RedisURL Secret `env:"KISIBRIDGE_REDIS_URL" envDefault:"redis://127.0.0.1:6379/0"`
	// Graph and the login host of a national cloud; empty: the global cloud.
	GraphURL string `env:"KISIBRIDGE_GRAPH_URL"`
	LoginURL string `env:"KISIBRIDGE_LOGIN_URL"`
	// Kisi's API; empty: https://api.kisi.io.
	KisiURL string `env:"KISIBRIDGE_KISI_URL"`
	// More roots, as PEM, that calls to the three may trust.
	CAFile string `env:"KISIBRIDGE_CA_FILE"`
	// How often everything is compared, from 1m to 24h.
	SweepInterval time.Duration `env:"KISIBRIDGE_SWEEP_INTERVAL" envDefault:"15m"`
	// Calls a second to Kisi, over all replicas, from 1 to 1000; Kisi allows 5.
	KisiRate int `env:"KISIBRIDGE_KISI_RATE" envDefault:"5"`
	// 32 random bytes in base64 that seal stored keys; two, with a comma between, while one replaces the other.
	SecretKey Secret `env:"KISIBRIDGE_SECRET_KEY"`
	// Signs the first admin in; at least 20 signs.
	AdminToken Secret `env:"KISIBRIDGE_ADMIN_TOKEN"`
	// People sign in with Entra when this says who may do what, as admin=APP_ROLE,viewer=GROUP_ID.
	OIDCRoles string `env:"KISIBRIDGE_OIDC_ROLES"`
	// Who vouches for them, and the app there; empty: the tenant and the app registration below.
	OIDCIssuer       string `env:"KISIBRIDGE_OIDC_ISSUER"`
	OIDCClientID     string `env:"KISIBRIDGE_OIDC_CLIENT_ID"`
	OIDCClientSecret Secret `env:"KISIBRIDGE_OIDC_CLIENT_SECRET"`
	// all, or some of api,worker,scheduler.
	Roles []string `env:"KISIBRIDGE_ROLES" envDefault:"all"`
	// debug, info, warn or error.
	LogLevel string `env:"KISIBRIDGE_LOG_LEVEL" envDefault:"info"`

	// The app registration: tenant, application, and one of the three credentials.
	TenantID           string `env:"AZURE_TENANT_ID"`
	ClientID           string `env:"AZURE_CLIENT_ID"`
	ClientSecret       Secret `env:"AZURE_CLIENT_SECRET"`
	CertificatePath    string `env:"AZURE_CLIENT_CERTIFICATE_PATH"`
	FederatedTokenFile string `env:"AZURE_FEDERATED_TOKEN_FILE"`
	// A key of a Kisi user that the bridge has for itself.
	KisiAPIKey Secret `env:"KISI_API_KEY"`
}

// Load reads the settings from an environment ("NAME=value", the last one
// counts) and returns every mistake at once, a line each: the name, what was
// found, what is expected, an example. An empty value is as good as none.
func Load(environ []string) (Config, error) {
	vars := map[string]string{}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		if delete(vars, name); value != "" {
			vars[name] = value
		}
	}
	var c Config
	unread := env.ParseWithOptions(&c, env.Options{Environment: vars})
	for k, r := range c.Roles {
		c.Roles[k] = strings.TrimSpace(r)
	}
	m := mistakes{found: vars, errs: map[string]error{}}
	m.unheardOf()
	m.check(c)
	if err := m.err(); err != nil {
		return c, err // what could not be read is zero, which check refuses
	}
	return c, unread
}

// The roles of a process.
const (
	api       = "api"
	worker    = "worker"
	scheduler = "scheduler"
)

// Has tells whether the process plays a role.
func (c Config) Has(role string) bool {
	return slices.Contains(c.Roles, "all") || slices.Contains(c.Roles, role)
}

// ConsentURL is where Microsoft sends a browser back to after consent.
func (c Config) ConsentURL() string {
	return strings.TrimRight(c.PublicURL, "/") + "/oauth/entra/callback"
}

// HookURL is where Kisi sends events, before the connection's id; "" when it cannot.
func (c Config) HookURL() string {
	if c.PublicURL == "" {
		return ""
	}
	return strings.TrimRight(c.PublicURL, "/") + "/webhooks/kisi/"
}

// NotificationURL is where Graph sends notifications; "" when it cannot.
func (c Config) NotificationURL() string {
	if c.PublicURL == "" {
		return ""
	}
	return strings.TrimRight(c.PublicURL, "/") + "/webhooks/graph"
}

// watch is how often groups are read that no notification covers.
func (c Config) watch() time.Duration {
	if c.PublicURL == "" {
		return 30 * time.Second
	}
	return time.Minute
}

var errNoCertificate = errors.New("holds no certificate")

// Roots are the certificate authorities that are trusted; nil: the system's.
func (c Config) Roots() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read more roots: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a bare container has none
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read more roots: %s: %w", c.CAFile, errNoCertificate)
	}
	return pool, nil
}

// Transport is for calls to Graph, the login host and Kisi.
func (c Config) Transport() (http.RoundTripper, error) {
	pool, err := c.Roots()
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
