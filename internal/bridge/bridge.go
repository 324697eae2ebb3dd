// Package bridge carries out what access decides: it pulls groups from Entra,
// applies plans to Kisi person by person, and keeps the subscriptions.
//
// It knows neither cloud and no queue: what it needs of them it declares here,
// in words of access, and gets handed in. Every method may be called twice,
// late and out of order, for each decides from what is stored when it runs.
package bridge

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// Directory is what a pull needs of Entra.
type Directory interface {
	// Changes returns what happened to group since link, or all of it when
	// link is empty. It returns access.ErrResync when Graph no longer knows
	// the link: read everything and compare, never "everybody left".
	Changes(ctx context.Context, group, link string) (access.Changes, error)
	// Members reads the member list itself, with the details of its people.
	Members(ctx context.Context, group string) ([]access.Member, []access.Person, error)
	// People reads details by id; who was deleted comes back as gone.
	People(ctx context.Context, ids []string) ([]access.Person, error)
	// Living tells which of people are not deleted, which a member list may
	// not know.
	Living(ctx context.Context, people []string) (map[string]bool, error)
}

// Witness is what a pass asks before it removes many, and what a person wants
// to see before an integration is made.
type Witness interface {
	// Belongs asks from the other side: in which of groups are people, through
	// groups within groups too? Everybody asked about is in the answer.
	Belongs(ctx context.Context, people, groups []string) (map[string][]string, error)
	Group(ctx context.Context, id string) (access.GroupInfo, error)
	// PeopleChanges names who changed in the tenant since link; an empty link
	// gives the link of now, and nobody.
	PeopleChanges(ctx context.Context, link string) (access.PeopleChanges, error)
	// Organization tells whose tenant this really is.
	Organization(ctx context.Context) (access.Tenant, error)
}

// Subscriber is what the keeper needs of Entra.
type Subscriber interface {
	// Subscribe gives a clash when Graph has such a subscription already.
	Subscribe(ctx context.Context, wanted access.Subscription) (access.Subscription, error)
	// Renew prolongs, and re-authorizes; Missing says that Graph removed it.
	Renew(ctx context.Context, s access.Subscription) (access.Subscription, error)
	Unsubscribe(ctx context.Context, id string) error
	Subscriptions(ctx context.Context) ([]access.Subscription, error)
}

// Entra is one connected tenant.
type Entra interface {
	Directory
	Witness
	Subscriber
}

// Users is what an apply needs of the people in Kisi.
type Users interface {
	FindUser(ctx context.Context, u access.Urgency, email string) (access.User, bool, error)
	User(ctx context.Context, u access.Urgency, id int) (access.User, error)
	// CreateUser gives a clash when the email exists.
	CreateUser(ctx context.Context, u access.Urgency, n access.NewUser) (access.User, error)
	EachUser(ctx context.Context, u access.Urgency, visit func(page []access.User, total int) (more bool)) error
	UsersByID(ctx context.Context, u access.Urgency, ids []int) ([]access.User, error)
	Rename(ctx context.Context, u access.Urgency, user int, name string) error
}

// Doors is what an apply needs of the access in Kisi.
type Doors interface {
	// Rows tells what access of a user stands on the target, ours or not.
	Rows(ctx context.Context, u access.Urgency, t access.Target, user int) ([]access.Row, error)
	EachRow(ctx context.Context, u access.Urgency, t access.Target, visit func(page []access.Row, total int) (more bool)) error
	// Grant gives a clash when the access exists.
	Grant(ctx context.Context, u access.Urgency, t access.Target, user int, notify bool) (access.Row, error)
	Revoke(ctx context.Context, u access.Urgency, t access.Target, row int) error
	// RowOf reads one row by its id: a role assignment or, for a target of
	// type team, a team membership.
	RowOf(ctx context.Context, u access.Urgency, kind string, id int) (access.Target, access.Row, error)
}

// Place is what the bridge asks of a target before it fills it.
type Place interface {
	Describe(ctx context.Context, u access.Urgency, t access.Target) (access.Place, error)
	Imports(ctx context.Context, u access.Urgency, group int) ([]access.KisiImport, error)
}

// Hooks is what the bridge needs to be told of changes by hand.
type Hooks interface {
	Hooks(ctx context.Context, u access.Urgency) ([]access.Hook, error)
	AddHook(ctx context.Context, u access.Urgency, h access.Hook) (access.Hook, error)
	DropHook(ctx context.Context, u access.Urgency, id int) error
}

// Kisi is one connected organization.
type Kisi interface {
	Users
	Doors
	Place
	Hooks
}

// Clouds open what integrations are connected to.
type Clouds interface {
	// Entra gives the client of a connected tenant, or says why there is none.
	Entra(ctx context.Context, connection string) (Entra, error)
	// Kisi gives the client of a connected organization, once it is sure that
	// its key opens the organization that the ledger is of.
	Kisi(ctx context.Context, connection string) (Kisi, error)
	// Tenants lists the connected tenants.
	Tenants(ctx context.Context) ([]string, error)
}

// Waker carries work between processes.
type Waker interface {
	// Wake returns when the work cannot be lost any more.
	Wake(ctx context.Context, wakes ...access.Wake) error
	// Later wakes after a while; a second call for the same time is one.
	Later(ctx context.Context, w access.Wake, after time.Duration) error
}

// Options are what an Engine is made of.
type Options struct {
	Store           *store.Store
	Waker           Waker
	Clouds          Clouds
	NotificationURL string        // where Graph reaches us; "" when it cannot
	HookURL         string        // where Kisi reaches us, without the connection; "" when it cannot
	SweepInterval   time.Duration // over which a sweep is spread; 0: not at all
	KisiRate        int           // calls a second, for the estimate of how long things take
	Process         string        // the name under which this process gives signs of life
	Log             *slog.Logger  // nil: silent
	Metrics         prometheus.Registerer
}

// An Engine does the work of the bridge. It is safe for concurrent use.
type Engine struct {
	store   *store.Store
	waker   Waker
	clouds  Clouds
	url     string
	hookURL string
	spreads time.Duration // the sweep's interval
	rate    int
	process string
	log     *slog.Logger
	metrics *metrics
}

// New makes an Engine.
func New(o Options) *Engine {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Engine{
		store: o.Store, waker: o.Waker, clouds: o.Clouds, url: o.NotificationURL,
		hookURL: o.HookURL, spreads: o.SweepInterval, rate: max(o.KisiRate, 1), process: o.Process, log: o.Log, metrics: newMetrics(o.Metrics),
	}
}

func (e *Engine) directory(ctx context.Context, connection string) (Entra, error) {
	return e.clouds.Entra(ctx, connection)
}

func (e *Engine) organization(ctx context.Context, connection string) (Kisi, error) {
	return e.clouds.Kisi(ctx, connection)
}

// Fixed are clouds that never change.
type Fixed struct {
	Tenant       map[string]Entra // by connection
	Organization map[string]Kisi  // by connection
}

// Entra gives the client of a tenant.
func (f Fixed) Entra(_ context.Context, connection string) (Entra, error) {
	if c, ok := f.Tenant[connection]; ok {
		return c, nil
	}
	return nil, NoConnection("entra", connection)
}

// Kisi gives the client of an organization.
func (f Fixed) Kisi(_ context.Context, connection string) (Kisi, error) {
	if c, ok := f.Organization[connection]; ok {
		return c, nil
	}
	return nil, NoConnection("kisi", connection)
}

// Tenants lists the tenants.
func (f Fixed) Tenants(context.Context) ([]string, error) {
	return slices.Sorted(maps.Keys(f.Tenant)), nil
}

// NoConnection says that there is none of an id.
func NoConnection(kind, id string) error {
	return &fault.Error{
		Class: fault.Denied, Op: kind + " connection " + id, Err: errors.New("there is none of that id"),
		Hint: "connect it, or give the id of one that is connected",
	}
}

// live leaves out the integrations that are being deleted.
func live(of []access.Integration) []access.Integration {
	return slices.DeleteFunc(of, func(i access.Integration) bool { return i.State == access.Deleting })
}

// targets lists the targets that some integrations fill, each once.
func targets(of []access.Integration) []access.Target {
	var list []access.Target
	for _, i := range of {
		if !slices.Contains(list, i.Target) {
			list = append(list, i.Target)
		}
	}
	return list
}

// wake wakes any number, in bites that Redis swallows at once.
func (e *Engine) wake(ctx context.Context, wakes []access.Wake) error {
	for len(wakes) > 0 {
		n := min(len(wakes), 1000)
		if err := e.waker.Wake(ctx, wakes[:n]...); err != nil {
			return err
		}
		wakes = wakes[n:]
	}
	return nil
}
