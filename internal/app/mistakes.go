package app

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"kisibridge/internal/store"
)

// mistakes gathers what is wrong with the settings, one complaint a name.
type mistakes struct {
	found map[string]string // the environment
	errs  map[string]error  // by name
}

// err joins the complaints, by name.
func (m mistakes) err() error {
	var all []error
	for _, name := range slices.Sorted(maps.Keys(m.errs)) {
		all = append(all, m.errs[name])
	}
	return errors.Join(all...)
}

// expect complains of a setting that is no secret, unless it is right.
func (m mistakes) expect(right bool, name, expected, example string) {
	if !right {
		m.complain(name, "is "+shown(m.found[name]), expected, example)
	}
}

func (m mistakes) complain(name, found, expected, example string) {
	m.errs[name] = fmt.Errorf("%s: %s, expected %s, as %s", name, found, expected, example)
}

// shown is a value as a complaint may repeat it.
func shown(value string) string {
	switch {
	case value == "":
		return "empty"
	case strings.Contains(value, "@"), strings.Contains(value, "://") && strings.ContainsAny(value, "?#"):
		return "*** (it may hold a password)"
	}
	return strconv.Quote(value)
}

// check looks at what could be read.
func (m mistakes) check(c Config) {
	m.expect(isListen(c.Listen), "KISIBRIDGE_LISTEN", "host:port or :port", ":8080")
	m.expect(c.PublicURL == "" || isURL(c.PublicURL, false), "KISIBRIDGE_PUBLIC_URL",
		"an https:// address without user and query", "https://bridge.example")
	if _, err := redisOptions(string(c.RedisURL)); err != nil {
		m.errs["KISIBRIDGE_REDIS_URL"] = fmt.Errorf("KISIBRIDGE_REDIS_URL: %w", err)
	}
	for _, cloud := range []struct{ name, value, example string }{
		{"KISIBRIDGE_GRAPH_URL", c.GraphURL, "https://graph.microsoft.us/v1.0"},
		{"KISIBRIDGE_LOGIN_URL", c.LoginURL, "https://login.microsoftonline.us"},
		{"KISIBRIDGE_KISI_URL", c.KisiURL, "https://api.kisi.io"},
	} {
		m.expect(cloud.value == "" || isURL(cloud.value, true), cloud.name,
			"an https:// address without user and query, or http:// on this machine", cloud.example)
	}
	_, err := c.Roots()
	m.file("KISIBRIDGE_CA_FILE", err, "a file of certificates in PEM that this process can read", "/etc/kisibridge/ca.pem")
	m.expect(c.SweepInterval >= time.Minute && c.SweepInterval <= 24*time.Hour, "KISIBRIDGE_SWEEP_INTERVAL",
		"a duration from 1m to 24h", "15m")
	m.expect(c.KisiRate >= 1 && c.KisiRate <= 1000, "KISIBRIDGE_KISI_RATE", "a whole number from 1 to 1000", "5")
	if _, err := sealKeys(string(c.SecretKey)); err != nil {
		m.complain("KISIBRIDGE_SECRET_KEY", "*** is wrong: "+err.Error(), "32 random bytes in base64", "what `openssl rand -base64 32` prints")
	}
	if n := len(c.AdminToken); n > 0 && n < 20 {
		m.complain("KISIBRIDGE_ADMIN_TOKEN", fmt.Sprintf("*** has %d signs", n), "at least 20", "what `openssl rand -base64 24` prints")
	}
	_, err = oidcRoles(c.OIDCRoles)
	m.expect(err == nil, "KISIBRIDGE_OIDC_ROLES", "ROLE=CLAIM with commas between, of the roles viewer, operator, admin", "admin=Bridge.Admin,viewer=8a2c7b1e-…")
	m.expect(c.OIDCIssuer == "" || isURL(c.OIDCIssuer, false), "KISIBRIDGE_OIDC_ISSUER", "an https:// address", "https://login.microsoftonline.com/TENANT/v2.0")
	unknown := func(role string) bool { return !slices.Contains([]string{"all", api, worker, scheduler}, role) }
	m.expect(!slices.ContainsFunc(c.Roles, unknown), "KISIBRIDGE_ROLES", "all, or some of api,worker,scheduler", "api,worker")
	m.expect(slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel), "KISIBRIDGE_LOG_LEVEL",
		"debug, info, warn or error", "info")
	m.azure(c)
	if strings.ContainsFunc(string(c.KisiAPIKey), func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		m.complain("KISI_API_KEY", "is *** with a blank or another character that no key has",
			"the key as Kisi shows it under My account, API", "0123456789abcdef0123456789abcdef")
	}
}

// azure checks the app registration: all of it, or none.
func (m mistakes) azure(c Config) {
	var set []string
	for _, name := range []string{"AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE"} {
		if m.found[name] != "" {
			set = append(set, name)
		}
	}
	if c.TenantID == "" && c.ClientID == "" && len(set) == 0 {
		return
	}
	// The tenant is a part of addresses, and the id of its connection.
	odd := func(r rune) bool {
		return r != '-' && r != '.' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
	}
	m.expect(c.TenantID != "" && !strings.ContainsFunc(c.TenantID, odd), "AZURE_TENANT_ID",
		"the id of the tenant (Entra admin center, Overview)", "6f1c2c5e-9a39-4d0a-8e1a-0d6c0f7b7a11")
	m.expect(c.ClientID != "", "AZURE_CLIENT_ID",
		"the application id of the app registration", "0b7d9f9e-53a0-4d57-b3a6-8f2f0a4f1c22")
	if len(set) != 1 {
		found := cmp.Or(strings.Join(set, " and "), "no credential")
		m.complain("AZURE_CLIENT_SECRET", "is one of three credentials, found "+found,
			"exactly one of AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH and AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_SECRET=…")
	}
	m.file("AZURE_CLIENT_CERTIFICATE_PATH", readable(c.CertificatePath),
		"a file with certificate and key that this process can read", "/etc/kisibridge/app.pem")
	m.file("AZURE_FEDERATED_TOKEN_FILE", readable(c.FederatedTokenFile),
		"a file with a token that this process can read", "/var/run/secrets/azure/tokens/azure-identity-token")
}

// file complains of a file that could not be read.
func (m mistakes) file(name string, err error, expected, example string) {
	if err == nil {
		return
	}
	cause := err
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		cause = p.Err // the path is shown already
	} else if errors.Is(err, errNoCertificate) {
		cause = errNoCertificate
	}
	m.complain(name, fmt.Sprintf("is %s (%v)", shown(m.found[name]), cause), expected, example)
}

// readable tries whether a file is there and may be read; "" is.
func readable(path string) error {
	if path == "" {
		return nil
	}
	_, err := os.ReadFile(path)
	return err
}

// mine is how the names of our own settings begin.
const mine = "KISIBRIDGE_"

// unheardOf complains of settings that bear our name and that nobody reads.
// Their values are not shown: they may be misspelt secrets.
func (m mistakes) unheardOf() {
	params, err := env.GetFieldParams(&Config{})
	if err != nil {
		m.errs[mine] = err
		return
	}
	known := []string{mine + "SECRET_KEY", mine + "ADMIN_TOKEN"} // of the API and the console
	for _, p := range params {
		known = append(known, p.Key)
	}
	// Kubernetes tells each container of each Service in such variables, and
	// the Service may be called kisibridge, or kisibridge-redis.
	foreign := regexp.MustCompile(`_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`)
	for name, value := range m.found {
		switch {
		case !strings.HasPrefix(name, mine), slices.Contains(known, name), foreign.MatchString(name):
		case strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://"): // Kubernetes, too
		case strings.HasPrefix(name, mine+"TEST_"), name == mine+"BENCH": // of the tests
		default:
			m.errs[name] = fmt.Errorf("%s: there is no such setting, did you mean %s?", name, nearest(name, known))
		}
	}
}

// nearest finds the known name that shares most with name, from either end.
func nearest(name string, known []string) string {
	return slices.MaxFunc(known, func(a, b string) int { return cmp.Compare(shared(name, a), shared(name, b)) })
}

// shared counts the letters that two names share at their ends.
func shared(a, b string) int {
	n, most := 0, min(len(a), len(b))
	for n < most && a[n] == b[n] {
		n++
	}
	for m := 1; n < most && a[len(a)-m] == b[len(b)-m]; m++ {
		n++
	}
	return n
}

func isListen(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func isURL(s string, plainOnLoopback bool) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	return u.Scheme == "https" || plainOnLoopback && u.Scheme == "http" && loopback
}

// sealKeys reads one key, or two.
func sealKeys(text string) ([][]byte, error) {
	if text == "" {
		return nil, nil
	}
	var keys [][]byte
	for part := range strings.SplitSeq(text, ",") {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(part))
		if err != nil {
			return nil, errors.New("it is no base64")
		}
		if len(key) != store.SealKeySize {
			return nil, fmt.Errorf("it has %d bytes", len(key))
		}
		keys = append(keys, key)
	}
	if len(keys) > 2 {
		return nil, errors.New("it names more than two keys")
	}
	return keys, nil
}
