package bridge

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"kisibridge/internal/fault"
)

type metrics struct {
	pulls         *prometheus.CounterVec
	applies       *prometheus.CounterVec
	settled       *prometheus.CounterVec
	lateness      *prometheus.HistogramVec
	subscriptions *prometheus.CounterVec
	unhealthy     prometheus.Gauge
	holds         prometheus.Counter
	doubts        prometheus.Counter
	drift         prometheus.Counter
	strangers     prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		pulls: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kisibridge_pulls_total",
			Help: "Groups read, by what came of it; behind: delta was silent and the member list knew better.",
		}, []string{"result"}),
		applies: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kisibridge_applies_total",
			Help: "Grants made and revoked, by outcome: ok or the class of the error.",
		}, []string{"action", "outcome"}),
		settled: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kisibridge_intents_settled_total",
			Help: "Intents that were found open, because a process died or an answer was lost.",
		}, []string{"op"}),
		lateness: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kisibridge_change_seconds",
			Help:    "From the notification (or the sweep that found it) to Kisi's answer.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600},
		}, []string{"action"}),
		subscriptions: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kisibridge_subscriptions_total",
			Help: "Subscriptions made, renewed and refused.",
		}, []string{"result"}),
		unhealthy: f.NewGauge(prometheus.GaugeOpts{
			Name: "kisibridge_groups_without_subscription",
			Help: "Groups of whose changes nobody tells us; they are swept every minute.",
		}),
		holds: f.NewCounter(prometheus.CounterOpts{
			Name: "kisibridge_removals_held_total",
			Help: "Passes whose removals wait for a person.",
		}),
		doubts: f.NewCounter(prometheus.CounterOpts{
			Name: "kisibridge_removals_doubted_total",
			Help: "Removals that wait because Graph contradicted itself.",
		}),
		drift: f.NewCounter(prometheus.CounterOpts{
			Name: "kisibridge_drift_vanished_total",
			Help: "Grants of ours that were taken away by hand in Kisi.",
		}),
		strangers: f.NewGauge(prometheus.GaugeOpts{
			Name: "kisibridge_drift_strangers",
			Help: "Access on the target looked at last that is neither made nor taken over by the bridge.",
		}),
	}
}

func (m *metrics) applied(action string, err error) {
	outcome := "ok"
	if err != nil {
		outcome = fault.Of(err).String()
	}
	m.applies.WithLabelValues(action, outcome).Inc()
}
