package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kisibridge/internal/app"
)

// checkPublicURL asks our own address for a validation, as Graph will.
func checkPublicURL(ctx context.Context, c app.Config) []finding {
	target := c.NotificationURL()
	if target == "" {
		return []finding{{warn, "no public address: Graph tells of nothing, and changes are seen within 30 s", "set KISIBRIDGE_PUBLIC_URL to where Graph reaches this bridge"}}
	}
	remedy := "let https://…/webhooks/graph reach a running serve from the internet, with a certificate that Microsoft trusts"
	transport, err := c.Transport()
	if err != nil {
		return []finding{{fail, err.Error(), ""}}
	}
	token := "kisibridge doctor: ä+/&="
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target+"?validationToken="+url.QueryEscape(token), http.NoBody)
	if err != nil {
		return []finding{{fail, "public address: " + err.Error(), remedy}}
	}
	r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		return []finding{{fail, "public address: " + err.Error(), remedy}}
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
	if err != nil || answer.StatusCode != http.StatusOK || string(body) != token || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/plain") {
		return []finding{{fail, fmt.Sprintf("public address: %s does not answer a validation (status %d)", target, answer.StatusCode), remedy}}
	}
	return []finding{{fine, "the public address answers a validation", ""}}
}
