// Package app puts the parts of the bridge together, runs and closes them. It
// alone sees the settings. The client for Entra is handed in, so that the
// whole app, and its stories, build without the Graph SDK.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"

	"kisibridge/internal/bridge"
	"kisibridge/internal/jobs"
	"kisibridge/internal/rest"
	"kisibridge/internal/store"
	"kisibridge/internal/webhook"
)

// KisiConnection is the id of the connection that KISI_API_KEY makes.
const KisiConnection = "kisi"

// Options are what an App is made of.
type Options struct {
	Config        Config
	Redis         redis.UniversalClient // nil: opened from Config and closed with the App
	KisiTransport http.RoundTripper     // nil: Config's
	Listener      net.Listener          // nil: opened from Config
	NoListen      bool                  // answer through Handler alone
	Poll          time.Duration         // how often idle queues are looked at; 0: the usual
	Log           *slog.Logger          // nil: silent
	Version       string

	// ConsentURL is where an admin of a tenant consents to the app; nil: nowhere.
	ConsentURL func(c Config, redirect, state string) (string, error)
	// Entra makes the client of a tenant, and calls nobody; nil: there is none.
	Entra func(c Config, tenant string, metrics prometheus.Registerer) (bridge.Entra, error)
}

// An App is one process of the bridge.
//
// It holds no Config, so that whoever prints it prints no secret.
type App struct {
	log      *slog.Logger
	registry *prometheus.Registry
	store    *store.Store
	engine   *bridge.Engine
	clouds   *clouds
	handler  http.Handler
	listener net.Listener
	missing  []string       // settings without which there is little to do
	shifts   [][]loop       // in the order in which they stop
	closers  []func() error // last first
}

// New builds an App, and undoes what it began when that goes wrong. It is a
// straight line of parts that need one another.
func New(ctx context.Context, o Options) (_ *App, err error) {
	c := o.Config
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &App{log: o.Log, registry: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			_ = a.Close() // the first mistake is the one to tell
		}
	}()
	client := o.Redis
	if client == nil {
		if client, err = openRedis(string(c.RedisURL)); err != nil {
			return nil, err
		}
		a.closers = append(a.closers, client.Close)
	}
	if a.store, err = store.Open(client); err != nil {
		return nil, err
	}
	for _, runtime := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := a.registry.Register(runtime); err != nil {
			return nil, fmt.Errorf("register the metrics of the process: %w", err)
		}
	}

	host, _ := os.Hostname() // only a part of a name that is random too
	process := host + "-" + rand.Text()[:8]
	work := jobs.Options{Redis: client, Wakes: a.store, Process: process, Poll: o.Poll, Log: o.Log, Metrics: a.registry}
	queue := jobs.NewQueue(work)

	if a.clouds, err = newClouds(o, a.store, a.registry); err != nil {
		return nil, err
	}
	if c.TenantID == "" {
		a.missing = append(a.missing, "AZURE_TENANT_ID")
	}
	if c.KisiAPIKey == "" {
		a.missing = append(a.missing, "KISI_API_KEY")
	}
	a.engine = bridge.New(bridge.Options{
		Store: a.store, Waker: queue, Clouds: a.clouds, NotificationURL: c.NotificationURL(), HookURL: c.HookURL(), Process: process,
		SweepInterval: c.SweepInterval, KisiRate: c.KisiRate, Log: o.Log, Metrics: a.registry,
	})

	var hooks *webhook.Handler
	if c.Has(api) {
		hooks = webhook.New(webhook.Options{
			Wake: queue.Wake, Subscriptions: a.store.Subscriptions, Known: a.store.Known, Kisi: a.store, Log: o.Log, Metrics: a.registry,
		})
	}
	router := newRouter(a.store, a.registry, hooks, o.Log)
	if c.Has(api) {
		if err := a.serveAPI(router, o, queue); err != nil {
			return nil, err
		}
	}
	a.handler = router
	if !o.NoListen {
		if a.listener = o.Listener; a.listener == nil {
			if a.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen); err != nil {
				return nil, fmt.Errorf("KISIBRIDGE_LISTEN: %w", err)
			}
		}
		a.closers = append(a.closers, a.closeListener)
	}
	a.plan(c, queue, work)
	return a, nil
}

// serveAPI adds the API, what it is read with, and the ways to sign in.
func (a *App) serveAPI(e *echo.Echo, o Options, queue *jobs.Queue) error {
	gate, err := newGate(o, a.store, a.registry)
	if err != nil {
		return err
	}
	server, err := rest.New(rest.Options{
		Engine: a.engine, Store: a.store, Gate: gate, Connections: a.clouds, Lookup: a.clouds, Consent: a.clouds,
		Queues: queues{queue, a.clouds}, Version: o.Version, Public: o.Config.PublicURL != "", Sweep: o.Config.SweepInterval,
		Log: o.Log, Metrics: a.registry,
	})
	if err != nil {
		return err
	}
	server.Register(e)
	signingIn(e, gate, a.clouds)
	documented(e)
	return nil
}

// plan lists the loops that the roles of the process ask for, in the order in
// which they stop: first nothing new is taken, then what was begun comes to an
// end, and meanwhile the queue gives the signs of life for it.
func (a *App) plan(c Config, queue *jobs.Queue, work jobs.Options) {
	var front, back []loop
	if a.listener != nil {
		front = append(front, loop{"http", func(ctx context.Context) error { return serve(ctx, a.listener, a.handler, a.log) }})
	}
	if c.Has(worker) {
		w := jobs.NewWorker(work, queue, jobs.Handlers{
			Work: a.engine.Handlers(), Sweep: a.engine.Sweep, Watch: a.engine.Watch, Dead: a.engine.Dead, Failed: a.engine.Failed,
		})
		back = append(back, loop{"worker", w.Run}, loop{"rescue", a.rescue})
		if c.KisiAPIKey != "" {
			back = append(back, loop{"bind", a.bind})
		}
	}
	if c.Has(scheduler) {
		back = append(back, loop{"schedule", jobs.NewSchedule(work, c.SweepInterval, c.watch()).Run})
	}
	a.shifts = [][]loop{front, back, {{"queue", queue.Run}}}
}

// rescue wakes what dead processes left, at start and every few seconds.
func (a *App) rescue(ctx context.Context) error {
	said := changes{log: a.log, message: "work that was left is not found"}
	return every(ctx, 5*time.Second, func() (done bool, err error) {
		said.tell(ctx, a.engine.Rescue(ctx))
		return false, nil
	})
}

// bind makes sure that the key of the settings opens the organization that the
// ledger is of. Another one ends the app: nothing is written with it, and
// somebody must know.
func (a *App) bind(ctx context.Context) error {
	said := changes{log: a.log, message: "the Kisi key is not known to be right yet"}
	return every(ctx, 15*time.Second, func() (done bool, err error) {
		_, err = a.clouds.Kisi(ctx, KisiConnection)
		if errors.Is(err, store.ErrForeign) {
			return true, err
		}
		said.tell(ctx, err)
		return err == nil, nil
	})
}

// Handler answers the app's HTTP.
func (a *App) Handler() http.Handler { return a.handler }

// Engine is what the app runs.
func (a *App) Engine() *bridge.Engine { return a.engine }

// Metrics is where everything is counted.
func (a *App) Metrics() *prometheus.Registry { return a.registry }

// Store is what the app remembers in.
func (a *App) Store() *store.Store { return a.store }
