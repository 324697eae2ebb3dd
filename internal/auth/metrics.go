package auth

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"kisibridge/internal/fault"
)

// A method is how somebody showed who they are.
type method string

const (
	byNothing method = "none"
	byKey     method = "key"
	byToken   method = "token"
	bySession method = "session"
	byOIDC    method = "oidc"
)

// An outcome is what came of it.
type outcome string

const (
	passed  outcome = "ok"
	denied  outcome = "denied"
	forged  outcome = "csrf"    // a session without its CSRF token
	limited outcome = "limited" // too many tries
	failed  outcome = "failed"  // Redis or the provider did not answer
)

type metrics struct{ total *prometheus.CounterVec }

func newMetrics(r prometheus.Registerer) *metrics {
	return &metrics{promauto.With(r).NewCounterVec(prometheus.CounterOpts{
		Name: "kisibridge_auth_total",
		Help: "Callers who showed who they are, by how, and by what came of it.",
	}, []string{"method", "outcome"})}
}

func (m *metrics) count(by method, what outcome) {
	m.total.WithLabelValues(string(by), string(what)).Inc()
}

// result counts an attempt by its error.
func (m *metrics) result(by method, err error) {
	switch {
	case err == nil:
		m.count(by, passed)
	case errors.Is(err, ErrTooMany):
		m.count(by, limited)
	case errors.Is(err, ErrCSRF):
		m.count(by, forged)
	case fault.Is(err, fault.Denied), fault.Is(err, fault.Invalid):
		m.count(by, denied)
	default:
		m.count(by, failed)
	}
}
