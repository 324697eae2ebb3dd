package rest

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	seconds *prometheus.HistogramVec
	streams prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	return &metrics{
		seconds: promauto.With(r).NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kisibridge_api_request_seconds",
			Help:    "How long calls of the API took, by operation and status.",
			Buckets: []float64{.005, .02, .1, .5, 2, 10, 30},
		}, []string{"operation", "code"}),
		streams: promauto.With(r).NewGauge(prometheus.GaugeOpts{
			Name: "kisibridge_api_event_streams",
			Help: "Callers who follow the audit trail now.",
		}),
	}
}

// done counts a call; a stream is counted when it ends.
func (m *metrics) done(op *operation, status int, took time.Duration) {
	name := "none"
	if op != nil {
		name = op.id
	}
	m.seconds.WithLabelValues(name, strconv.Itoa(status)).Observe(took.Seconds())
}
