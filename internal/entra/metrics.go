package entra

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	return &metrics{
		requests: register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kisibridge_graph_requests_total",
			Help: "Calls to Microsoft Graph, by outcome: ok, resync or the class of the error.",
		}, []string{"call", "outcome"})),
		seconds: register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kisibridge_graph_request_seconds", Help: "How long Graph took to answer.", Buckets: prometheus.DefBuckets,
		}, []string{"call"})),
	}
}

// register gives the collector that stands there already, if any: the clients
// of several tenants share one registry.
func register[C prometheus.Collector](r prometheus.Registerer, c C) C {
	if r == nil {
		return c
	}
	err := r.Register(c)
	if twice, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if there, ok := twice.ExistingCollector.(C); ok {
			return there
		}
	}
	return c
}

func (m *metrics) observe(k kind, took time.Duration, err error) {
	outcome := "ok"
	switch {
	case errors.Is(err, access.ErrResync):
		outcome = "resync"
	case err != nil:
		outcome = fault.Of(err).String()
	}
	m.requests.WithLabelValues(string(k), outcome).Inc()
	m.seconds.WithLabelValues(string(k)).Observe(took.Seconds())
}
