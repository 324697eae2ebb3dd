package kisi

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
	wait     *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	return &metrics{
		requests: register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kisibridge_kisi_requests_total",
			Help: "Calls to Kisi, by outcome: ok or the class of the error.",
		}, []string{"call", "outcome"})),
		seconds: register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kisibridge_kisi_request_seconds",
			Help:    "From the call to Kisi's whole answer, without the wait for its turn.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20},
		}, []string{"call"})),
		wait: register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kisibridge_kisi_wait_seconds",
			Help:    "How long a call waited for its turn within Kisi's rate.",
			Buckets: []float64{.001, .01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"urgency"})),
	}
}

func (m *metrics) waited(u access.Urgency, d time.Duration) {
	m.wait.WithLabelValues(u.String()).Observe(d.Seconds())
}

func (m *metrics) called(name string, err error, d time.Duration) {
	outcome := "ok"
	if err != nil {
		outcome = fault.Of(err).String()
	}
	m.requests.WithLabelValues(name, outcome).Inc()
	m.seconds.WithLabelValues(name).Observe(d.Seconds())
}

// register gives the collector that stands there already, if any: the clients
// of several organizations share one registry.
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
