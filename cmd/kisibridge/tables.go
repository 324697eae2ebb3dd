package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"kisibridge/api"
)

func tableOfIntegrations(list []api.Integration) func(io.Writer) error {
	s := heads("ID", "NAME", "STATE", "GROUP", "TARGET", "MEMBERS", "HOLDERS", "HELD", "WHY")
	for _, i := range list {
		n := i.Numbers
		if n == nil {
			s.add(i.ID, i.Name, i.State, i.EntraGroupID, targetOf(i.Target), "?", "?", "?", dash(i.StateReason))
			continue
		}
		s.add(i.ID, i.Name, stateOf(i), i.EntraGroupID, targetOf(i.Target), n.Members, n.Holders, n.Held, dash(i.StateReason))
	}
	return s.print
}

// stateOf tells of a deletion how far it is.
func stateOf(i api.Integration) string {
	if i.State == api.IntegrationStateDeleting && i.Numbers != nil {
		return fmt.Sprintf("deleting, %d left", i.Numbers.LeftToDelete)
	}
	return string(i.State)
}

func targetOf(t api.Target) string {
	if t.Type == api.TargetTypeUsersOnly {
		return "users only"
	}
	return fmt.Sprint(t.Type, " ", t.ID)
}

func sheetOfIntegration(i api.Integration) *sheet {
	s := &sheet{}
	s.add("id", i.ID)
	s.add("name", i.Name)
	s.add("state", stateOf(i)+", since "+moment(i.StateSince))
	s.add("why", dash(i.StateReason))
	s.add("entra", i.EntraConnectionID+", group "+i.EntraGroupID)
	s.add("kisi", i.KisiConnectionID+", "+targetOf(i.Target))
	s.add("email property", i.EmailProperty)
	s.add("membership", i.Membership)
	s.add("existing access", i.ExistingAccess)
	s.add("disabled accounts", i.DisabledAccounts)
	s.add("removals", removals(i))
	s.add("guests", yes(i.Guests))
	s.add("exclude", dash(strings.Join(i.Exclude, ", ")))
	s.add("first batch", i.FirstBatch)
	s.add("notify", yes(i.Notify))
	s.add("send emails", yes(i.SendEmails))
	s.add("insist", yes(i.Insist))
	if n := i.Numbers; n != nil {
		s.add("people", fmt.Sprintf("%d members, %d hold access, %d removals wait", n.Members, n.Holders, n.Held))
	}
	if sub := i.Subscription; sub != nil {
		s.add("notified", subscribed(*sub))
	}
	if run := i.LastRun; run != nil {
		s.add("last run", fmt.Sprintf("%s, %s, started %s", run.ID, run.State, moment(run.StartedAt)))
	}
	s.add("created", moment(i.CreatedAt))
	return s
}

func removals(i api.Integration) string {
	mode := string(i.RemovalMode)
	if i.RemovalMode == api.RemovalModeAfter {
		mode = fmt.Sprintf("after %d hours", i.RemovalHours)
	}
	return fmt.Sprintf("%s; more than %d and %d %% are held", mode, i.RemovalLimit.Count, i.RemovalLimit.Percent)
}

func subscribed(s api.Subscription) string {
	switch {
	case s.Healthy:
		return "until " + when(s.ExpiresAt)
	case s.Refused != "":
		return "refused: " + s.Refused
	}
	return "not yet, swept"
}

func tableOfRuns(list ...api.Run) func(io.Writer) error {
	s := heads("ID", "STATE", "CAUSE", "BY", "STARTED", "DONE", "OF", "JOINED", "LEFT", "SKIPPED", "HELD", "ERROR")
	for _, r := range list {
		s.add(r.ID, r.State, r.Cause, dash(r.By), moment(r.StartedAt), r.Progress.Done, r.Progress.Total,
			r.Joined, r.Left, r.Skipped, r.Held, dash(r.Error))
	}
	return s.print
}

func tableOfPeople(list []api.Account) func(io.Writer) error {
	s := heads("PERSON", "NAME", "EMAIL", "STATE", "SINCE", "TRIGGER", "WHY")
	for _, a := range list {
		s.add(a.EntraUserID, dash(a.Name), dash(a.Email), standing(a), when(a.Since), dash(a.Trigger), dash(because(a)))
	}
	return s.print
}

// standing is the state, and whether Kisi opens no door all the same.
func standing(a api.Account) string {
	if a.Locked {
		return string(a.State) + ", locked out in Kisi"
	}
	return string(a.State)
}

// because is why somebody stands there, and what went wrong at last.
func because(a api.Account) string {
	if a.Trouble == nil {
		return a.Why
	}
	parts := []string{a.Trouble.Detail + "; next try: " + nextTime(a.Trouble.NextTry)}
	if a.Why != "" {
		parts = append([]string{a.Why}, parts...)
	}
	return strings.Join(parts, "; ")
}

func nextTime(t *time.Time) string {
	if t == nil {
		return "with the next sweep"
	}
	return moment(*t)
}

func sheetOfPerson(a api.Account) *sheet {
	s := &sheet{}
	s.add("person", a.EntraUserID)
	s.add("name", dash(a.Name))
	s.add("email", dash(a.Email))
	s.add("state", standing(a))
	s.add("since", when(a.Since))
	s.add("why", dash(a.Why))
	s.add("trigger", dash(a.Trigger))
	if a.KisiUserID != 0 {
		s.add("kisi user", a.KisiUserID)
	}
	if t := a.Trouble; t != nil {
		s.add("trouble", t.Class+": "+t.Detail)
		s.add("last try", moment(t.At))
		s.add("next try", nextTime(t.NextTry))
	}
	return s
}
