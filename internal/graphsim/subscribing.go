package graphsim

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	maxLife         = 41_760 * time.Minute // of a subscription to users or groups
	minLife         = 45 * time.Minute     // anything shorter is raised to it
	maxClientState  = 128
	answerDeadline  = 10 * time.Second // of validations and notifications
	expectedAnswers = 64 << 10         // bytes of an answer that are looked at
)

// A subscriptionBody holds every field that a caller may send.
type subscriptionBody struct {
	ChangeType               *string `json:"changeType"`
	NotificationURL          *string `json:"notificationUrl"`
	LifecycleNotificationURL *string `json:"lifecycleNotificationUrl"`
	Resource                 *string `json:"resource"`
	ExpirationDateTime       *string `json:"expirationDateTime"`
	ClientState              *string `json:"clientState"`
	LatestSupportedTLS       *string `json:"latestSupportedTlsVersion"`
	IncludeResourceData      *bool   `json:"includeResourceData"`
	OData                    *string `json:"@odata.type"`
}

func (b subscriptionBody) check() error {
	switch {
	case b.IncludeResourceData != nil && *b.IncludeResourceData:
		return breach("includeResourceData does not exist for users and groups")
	case len(str(b.ClientState)) > maxClientState:
		return breach("clientState has %d characters, of at most %d", len(str(b.ClientState)), maxClientState)
	case b.LatestSupportedTLS != nil && !slices.Contains([]string{"v1_0", "v1_1", "v1_2", "v1_3"}, *b.LatestSupportedTLS):
		return breach("latestSupportedTlsVersion %q is none of v1_0 to v1_3", *b.LatestSupportedTLS)
	}
	if err := checkChangeType(str(b.ChangeType)); err != nil {
		return err
	}
	return checkResource(str(b.Resource))
}

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func checkChangeType(list string) error {
	seen := map[string]bool{}
	for t := range strings.SplitSeq(list, ",") {
		if t != "updated" && t != "deleted" || seen[t] {
			return breach("changeType %q: users and groups know updated and deleted", list)
		}
		seen[t] = true
	}
	return nil
}

func checkResource(resource string) error {
	parts := strings.Split(strings.TrimPrefix(resource, "/"), "/")
	root := strings.ToLower(parts[0])
	known := root == "groups" || root == "users"
	whole := !slices.Contains(parts, "")
	members := len(parts) == 3 && root == "groups" && strings.EqualFold(parts[2], "members")
	if !known || !whole || len(parts) > 2 && !members {
		return breach("resource %q is none of groups, groups/{id}, groups/{id}/members, users, users/{id}", resource)
	}
	return nil
}

func (s *Server) readSubscription(r *http.Request) (*Subscription, error) {
	var b subscriptionBody
	if err := body(r, &b); err != nil {
		return nil, err
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	expires, err := expiry(str(b.ExpirationDateTime))
	if err != nil {
		return nil, err
	}
	if err := s.checkURL("notificationUrl", str(b.NotificationURL)); err != nil {
		return nil, err
	}
	if b.LifecycleNotificationURL != nil {
		if err := s.checkURL("lifecycleNotificationUrl", *b.LifecycleNotificationURL); err != nil {
			return nil, err
		}
	}
	return &Subscription{
		ID: newID(), Resource: str(b.Resource), ChangeType: str(b.ChangeType), ClientState: str(b.ClientState),
		NotificationURL: str(b.NotificationURL), LifecycleNotificationURL: str(b.LifecycleNotificationURL),
		Expires: expires,
	}, nil
}

// readRenewal reads a PATCH, which may change the expiry and the URL only.
func (s *Server) readRenewal(r *http.Request) (time.Time, string, error) {
	var b struct {
		ExpirationDateTime *string `json:"expirationDateTime"`
		NotificationURL    *string `json:"notificationUrl"`
		OData              *string `json:"@odata.type"`
	}
	if err := body(r, &b); err != nil {
		return time.Time{}, "", err
	}
	expires, err := expiry(str(b.ExpirationDateTime))
	if err == nil && b.NotificationURL != nil {
		err = s.checkURL("notificationUrl", *b.NotificationURL)
	}
	return expires, str(b.NotificationURL), err
}

// expiry reads expirationDateTime and raises what is too near.
func expiry(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return at, breach("expirationDateTime %q is not a time", text)
	}
	switch ahead := time.Until(at); {
	case ahead <= 0:
		return at, breach("expirationDateTime %s is in the past", text)
	case ahead > maxLife:
		return at, breach("expirationDateTime %s is more than %.0f minutes ahead", text, maxLife.Minutes())
	case ahead < minLife:
		return time.Now().Add(minLife), nil
	}
	return at, nil
}

func (s *Server) checkURL(field, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !s.opts.AllowHTTP) {
		return breach("%s %q must be an https address", field, text)
	}
	return nil
}

// validate asks each URL, one after the other, whether it expects Graph.
func (s *Server) validate(ctx context.Context, targets ...string) error {
	for _, target := range targets {
		if target == "" {
			continue
		}
		if err := s.shakeHands(ctx, target); err != nil {
			return &problem{
				status: http.StatusBadRequest, code: "InvalidRequest",
				message: fmt.Sprintf("subscription validation of %s: %v", target, err),
			}
		}
	}
	return nil
}

// shakeHands sends a token that must come back decoded, and nothing else.
func (s *Server) shakeHands(ctx context.Context, target string) error {
	if s.opts.Notify == nil {
		return fmt.Errorf("nothing answers there")
	}
	ctx, cancel := context.WithTimeout(ctx, answerDeadline)
	defer cancel()
	token := "Validation: <is it> you? a+b&c=d/100% " + newID()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, withToken(target, token), http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := s.opts.Notify.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, expectedAnswers))
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("answered %d, not 200", resp.StatusCode)
	case !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain"):
		return fmt.Errorf("answered as %q, not text/plain", resp.Header.Get("Content-Type"))
	case string(said) != token:
		return fmt.Errorf("answered something else than the token")
	}
	return nil
}

// withToken appends the token and leaves the query that is there alone.
func withToken(target, token string) string {
	mark := "?"
	if strings.Contains(target, "?") {
		mark = "&"
	}
	return target + mark + "validationToken=" + url.QueryEscape(token)
}
