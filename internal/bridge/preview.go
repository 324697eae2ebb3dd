package bridge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// A Preview is what an integration would do, if it were made or changed as it
// is shown. Nothing is written.
type Preview struct {
	Add      []access.Want // people who would be granted
	Adopt    []access.Want // people whose access stands and would be taken over
	Preserve []access.Want // people whose access stands and would be left alone
	Remove   []access.Person
	Skip     []access.Skip
	Held     string // why the removals would wait for a person
	Mails    int    // that Kisi would send about access
	Calls    int    // that the first run would make, at most
	ETA      time.Duration
	Warnings []string
}

// Preview plans an integration: a new one, or a changed one that bears the id
// of the one it would replace.
func (e *Engine) Preview(ctx context.Context, i access.Integration) (Preview, error) {
	var p Preview
	i = i.WithDefaults()
	i.State = access.Active
	insists := i.Insist
	i.Insist = true
	if err := e.Check(ctx, i); err != nil {
		return p, err
	}
	i.Insist = insists
	dir, err := e.directory(ctx, i.Group.Connection)
	if err != nil {
		return p, err
	}
	k, err := e.organization(ctx, i.Target.Connection)
	if err != nil {
		return p, err
	}
	if err := e.otherWriters(ctx, k, i); err != nil {
		if !fault.Is(err, fault.Invalid) {
			return p, err
		}
		p.Warnings = append(p.Warnings, err.Error())
	}
	in, err := e.previewInput(ctx, dir, i)
	if err != nil {
		return p, err
	}
	rows, err := listRows(ctx, k, i.Target, access.Allow)
	if fault.Is(err, fault.Invalid) {
		p.Warnings = append(p.Warnings, err.Error())
		rows = nil // a part of the list says nothing
	} else if err != nil {
		return p, err
	}
	p.fill(access.Decide(in), in, rows)
	p.estimate(i, e.rate)
	return p, nil
}

// previewInput reads the group as it is now, and everything else as stored.
func (e *Engine) previewInput(ctx context.Context, dir Entra, i access.Integration) (access.Input, error) {
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return access.Input{}, err
	}
	in, err := e.input(ctx, rules, i.Target)
	if err != nil {
		return in, err
	}
	v, err := e.store.Verdicts(ctx, i.Target)
	if err != nil {
		return in, err
	}
	members, people, err := readAll(ctx, dir, i)
	if err != nil {
		return in, err
	}
	maps.Copy(in.People, people)
	in.Callers = slices.DeleteFunc(in.Callers, func(c access.Caller) bool { return c.Integration.ID == i.ID })
	in.Callers = append(in.Callers, access.Caller{Integration: i, Members: members})
	in.Pass, in.Verdicts = true, v.Of
	in.Grants, err = e.store.Holders(ctx, i.Target)
	return in, err
}

// readAll reads the people of a group, and of those within where they count.
func readAll(ctx context.Context, dir Directory, i access.Integration) (map[string]bool, map[string]access.Person, error) {
	members, people := map[string]bool{}, map[string]access.Person{}
	seen := map[string]bool{i.Group.ID: true}
	for queue := []string{i.Group.ID}; len(queue) > 0; queue = queue[1:] {
		listed, persons, err := dir.Members(ctx, queue[0])
		if fault.Is(err, fault.Missing) && queue[0] != i.Group.ID {
			continue
		}
		if err == nil {
			persons, err = alive(ctx, dir, persons)
		}
		if err != nil {
			return nil, nil, err
		}
		for _, p := range persons {
			people[p.ID] = p
		}
		for _, m := range listed {
			switch {
			case m.Kind == access.KindUser:
				members[m.ID] = true
			case m.Kind == access.KindGroup && i.Membership == access.Transitive && !seen[m.ID]:
				seen[m.ID] = true
				queue = append(queue, m.ID)
			}
		}
	}
	return members, people, nil
}

// fill sorts a plan into what a person wants to see of it.
func (p *Preview) fill(plan access.Plan, in access.Input, rows map[int]access.Row) {
	standing, ours := map[string]bool{}, map[int]bool{}
	for _, g := range in.Held {
		ours[g.User] = true
	}
	strangers := 0
	for _, r := range rows {
		standing[access.FoldEmail(r.Email)] = true
		if !ours[r.User] {
			strangers++
		}
	}
	for _, want := range plan.Make {
		switch {
		case !standing[access.FoldEmail(want.Email)]:
			p.Add = append(p.Add, want)
		case want.Preserve:
			p.Preserve = append(p.Preserve, want)
		default:
			p.Adopt = append(p.Adopt, want)
		}
		if want.Notify && !standing[access.FoldEmail(want.Email)] {
			p.Mails++
		}
	}
	for _, id := range slices.Concat(plan.Revoke, plan.Release, plan.Wait) {
		person := in.People[id]
		person.ID = id
		p.Remove = append(p.Remove, person)
	}
	p.Skip, p.Held = plan.Skip, plan.Why
	if n := strangers - len(p.Adopt) - len(p.Preserve); n > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d people have access to the target who are not in the group; they are not touched", n))
	}
}

// estimate counts calls: two for a person whom Kisi may not know, one for a
// removal; and a first batch is all that is done at first.
func (p *Preview) estimate(i access.Integration, rate int) {
	p.Calls = 2*len(p.Add) + len(p.Adopt) + len(p.Preserve) + len(p.Remove)
	p.ETA = (time.Duration(p.Calls) * time.Second / time.Duration(rate)).Round(time.Second)
	if i.Batched() {
		p.Warnings = append(p.Warnings, fmt.Sprintf("only %d people are granted until somebody nods", i.FirstBatch))
	}
}

// A Progress says how far the work on a target is, and when it may end.
type Progress struct {
	Pending int           // people whose grant is still to be made or deleted
	Calls   int           // that this takes, at most
	ETA     time.Duration // at the rate that Kisi allows
	Wait    time.Duration // a revocation waits this long at most
}

// Progress counts what is still to be done for an integration.
func (e *Engine) Progress(ctx context.Context, id string) (Progress, error) {
	i, err := e.store.Integration(ctx, id)
	if err != nil {
		return Progress{}, err
	}
	rules, err := e.store.Rules(ctx)
	if err != nil {
		return Progress{}, err
	}
	in, err := e.input(ctx, rules, i.Target)
	if err != nil {
		return Progress{}, err
	}
	v, err := e.store.Verdicts(ctx, i.Target)
	if err != nil {
		return Progress{}, err
	}
	in.Verdicts = v.Of
	plan := access.Decide(in)
	p := Progress{Pending: len(plan.Make) + len(plan.Revoke) + len(plan.Judge), Wait: time.Second / time.Duration(e.rate)}
	p.Calls = 2*len(plan.Make) + len(plan.Revoke) + len(plan.Judge)
	p.ETA = time.Duration(p.Calls) * time.Second / time.Duration(e.rate)
	return p, nil
}

// String is the estimate in words.
func (p Progress) String() string {
	return fmt.Sprintf("%d people, %s at the rate that Kisi allows; a revocation waits at most %s",
		p.Pending, p.ETA.Round(time.Second), p.Wait)
}
