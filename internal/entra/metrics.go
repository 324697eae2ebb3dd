package entra

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kisibridge_graph_requests_total",
			Help: "Calls to Microsoft Graph, by outcome: ok, resync or the class of the error.",
		}, []string{"call", "outcome"}),
		seconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kisibridge_graph_request_seconds", Help: "How long Graph took to answer.", Buckets: prometheus.DefBuckets,
		}, []string{"call"}),
	}
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
