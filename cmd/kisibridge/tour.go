package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// tour shows the main job: an import, then people who join and leave.
func (d *demo) tour(ctx context.Context) error {
	d.say("A company of %d people in 12 groups; two of the groups open doors.", d.people)
	d.say("This Kisi allows %d requests a second, the real one allows 5 (--demo-kisi-rate 5).", d.rate)
	began := time.Now()
	if err := d.integrate(ctx); err != nil {
		return err
	}
	if err := d.importing(ctx); err != nil {
		return err
	}
	took, calls := time.Since(began), len(d.kisi.Log())
	d.say("Imported in %s with %d calls to Kisi.", took.Round(time.Millisecond), calls)
	var lags []time.Duration
	for _, c := range d.changes() {
		lag, err := d.change(ctx, c)
		if err != nil {
			return err
		}
		lags = append(lags, lag)
		d.say("%s", c.tell(lag))
	}
	return d.summary(ctx, lags)
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// importing shows how the import goes on, until all who shall open doors do.
func (d *demo) importing(ctx context.Context) error {
	want := 0
	for _, p := range d.pairs {
		want += len(d.graph.Members(p.entra))
	}
	shown := -1
	for {
		have := 0
		for _, p := range d.pairs {
			have += len(d.kisi.Holders(p.kisi))
		}
		shown = d.progress(have, want, shown)
		if have == want {
			return nil
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// progress draws a bar on a terminal, and a line for each tenth elsewhere.
func (d *demo) progress(have, want, shown int) int {
	tenth := have * 10 / max(1, want)
	if d.terminal {
		full := have * 40 / max(1, want)
		fmt.Fprintf(d.out, "\rImporting [%s%s] %d of %d ", strings.Repeat("█", full), strings.Repeat("·", 40-full), have, want)
		if have == want {
			fmt.Fprintln(d.out)
		}
	} else if tenth > shown {
		d.say("Importing: %d of %d open doors.", have, want)
	}
	return max(tenth, shown)
}

// A move is a change of the directory that the tour makes.
type move struct {
	pairing pairing
	person  string
	email   string
	name    string
	joins   bool
}

func (m move) tell(lag time.Duration) string {
	verb := "left"
	if m.joins {
		verb = "joined"
	}
	return fmt.Sprintf("%-22s %-6s %s → Kisi in %s", m.name, verb, m.pairing.name, lag.Round(time.Millisecond))
}

// changes lets a few strangers join and leave again, and a few members leave
// and come back.
func (d *demo) changes() []move {
	var moves []move
	for _, p := range d.pairs {
		members := d.graph.Members(p.entra)
		for _, person := range []string{d.stranger(members), members[0]} {
			u, _ := d.graph.User(person)
			m := move{p, person, u.UserPrincipalName, u.DisplayName, !slices.Contains(members, person)}
			back := m
			back.joins = !m.joins
			moves = append(moves, m, back)
		}
	}
	return moves
}

// stranger finds somebody who is in none of the groups with doors.
func (d *demo) stranger(members []string) string {
	for _, g := range d.graph.Groups() {
		for _, id := range d.graph.Members(g.ID) {
			if _, there := d.graph.User(id); there && !slices.Contains(members, id) {
				return id
			}
		}
	}
	return members[0]
}

// change makes a move, and measures until Kisi has followed.
func (d *demo) change(ctx context.Context, m move) (time.Duration, error) {
	if err := pause(ctx, 1200*time.Millisecond); err != nil {
		return 0, err
	}
	began := time.Now()
	if m.joins {
		d.graph.Join(m.pairing.entra, m.person)
	} else {
		d.graph.Leave(m.pairing.entra, m.person)
	}
	for d.kisi.Opens(m.pairing.kisi, m.email) != m.joins {
		if time.Since(began) > time.Minute {
			return 0, fmt.Errorf("%s: Kisi has not followed within a minute", m.tell(time.Since(began)))
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// summary compares the final states.
func (d *demo) summary(ctx context.Context, lags []time.Duration) error {
	differ := d.differ()
	for range 100 { // what the last answer has yet to show
		if differ == "" {
			break
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		differ = d.differ()
	}
	slices.Sort(lags)
	d.say("")
	d.say("%d changes, median %s, slowest %s, %d mails, %d violations of either cloud's contract.", len(lags),
		lags[len(lags)/2].Round(time.Millisecond), lags[len(lags)-1].Round(time.Millisecond),
		len(d.kisi.Mails()), len(d.kisi.Violations())+len(d.graph.Violations()))
	for _, v := range append(d.graph.Violations(), d.kisi.Violations()...) {
		d.say("violation: %s", v)
	}
	if differ != "" {
		return fmt.Errorf("%w: %s", errDiffer, differ)
	}
	d.say("Directory and doors are equal.")
	return nil
}

// invite leaves the company running, for changes by hand.
func (d *demo) invite() {
	p := d.pairs[0]
	members := d.graph.Members(p.entra)
	in, _ := d.graph.User(members[0])
	out, _ := d.graph.User(d.stranger(members))
	group := strings.ReplaceAll(p.name, " ", "%20")
	d.say("")
	d.say("Everything keeps running until you press Ctrl-C.")
	d.say("  the bridge     %s   (/healthz, /readyz, /metrics)", d.appURL)
	d.say("  Entra, Graph   %s   (/_sim/state)", d.graphURL)
	d.say("  Kisi           %s   (/_sim/state)", d.kisiURL)
	d.say("")
	d.say("Change the directory by hand, and look at the doors:")
	d.say("  curl -sk -X DELETE %s/_sim/groups/%s/members/%s", d.graphURL, group, in.UserPrincipalName)
	d.say("  curl -sk -X PUT    %s/_sim/groups/%s/members/%s", d.graphURL, group, out.UserPrincipalName)
	d.say("  curl -sk %s/_sim/groups/%s/holders | tr , '\\n' | grep -c @", d.kisiURL, group)
	d.say("  curl -sk -H 'Authorization: Bearer %s' %s/v1/integrations", demoToken, d.appURL)
	d.say("  curl -sk %s/metrics | grep ^kisibridge_change_seconds", d.appURL)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
