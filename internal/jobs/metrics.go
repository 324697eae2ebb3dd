package jobs

import (
	"slices"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

type metrics struct {
	wakes   *prometheus.CounterVec
	folded  prometheus.Counter
	rescued prometheus.Counter
	jobs    *prometheus.CounterVec
	dead    *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	wait    *prometheus.HistogramVec
}

func newMetrics(o Options) *metrics {
	f := promauto.With(o.Metrics)
	if o.Metrics != nil {
		o.Metrics.MustRegister(&depth{inspector: asynq.NewInspectorFromRedisClient(o.Redis)})
	}
	buckets := []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800}
	return &metrics{
		wakes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kisibridge_wakes_total", Help: "Work that was woken, by kind.",
		}, []string{"kind"}),
		folded: f.NewCounter(prometheus.CounterOpts{
			Name: "kisibridge_wakes_folded_total", Help: "Wakes that were folded into one that waited.",
		}),
		rescued: f.NewCounter(prometheus.CounterOpts{
			Name: "kisibridge_jobs_rescued_total", Help: "Work that nobody was at any more, and that got a new task.",
		}),
		jobs: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kisibridge_jobs_total", Help: "Runs, by kind and outcome: ok or the class of the error.",
		}, []string{"kind", "outcome"}),
		dead: f.NewCounterVec(prometheus.CounterOpts{
			Name: "kisibridge_jobs_dead_total", Help: "Work that was given up; asynq keeps it in its archive.",
		}, []string{"kind"}),
		seconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kisibridge_job_seconds", Help: "How long runs took.", Buckets: buckets,
		}, []string{"kind"}),
		wait: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kisibridge_job_wait_seconds", Help: "From the first cause of a wake to the beginning of its run.", Buckets: buckets,
		}, []string{"kind"}),
	}
}

// woken counts wakes; those of one call nearly always are of one kind.
func (m *metrics) woken(wakes []access.Wake) {
	for n := 0; len(wakes) > 0; wakes = wakes[n:] {
		for n = 1; n < len(wakes) && wakes[n].Kind == wakes[0].Kind; n++ {
		}
		m.wakes.WithLabelValues(string(wakes[0].Kind)).Add(float64(n))
	}
}

// done counts a run that began at began.
func (m *metrics) done(kind string, began time.Time, err error) {
	outcome := "ok"
	if err != nil {
		outcome = fault.Of(err).String()
	}
	m.jobs.WithLabelValues(kind, outcome).Inc()
	m.seconds.WithLabelValues(kind).Observe(time.Since(began).Seconds())
}

// depth asks Redis, at each scrape, how much waits in which queue.
type depth struct{ inspector *asynq.Inspector }

var depthDesc = prometheus.NewDesc("kisibridge_queue_depth",
	"Tasks in a queue, by state; archived ones are dead.", []string{"queue", "state"}, nil)

func (d *depth) Describe(ch chan<- *prometheus.Desc) { ch <- depthDesc }

func (d *depth) Collect(ch chan<- prometheus.Metric) {
	known, err := d.inspector.Queues()
	if err != nil {
		return // Redis is away, which others tell
	}
	for _, l := range lanes {
		info := &asynq.QueueInfo{} // of a lane that was never used
		if slices.Contains(known, l.queue) {
			if info, err = d.inspector.GetQueueInfo(l.queue); err != nil {
				return
			}
		}
		for state, n := range map[string]int{
			"pending": info.Pending, "active": info.Active, "scheduled": info.Scheduled,
			"retry": info.Retry, "archived": info.Archived,
		} {
			ch <- prometheus.MustNewConstMetric(depthDesc, prometheus.GaugeValue, float64(n), l.queue, state)
		}
	}
}
