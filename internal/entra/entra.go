// Package entra reads groups and people from Microsoft Graph, and makes the
// subscriptions by which Graph tells of their changes.
//
// It alone knows the Graph SDK, of which it uses sub-packages only: the root
// package doubles the time of a build.
package entra

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azureauth "github.com/microsoft/kiota-authentication-azure-go"
	khttp "github.com/microsoft/kiota-http-go"
	jsonserialization "github.com/microsoft/kiota-serialization-json-go"
	core "github.com/microsoftgraph/msgraph-sdk-go-core"
	"github.com/microsoftgraph/msgraph-sdk-go/groups"
	"github.com/microsoftgraph/msgraph-sdk-go/subscriptions"
	"github.com/prometheus/client_golang/prometheus"

	"kisibridge/internal/fault"
)

// Options say which tenant to read, and as whom.
type Options struct {
	Tenant   string
	GraphURL string // zero: the global cloud; without a version
	LoginURL string // zero: the login host that belongs to GraphURL

	// One of three credentials.
	ClientID           string
	ClientSecret       string
	CertificatePath    string
	FederatedTokenFile string

	Transport  http.RoundTripper      // nil: one of our own
	Credential azcore.TokenCredential // in place of the above
	Metrics    prometheus.Registerer  // nil: unregistered
	Timeout    time.Duration          // of one call; zero: 30 s
}

// The clouds, by Graph host (Graph: deployments).
const globalGraph = "https://graph.microsoft.com"

var loginHosts = map[string]string{
	globalGraph:                               "https://login.microsoftonline.com",
	"https://graph.microsoft.us":              "https://login.microsoftonline.us",
	"https://dod-graph.microsoft.us":          "https://login.microsoftonline.us",
	"https://microsoftgraph.chinacloudapi.cn": "https://login.partner.microsoftonline.cn",
}

// A Client reads one tenant. It is safe for concurrent use.
type Client struct {
	tenant     string
	login      string
	host       string // Graph's
	scope      string
	http       *http.Client
	credential azcore.TokenCredential
	adapter    *core.GraphRequestAdapterBase
	base       map[string]string
	metrics    *metrics
}

// New makes a client; nothing is called yet.
func New(o Options) (*Client, error) {
	graph, login, err := o.hosts()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(graph)
	if err != nil || u.Hostname() == "" {
		return nil, fault.New(fault.Invalid, "KISIBRIDGE_GRAPH_URL", "is %q; give an address like %s", graph, globalGraph)
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 16,
			IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
		}
	}
	c := &Client{
		tenant: o.Tenant, login: login, host: u.Hostname(), scope: graph + "/.default",
		http: &http.Client{Transport: o.Transport, Timeout: o.Timeout}, credential: o.Credential,
		base: map[string]string{"baseurl": graph + "/v1.0"}, metrics: newMetrics(o.Metrics),
	}
	if c.credential == nil {
		if c.credential, err = o.credential(login, c.http); err != nil {
			return nil, err
		}
	}
	c.adapter, err = c.newAdapter(o)
	return c, err
}

// hosts finds the two addresses that belong together.
func (o Options) hosts() (graph, login string, err error) {
	graph = strings.TrimSuffix(strings.TrimRight(o.GraphURL, "/"), "/v1.0")
	if graph == "" {
		graph = globalGraph
	}
	login = strings.TrimRight(o.LoginURL, "/")
	if login == "" {
		login = loginHosts[graph]
	}
	if o.Credential == nil && login != "" && !strings.HasPrefix(login, "https://") {
		return "", "", fault.New(fault.Invalid, "KISIBRIDGE_LOGIN_URL", "is %q; azidentity sends credentials over https only", login)
	}
	if login == "" {
		return "", "", fault.New(fault.Invalid, "KISIBRIDGE_LOGIN_URL", "is empty, and %s is no cloud that is known; set the login host that belongs to it", graph)
	}
	return graph, login, nil
}

// newAdapter builds the SDK's way to Graph with a chain of our own: the SDK's
// order differs from client to client, zips every body, and repeats a POST
// whose answer was lost. What is to be tried again, the queue decides, but for
// the moments of patience.
func (c *Client) newAdapter(o Options) (*core.GraphRequestAdapterBase, error) {
	// A host that is not named here is called without a token, and without an error.
	auth, err := azureauth.NewAzureIdentityAuthenticationProviderWithScopesAndValidHosts(c.credential, []string{c.scope}, []string{c.host})
	if err != nil {
		return nil, fmt.Errorf("authenticate at Graph: %w", err)
	}
	client := &http.Client{
		Transport: khttp.NewCustomTransportWithParentTransport(urgent{o.Transport}, khttp.NewParametersNameDecodingHandler()),
		Timeout:   o.Timeout,
	}
	adapter, err := core.NewGraphRequestAdapterBaseWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(
		auth, core.GraphClientOptions{},
		jsonserialization.NewJsonParseNodeFactory(), jsonserialization.NewJsonSerializationWriterFactory(), client)
	if err != nil {
		return nil, fmt.Errorf("build the client for Graph: %w", err)
	}
	adapter.SetBaseUrl(c.base["baseurl"])
	return adapter, nil
}

func (c *Client) groups() *groups.GroupsRequestBuilder {
	return groups.NewGroupsRequestBuilderInternal(c.base, c.adapter)
}

func (c *Client) subscriptions() *subscriptions.SubscriptionsRequestBuilder {
	return subscriptions.NewSubscriptionsRequestBuilderInternal(c.base, c.adapter)
}

// call makes one call: counted, timed, and its error classified.
func call[T any](ctx context.Context, c *Client, k kind, op string, do func(ctx context.Context) (T, error)) (T, error) {
	began := time.Now()
	out, err := do(ctx)
	err = classify(ctx, k, op, err)
	c.metrics.observe(k, time.Since(began), err)
	return out, err
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
