package kisisim

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	eventWebhook = "event_webhook"
	userImport   = "active_directory_user_import"
)

// An integration is one of Kisi's own: a directory import or a webhook.
type integration struct {
	id      int
	name    string
	kind    string
	enabled bool
	group   int     // of an import; 0: users only
	hook    webhook // of a webhook
}

type webhook struct {
	URL           string   `json:"url"`
	EnabledEvents []string `json:"enabled_events"`
	SignatureKey  string   `json:"signature_key"`
}

func (s *Server) listIntegrations(r *http.Request) (*answer, error) {
	q, err := s.options(r, "query", "ids", "place_id", "scope", "group_id", "enabled", "sort", "limit", "offset")
	if err != nil {
		return nil, err
	}
	return list[integration]{
		size: otherPage, rows: s.integrations,
		keep: func(i *integration) bool {
			return is(q, "group_id", itoa(i.group)) && is(q, "enabled", strconv.FormatBool(i.enabled)) && !q.Has("place_id")
		},
		words: func(i *integration) string { return strings.ToLower(i.name) },
		show:  func(i *integration) any { return i.show() },
	}.page(s, r, q)
}

// show is what a list tells: nothing of what the integration is for.
func (i *integration) show() map[string]any {
	return map[string]any{
		"id": i.id, "name": i.name, "type": i.kind, "enabled": i.enabled, "disabled_due_to_error": false,
		"disabled_due_to_error_at": nil, "organization_id": organization["id"], "place_id": nil,
	}
}

func (i *integration) detail() map[string]any {
	out := i.show()
	if i.kind == eventWebhook {
		out["url"], out["enabled_events"], out["signature_key"] = i.hook.URL, i.hook.EnabledEvents, i.hook.SignatureKey
		return out
	}
	out["active_directory_tenant_id"], out["active_directory_group_id"] = "contoso", "2e58"
	out["active_directory_user_email_property"], out["import_members_only"] = "userPrincipalName", i.group == 0
	if i.group != 0 {
		out["group_id"] = i.group
	}
	return out
}

func (s *Server) getIntegration(r *http.Request) (*answer, error) {
	i := s.integrations.rows[pathID(r)]
	if i == nil {
		return nil, notFound("Integration", pathID(r))
	}
	return ok(i.detail())
}

// A hookBody is what can be said of a webhook; what is left out stays.
type hookBody struct {
	Name          *string   `json:"name"`
	Enabled       *bool     `json:"enabled"`
	URL           *string   `json:"url"`
	EnabledEvents *[]string `json:"enabled_events"`
	SignatureKey  *string   `json:"signature_key"`
}

// apply changes i, or tells what is wrong with what it would be.
func (b hookBody) apply(i *integration) error {
	set(&i.name, b.Name)
	set(&i.enabled, b.Enabled)
	set(&i.hook.URL, b.URL)
	set(&i.hook.EnabledEvents, b.EnabledEvents)
	set(&i.hook.SignatureKey, b.SignatureKey)
	u, err := url.Parse(i.hook.URL)
	switch {
	case i.name == "":
		return invalid("name", "can't be blank")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return invalid("url", "is invalid")
	case len(i.hook.EnabledEvents) == 0:
		return invalid("enabled_events", "can't be blank")
	}
	for _, e := range i.hook.EnabledEvents {
		if !slices.Contains(webhookEvents(), e) {
			return invalid("enabled_events", e+" is not included in the list")
		}
	}
	return nil
}

// postIntegration makes webhooks only: an import is set up by a person, who
// has to consent in Entra.
func (s *Server) postIntegration(r *http.Request) (*answer, error) {
	var in struct {
		Type string `json:"type"`
		hookBody
	}
	if err := s.body(r, "integration", &in); err != nil {
		return nil, err
	}
	if in.Type != eventWebhook {
		return nil, invalid("type", "must be "+eventWebhook)
	}
	i := integration{kind: eventWebhook, enabled: true}
	if err := in.apply(&i); err != nil {
		return nil, err
	}
	if i.hook.SignatureKey == "" {
		i.hook.SignatureKey = uuid()
	}
	i.id = s.id()
	s.integrations.add(i.id, &i)
	return ok(i.detail())
}

// ownIntegration finds the webhook that a request changes.
func (s *Server) ownIntegration(r *http.Request) (*integration, error) {
	i := s.integrations.rows[pathID(r)]
	if i == nil {
		return nil, notFound("Integration", pathID(r))
	}
	if i.kind != eventWebhook {
		s.violate("%s %s: an import is not the bridge's to change", r.Method, r.URL.Path)
	}
	return i, nil
}

func (s *Server) patchIntegration(r *http.Request) (*answer, error) {
	i, err := s.ownIntegration(r)
	if err != nil {
		return nil, err
	}
	var in hookBody
	if err := s.body(r, "integration", &in); err != nil {
		return nil, err
	}
	changed := *i
	if err := in.apply(&changed); err != nil {
		return nil, err
	}
	*i = changed
	return empty()
}

func (s *Server) deleteIntegration(r *http.Request) (*answer, error) {
	i, err := s.ownIntegration(r)
	if err != nil {
		return nil, err
	}
	s.integrations.remove(i.id)
	return empty()
}
