package webhook

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// An outcome is what became of one item.
type outcome int

const (
	accepted outcome = iota
	foreignState
	unknownSubscription
	otherTenant
	otherGroup
	malformed
	unknownEvent
	unused
	outcomeCount
)

// String is the outcome as logs and metrics spell it.
func (o outcome) String() string {
	return [...]string{
		"accepted", "foreign_state", "unknown_subscription", "other_tenant",
		"other_group", "malformed", "unknown_event", "unused",
	}[o]
}

// outcomes counts them.
type outcomes [outcomeCount]int

// String lists those that occurred.
func (o *outcomes) String() string {
	var parts []string
	for k, n := range o {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", outcome(k), n))
		}
	}
	return strings.Join(parts, " ")
}

type metrics struct {
	outcomes [outcomeCount]prometheus.Counter
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	lag      prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	with := promauto.With(r)
	notifications := with.NewCounterVec(prometheus.CounterOpts{
		Name: "kisibridge_notifications_total",
		Help: "Items that Graph, or somebody else, sent to the webhooks, by what became of them.",
	}, []string{"outcome"})
	m := &metrics{
		requests: with.NewCounterVec(prometheus.CounterOpts{
			Name: "kisibridge_webhook_requests_total",
			Help: "Requests to the webhooks, by the status of the answer.",
		}, []string{"endpoint", "code"}),
		seconds: with.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kisibridge_webhook_seconds",
			Help:    "From a request to a webhook to its answer. Graph counts 3 seconds as slow.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 3},
		}, []string{"endpoint"}),
		lag: with.NewHistogram(prometheus.HistogramOpts{
			Name:    "kisibridge_notification_lag_seconds",
			Help:    "From a change in Entra to its notification, where Graph tells the time of the change.",
			Buckets: []float64{1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600},
		}),
	}
	for o := range m.outcomes {
		m.outcomes[o] = notifications.WithLabelValues(outcome(o).String())
	}
	return m
}

func (m *metrics) request(endpoint string, code int) {
	m.requests.WithLabelValues(endpoint, strconv.Itoa(code)).Inc()
}

// An eventOutcome is what became of an event of Kisi.
type eventOutcome int

const (
	eventAccepted   eventOutcome = iota
	eventForged                  // or of a connection without a webhook
	eventReplayed                // this very body came before
	eventMalformed               // no JSON object
	eventUnknown                 // of a kind that tells of no access
	eventUnrelated               // about a team, a guest, a place: none of ours
	eventIncomplete              // does not say about whom
	eventOutcomeCount
)

// String is the outcome as logs and metrics spell it.
func (o eventOutcome) String() string {
	return [...]string{
		"accepted", "forged", "replayed", "malformed", "unknown_event", "unrelated", "incomplete",
	}[o]
}

type kisiMetrics struct {
	outcomes [eventOutcomeCount]prometheus.Counter
}

func newKisiMetrics(r prometheus.Registerer) *kisiMetrics {
	events := promauto.With(r).NewCounterVec(prometheus.CounterOpts{
		Name: "kisibridge_kisi_events_total",
		Help: "Events that Kisi, or somebody else, sent to its webhook, by what became of them.",
	}, []string{"outcome"})
	m := &kisiMetrics{}
	for o := range m.outcomes {
		m.outcomes[o] = events.WithLabelValues(eventOutcome(o).String())
	}
	return m
}
