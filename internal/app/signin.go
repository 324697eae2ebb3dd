package app

import (
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/swaggest/swgui/v5emb"

	"kisibridge/internal/auth"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// newGate makes what knows who is calling.
func newGate(o Options, s *store.Store, registry prometheus.Registerer) (*auth.Gate, error) {
	c := o.Config
	roles, err := oidcRoles(c.OIDCRoles)
	if err != nil {
		return nil, err
	}
	oidc := auth.OIDCOptions{}
	if len(roles) > 0 && c.PublicURL != "" {
		transport, err := c.Transport()
		if err != nil {
			return nil, err
		}
		oidc = auth.OIDCOptions{
			Issuer: c.issuer(), ClientID: cmp.Or(c.OIDCClientID, c.ClientID), Roles: roles,
			ClientSecret: cmp.Or(string(c.OIDCClientSecret), string(c.ClientSecret)), HTTPClient: &http.Client{Transport: transport},
		}
	}
	return auth.New(auth.Options{
		Store: s, AdminToken: string(c.AdminToken), PublicURL: c.PublicURL, OIDC: oidc, Log: o.Log, Metrics: registry,
	})
}

// issuer is who vouches for people: the tenant of the settings, unless told
// otherwise.
func (c Config) issuer() string {
	login := cmp.Or(strings.TrimRight(c.LoginURL, "/"), "https://login.microsoftonline.com")
	return cmp.Or(c.OIDCIssuer, login+"/"+c.TenantID+"/v2.0")
}

// oidcRoles reads "admin=CLAIM,viewer=CLAIM".
func oidcRoles(text string) (map[string]auth.Role, error) {
	roles := map[string]auth.Role{}
	if text == "" {
		return roles, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, claim, ok := strings.Cut(strings.TrimSpace(part), "=")
		role, err := auth.ParseRole(name)
		if !ok || err != nil || claim == "" {
			return nil, fmt.Errorf("%q is no ROLE=CLAIM", part)
		}
		roles[claim] = role
	}
	return roles, nil
}

// signingIn adds the ways of a browser to the provider and back, and back from
// an admin's consent.
func signingIn(e *echo.Echo, gate *auth.Gate, c *clouds) {
	e.GET("/signin", func(x echo.Context) error {
		address, err := gate.Begin(x.Response(), x.Request())
		if err != nil {
			return refusal(x, err)
		}
		return x.Redirect(http.StatusFound, address)
	})
	e.GET(auth.CallbackPath, func(x echo.Context) error {
		back, err := gate.Callback(x.Response(), x.Request())
		if err != nil {
			return refusal(x, err)
		}
		return x.Redirect(http.StatusFound, back)
	})
	e.GET("/oauth/entra/callback", func(x echo.Context) error {
		q := x.Request().URL.Query()
		back := Consent{State: q.Get("state"), Tenant: q.Get("tenant"), Error: q.Get("error"), Description: q.Get("error_description")}
		s, err := c.Finish(x.Request().Context(), back, func() (string, error) {
			caller, err := gate.Identify(x.Request())
			return caller.String(), err
		})
		if err != nil {
			return refusal(x, err)
		}
		return page(x, http.StatusOK, "Connected", "The tenant "+s.Name+" is connected. You can close this page.")
	})
}

// refusal shows an error to a person, escaped and without what is inside.
func refusal(x echo.Context, err error) error {
	status := map[fault.Class]int{
		fault.Invalid: http.StatusBadRequest, fault.Denied: http.StatusForbidden, fault.Busy: http.StatusServiceUnavailable,
	}[fault.Of(err)]
	if status == 0 {
		return err
	}
	text := err.Error()
	if hint := fault.Hint(err); hint != "" && !strings.Contains(text, hint) {
		text += "; " + hint
	}
	if errors.Is(err, auth.ErrTooMany) {
		status = http.StatusTooManyRequests
	}
	return page(x, status, "That did not work", text)
}

// page is the least a browser needs; the text is escaped.
func page(x echo.Context, status int, title, text string) error {
	h := x.Response().Header()
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	return x.HTML(status, fmt.Sprintf("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>%[1]s</title><h1>%[1]s</h1><p>%[2]s</p></html>",
		template.HTMLEscapeString(title), template.HTMLEscapeString(text)))
}

// documented shows the API's description as a page, from files of our own.
func documented(e *echo.Echo) {
	viewer := echo.WrapHandler(v5emb.New("kisibridge", "/openapi.yaml", "/docs"))
	e.GET("/docs", viewer)
	e.GET("/docs/*", viewer)
}
