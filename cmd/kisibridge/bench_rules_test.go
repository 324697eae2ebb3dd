package main

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"kisibridge/internal/access"
	"kisibridge/internal/app"
	"kisibridge/internal/bridge"
	"kisibridge/internal/entra"
	"kisibridge/internal/graphsim"
	"kisibridge/internal/kisi"
	"kisibridge/internal/kisisim"
	"kisibridge/internal/store"
)

// A sweeper is an engine whose work is done at once and in turn, so that what
// a sweep costs is counted and nothing else.
type sweeper struct {
	b            *bench
	integrations int
	graph        *graphsim.Server
	kisi         *kisisim.Server
	store        *store.Store
	engine       *bridge.Engine
	wakes        []access.Wake
	commands     atomic.Int64
}

// Wake stores work as the queue does, and keeps it in mind.
func (s *sweeper) Wake(ctx context.Context, wakes ...access.Wake) error {
	fresh, err := s.store.Wake(ctx, wakes)
	s.wakes = append(s.wakes, fresh...)
	return err
}

// Later has nothing to do in a sweep that finds no change.
func (s *sweeper) Later(context.Context, access.Wake, time.Duration) error { return nil }

// DialHook and the two below count what Redis is asked.
func (s *sweeper) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (s *sweeper) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { s.commands.Add(1); return next(ctx, cmd) }
}

func (s *sweeper) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		s.commands.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

// work does all that was woken.
func (s *sweeper) work() {
	ctx := s.b.Context()
	for len(s.wakes) > 0 {
		w := s.wakes[0]
		s.wakes = s.wakes[1:]
		if _, ok, err := s.store.Claim(ctx, w.Key(), "bench"); err != nil || !ok {
			continue
		}
		if err := s.engine.Handlers()[w.Kind](ctx, w); err != nil {
			s.b.Fatalf("%s: %v", w.Key(), err)
		}
		if _, _, err := s.store.Finish(ctx, w.Key(), "bench", false, 0); err != nil {
			s.b.Fatal(err)
		}
	}
}

// newSweeper makes a company of integrations of 100 people each, all in line.
// Kisi tells of changes by hand, so that a sweep need not look.
func (b *bench) newSweeper(integrations, people int) *sweeper {
	b.Helper()
	options, err := redis.ParseURL(b.redisURL())
	if err != nil {
		b.Fatal(err)
	}
	client := redis.NewClient(options)
	b.Cleanup(func() { _ = client.Close() })
	s := &sweeper{b: b, integrations: integrations, graph: graphsim.New(graphsim.Options{}), kisi: kisisim.New(kisisim.Options{Rate: -1})}
	b.Cleanup(s.graph.Close)
	client.AddHook(s)
	if s.store, err = store.Open(client); err != nil {
		b.Fatal(err)
	}
	k, err := kisi.New(kisi.Options{APIKey: kisisim.DefaultAPIKey, Transport: graphsim.RoundTripper(s.kisi)})
	if err != nil {
		b.Fatal(err)
	}
	g, err := entra.New(entra.Options{
		Tenant: graphsim.DefaultTenant, ClientID: graphsim.DefaultClientID, ClientSecret: graphsim.DefaultClientSecret,
		Transport: graphsim.RoundTripper(s.graph),
	})
	if err != nil {
		b.Fatal(err)
	}
	s.engine = bridge.New(bridge.Options{
		Store: s.store, Waker: s, Process: "bench",
		Clouds: bridge.Fixed{Tenant: map[string]bridge.Entra{graphsim.DefaultTenant: g}, Organization: map[string]bridge.Kisi{app.KisiConnection: k}},
	})
	if err := s.store.SaveHook(b.Context(), app.KisiConnection, access.Hook{ID: 1, Key: "k"}); err != nil {
		b.Fatal(err)
	}
	for n := range integrations {
		s.integrate(n, people)
	}
	s.work()
	s.sweep() // looks at Kisi once
	return s
}

// integrate makes an integration whose people all hold their grant already.
func (s *sweeper) integrate(n, people int) {
	ctx, id := s.b.Context(), fmt.Sprintf("01jdbench%017d", n)
	s.graph.AddGroup(groupID(n), "Group")
	t := access.Target{Connection: app.KisiConnection, Type: access.TargetGroup, ID: s.kisi.AddGroup("Group")}
	var ids []string
	for k := range people {
		person := fmt.Sprintf(personPrefix+"%012d", n*people+k)
		email := emailOf(person)
		s.graph.AddUser(graphsim.User{ID: person, DisplayName: "Person", UserPrincipalName: email, AccountEnabled: true})
		ids = append(ids, person)
		user := s.kisi.AddUser(email, "Person")
		row := s.kisi.AddAssignment(kisisim.Assignment{RoleID: "group_basic", AppliesToType: "Group", AppliesToID: t.ID, AssigneeType: "User", AssigneeID: user})
		_, err := s.store.SaveGrant(ctx, t, access.Grant{Person: person, Email: email, User: user, Row: row, Standing: access.Holds, For: []string{id}, Since: time.Now()})
		if err != nil {
			s.b.Fatal(err)
		}
	}
	s.graph.Join(groupID(n), ids...)
	_, err := s.engine.Add(ctx, access.Integration{ID: id, Name: "Group", Group: access.Group{Connection: graphsim.DefaultTenant, ID: groupID(n)}, Target: t})
	if err != nil {
		s.b.Fatal(err)
	}
}

func (s *sweeper) sweep() {
	if err := s.engine.Sweep(s.b.Context()); err != nil {
		s.b.Fatal(err)
	}
	s.work()
}

// A cost is what one integration costs in a sweep that finds nothing.
type cost struct {
	integrations int
	took         time.Duration
	delta, calls float64 // of Graph: delta calls for groups, and all
	kisi, redis  float64
}

// sweepRounds is how often each company is swept.
const sweepRounds = 7

// costs sweeps companies in turns, so that whatever else the machine does falls
// on all alike, and takes the fastest sweep of each. The garbage of the
// stand-ins, which live in this process, is collected between.
func costs(of []*sweeper) []cost {
	all, before := make([]cost, len(of)), make([][4]int64, len(of))
	for k, s := range of {
		before[k] = s.counts()
	}
	for range sweepRounds {
		for k, s := range of {
			runtime.GC()
			began := time.Now()
			s.sweep()
			if took := time.Since(began) / time.Duration(s.integrations); all[k].took == 0 || took < all[k].took {
				all[k].took = took
			}
		}
	}
	for k, s := range of {
		each, after := float64(sweepRounds*s.integrations), s.counts()
		per := func(n int) float64 { return float64(after[n]-before[k][n]) / each }
		all[k].integrations, all[k].delta, all[k].calls, all[k].kisi, all[k].redis = s.integrations, per(0), per(1), per(2), per(3)
	}
	return all
}

// counts are delta calls, calls of Graph and of Kisi, and Redis commands so far.
func (s *sweeper) counts() [4]int64 {
	return [4]int64{
		int64(s.graph.Calls("GET /v1.0/groups/delta")), int64(len(s.graph.Log())), int64(len(s.kisi.Log())), s.commands.Load(),
	}
}

// sweeps measures a sweep without a change over 10, 100 and 1,000 integrations
// of 100 people, and over 100 of 10 people.
func (b *bench) sweeps() []figure {
	all := costs([]*sweeper{b.newSweeper(10, 100), b.newSweeper(100, 100), b.newSweeper(1000, 100), b.newSweeper(100, 10)})
	ten, hundred, most, few := all[0], all[1], all[2], all[3]
	flat := float64(most.took) / float64(min(ten.took, hundred.took))
	per := fmt.Sprintf("10: %s, 100: %s, 1,000: %s", millis(ten.took), millis(hundred.took), millis(most.took))
	return []figure{
		{"sweep without change, delta calls a group", fmt.Sprintf("%.3f", most.delta), "1,000 integrations of 100", fmt.Sprintf("%.3f Graph calls in all", most.calls), "= 1", most.delta == 1},
		{"sweep without change, Kisi calls", fmt.Sprintf("%.3f", most.kisi), "1,000 integrations of 100", "", "= 0", most.kisi == 0},
		{
			"sweep without change, Redis commands an integration", fmt.Sprintf("%.1f", hundred.redis), fmt.Sprintf("%.1f with 10 people each", few.redis),
			fmt.Sprintf("%.2f", hundred.redis/few.redis), "≤ 1.01", hundred.redis <= few.redis*1.01,
		},
		{"sweep without change, time an integration", per, "1,000 against the least", fmt.Sprintf("%.2f", flat), "≤ 1.2", flat <= 1.2},
	}
}

// bytes measures what a membership with its grant takes in Redis.
func (b *bench) bytes() []figure {
	return []figure{b.bytesOf(1000, 100), b.bytesOf(10, 10_000)}
}

func (b *bench) bytesOf(groups, people int) figure {
	options, err := redis.ParseURL(b.redisURL())
	if err != nil {
		b.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	s, err := store.Open(client)
	if err != nil {
		b.Fatal(err)
	}
	queue := make(chan func() error, 1000)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for do := range queue {
				if err := do(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for n := range groups {
		b.fill(s, n, people, queue)
	}
	close(queue)
	wg.Wait()
	own, once := b.weigh(client)
	each := float64(own) / float64(groups*people)
	return figure{
		fmt.Sprintf("Redis, a membership with its grant, %d × %d", groups, people), fmt.Sprintf("%.0f bytes", each), "",
		fmt.Sprintf("and %.0f for a person, once", float64(once)/float64(groups*people)), "≤ 300", each <= 300,
	}
}

// fill writes a group and the ledger of its target, as pulls and applies do.
func (b *bench) fill(s *store.Store, n, people int, queue chan<- func() error) {
	ctx, id := b.Context(), fmt.Sprintf("01jdbench%017d", n)
	g := access.Group{Connection: graphsim.DefaultTenant, ID: groupID(n)}
	t := access.Target{Connection: app.KisiConnection, Type: access.TargetGroup, ID: 4000 + n}
	var joined []access.Member
	var persons []access.Person
	for k := range people {
		number := n*people + k
		person := fmt.Sprintf(personPrefix+"%012d", number)
		email := emailOf(person)
		joined = append(joined, access.Member{ID: person, Kind: access.KindUser})
		persons = append(persons, access.Person{ID: person, Name: fmt.Sprintf("Person %d of Many", number), UPN: email, Mail: email})
		queue <- func() error {
			if err := s.Meet(ctx, app.KisiConnection, 1_000_000+number, person); err != nil {
				return err
			}
			_, err := s.SaveGrant(ctx, t, access.Grant{
				Person: person, Email: email, User: 1_000_000 + number, Row: 20_000_000 + number, Standing: access.Holds,
				For: []string{id}, Cause: access.ByNotice, Since: time.Now(),
			})
			return err
		}
	}
	queue <- func() error {
		if _, err := s.SaveMembership(ctx, g, 0, access.Changes{Link: strings.Repeat("l", 300), Joined: joined}, time.Now()); err != nil {
			return err
		}
		return s.Woken(ctx, g, 1)
	}
	queue <- func() error {
		_, err := s.SavePeople(ctx, g.Connection, persons, time.Now())
		return err
	}
}

// weigh adds up what keys take: those of memberships and grants, and those
// that stand once for a person.
func (b *bench) weigh(client *redis.Client) (own, once int64) {
	iter := client.Scan(b.Context(), 0, "*", 1000).Iterator()
	for iter.Next(b.Context()) {
		n, err := client.MemoryUsage(b.Context(), iter.Val(), 0).Result()
		if err != nil {
			b.Fatal(err)
		}
		if strings.HasSuffix(iter.Val(), ":people") || strings.HasSuffix(iter.Val(), ":users") {
			once += n
		} else {
			own += n
		}
	}
	return own, once
}
