// Package app puts the parts of the bridge together, runs and closes them. It
// alone sees the settings. The client for Entra is handed in, so that the
// whole app, and its stories, build without the Graph SDK.
package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/bridge"
	"kisibridge/internal/fault"
	"kisibridge/internal/jobs"
	"kisibridge/internal/kisi"
	"kisibridge/internal/store"
	"kisibridge/internal/webhook"
)

// KisiConnection is the id of the connection that KISI_API_KEY makes.
const KisiConnection = "kisi"

// Options are what an App is made of.
type Options struct {
	Config        Config
	Entra         func(Config, prometheus.Registerer) (bridge.Entra, error) // makes the client of the tenant; nil: none
	Redis         redis.UniversalClient                                     // nil: opened from Config and closed with the App
	KisiTransport http.RoundTripper                                         // nil: Config's
	Listener      net.Listener                                              // nil: opened from Config
	NoListen      bool                                                      // answer through Handler alone
	Poll          time.Duration                                             // how often idle queues are looked at; 0: the usual
	Log           *slog.Logger                                              // nil: silent
	Version       string
}

// An App is one process of the bridge.
type App struct {
	config   Config
	log      *slog.Logger
	store    *store.Store
	engine   *bridge.Engine
	queue    *jobs.Queue
	kisi     *kisi.Client // nil: no organization is connected
	handler  http.Handler
	listener net.Listener
	loops    []loop
	closers  []func() error // last first
}

// New builds an App, and undoes what it began when that goes wrong. It is a
// straight line of parts that need one another.
func New(ctx context.Context, o Options) (a *App, err error) {
	c := o.Config
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a = &App{config: c, log: o.Log}
	defer func() {
		if err != nil {
			_ = a.Close() // the first mistake is the one to tell
		}
	}()
	client := o.Redis
	if client == nil {
		opts, err := redisOptions(string(c.RedisURL))
		if err != nil {
			return nil, fmt.Errorf("KISIBRIDGE_REDIS_URL: %w", err)
		}
		client = redis.NewUniversalClient(opts)
		a.closers = append(a.closers, client.Close)
	}
	if a.store, err = store.Open(client); err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	host, _ := os.Hostname() // only a part of a name that is random too
	process := host + "-" + rand.Text()[:8]
	work := jobs.Options{Redis: client, Wakes: a.store, Process: process, Poll: o.Poll, Log: o.Log, Metrics: registry}
	queue := jobs.NewQueue(work)

	engine := bridge.Options{
		Store: a.store, Waker: queue, NotificationURL: c.NotificationURL(), Process: process,
		Entra: map[string]bridge.Entra{}, Kisi: map[string]bridge.Kisi{}, Log: o.Log, Metrics: registry,
	}
	if c.TenantID != "" && o.Entra != nil {
		if engine.Entra[c.TenantID], err = o.Entra(c, registry); err != nil {
			return nil, err
		}
	}
	if c.KisiAPIKey != "" {
		if a.kisi, err = newKisi(o, a.store, registry); err != nil {
			return nil, err
		}
		engine.Kisi[KisiConnection] = a.kisi
	}
	a.engine = bridge.New(engine)

	var hooks *webhook.Handler
	if c.has(api) {
		hooks = webhook.New(webhook.Options{Wake: queue.Wake, Subscriptions: a.store.Subscriptions, Log: o.Log, Metrics: registry})
	}
	a.handler = newRouter(a.store, registry, hooks, o.Log)
	if !o.NoListen {
		if a.listener = o.Listener; a.listener == nil {
			if a.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen); err != nil {
				return nil, fmt.Errorf("KISIBRIDGE_LISTEN: %w", err)
			}
		}
		a.closers = append(a.closers, a.closeListener)
	}
	a.plan(queue, work)
	return a, nil
}

func newKisi(o Options, s *store.Store, registry prometheus.Registerer) (*kisi.Client, error) {
	transport := o.KisiTransport
	if transport == nil {
		var err error
		if transport, err = o.Config.Transport(); err != nil {
			return nil, err
		}
	}
	return kisi.New(kisi.Options{
		URL: o.Config.KisiURL, APIKey: string(o.Config.KisiAPIKey), Transport: transport,
		Limiter: s.Limiter(KisiConnection, o.Config.KisiRate), Version: o.Version, Metrics: registry, Log: o.Log,
	})
}

// plan lists the loops that the roles of the process ask for.
func (a *App) plan(queue *jobs.Queue, work jobs.Options) {
	if a.listener != nil {
		a.loops = append(a.loops, loop{"http", func(ctx context.Context) error { return serve(ctx, a.listener, a.handler, a.log) }})
	}
	a.queue = queue
	if a.config.has(worker) {
		w := jobs.NewWorker(work, queue, jobs.Handlers{
			Pull: a.engine.Pull, Apply: a.engine.Apply, Roster: a.engine.Roster, Keep: a.engine.Keep,
			Sweep: a.engine.Sweep, Watch: a.engine.Watch, Dead: a.engine.Dead,
		})
		a.loops = append(a.loops, loop{"worker", w.Run}, loop{"rescue", a.rescue}, loop{"bind", a.bind})
	}
	if a.config.has(scheduler) {
		watch := time.Minute
		if a.config.PublicURL == "" {
			watch = 30 * time.Second
		}
		a.loops = append(a.loops, loop{"schedule", jobs.NewSchedule(work, a.config.SweepInterval, watch).Run})
	}
}

// rescue wakes what dead processes left, at start and every few seconds.
func (a *App) rescue(ctx context.Context) error {
	return every(ctx, 5*time.Second, func() {
		if err := a.engine.Rescue(ctx); err != nil && ctx.Err() == nil {
			a.log.Debug("what was left is looked for again", "err", err)
		}
	})
}

// bind makes sure that the key opens the organization that the ledger is of.
func (a *App) bind(ctx context.Context) error {
	if a.kisi == nil {
		a.log.Warn("no Kisi organization is connected; set KISI_API_KEY")
		<-ctx.Done()
		return nil
	}
	var fatal error
	bound := false
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := every(ctx, 15*time.Second, func() {
		if bound {
			return
		}
		who, err := a.kisi.Whoami(ctx, access.Look)
		if err == nil {
			if err = a.store.Bind(ctx, KisiConnection, who.Organization.ID); fault.Is(err, fault.Denied) {
				fatal = err
				cancel()
			}
		}
		bound = err == nil
		if err != nil && ctx.Err() == nil {
			a.log.Warn("Kisi does not answer yet", "err", err)
		}
	})
	if fatal != nil {
		return fatal
	}
	return err
}

// Handler answers the app's HTTP.
func (a *App) Handler() http.Handler { return a.handler }

// Engine is what the app runs.
func (a *App) Engine() *bridge.Engine { return a.engine }

// Store is what the app remembers in.
func (a *App) Store() *store.Store { return a.store }
