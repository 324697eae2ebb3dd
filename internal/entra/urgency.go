package entra

import (
	"context"
	"net/http"

	"kisibridge/internal/access"
)

const priorityHeader = "x-ms-throttle-priority" // Graph: throttling

func priority(ctx context.Context) string {
	if access.IsUnhurried(ctx) {
		return "low"
	}
	return "high"
}

// An urgent transport tells Graph what it may let wait, when it must.
type urgent struct{ next http.RoundTripper }

func (u urgent) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(priorityHeader, priority(r.Context()))
	return u.next.RoundTrip(r)
}
