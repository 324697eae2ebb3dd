package store

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"kisibridge/internal/access"
)

// Verdicts are what was said of people in a target. Rev must be shown when
// they are saved, so that two passes over one target never judge by the same
// count of removals.
type Verdicts struct {
	Of    map[string]access.Verdict
	Rev   int64
	Why   string    // why removals wait
	Since time.Time // when the first of them began to
}

// Hold is the removals that wait for a person.
func (v Verdicts) Hold() access.Hold {
	var people []string
	for _, id := range slices.Sorted(maps.Keys(v.Of)) {
		if v.Of[id].State == access.Waits {
			people = append(people, id)
		}
	}
	if len(people) == 0 {
		return access.Hold{}
	}
	return access.Hold{Why: v.Why, Since: v.Since, People: people, Rev: v.Rev}
}

// Verdicts reads all that was said of people in a target.
func (s *Store) Verdicts(ctx context.Context, t access.Target) (Verdicts, error) {
	rows, err := s.redis.HGetAll(ctx, verdictsKey(t)).Result()
	return readVerdicts(rows), sorted("redis: read verdicts of "+t.String(), err)
}

func readVerdicts(rows map[string]string) Verdicts {
	v := Verdicts{Of: make(map[string]access.Verdict, len(rows))}
	for name, text := range rows {
		said := readVerdict(text)
		if name == "" { // the head of the list
			v.Rev, _ = strconv.ParseInt(said.State, 10, 64)
			v.Since, v.Why = said.At, said.By
			continue
		}
		v.Of[unpack(name)] = said
	}
	return v
}

// readVerdict splits "STATE TIME WHO".
func readVerdict(text string) access.Verdict {
	state, rest, _ := strings.Cut(text, " ")
	at, by, _ := strings.Cut(rest, " ")
	return access.Verdict{State: state, At: millis(at), By: by}
}

// Verdict reads what was said of one person.
func (s *Store) Verdict(ctx context.Context, t access.Target, person string) (v access.Verdict, err error) {
	text, err := s.redis.HGet(ctx, verdictsKey(t), pack(person)).Result()
	if there, err := found(err); !there {
		return v, sorted("redis: read verdict of "+t.String(), err)
	}
	return readVerdict(text), nil
}

// SaveVerdicts says more, or drops what has no state, and gives a clash when
// somebody else did since v was read. It returns what stands then.
func (s *Store) SaveVerdicts(ctx context.Context, t access.Target, v Verdicts, say map[string]access.Verdict, why string) (Verdicts, error) {
	next := Verdicts{Of: maps.Clone(v.Of), Rev: v.Rev + 1, Why: v.Why, Since: v.Since}
	var args []any
	for _, id := range slices.Sorted(maps.Keys(say)) {
		verdict := say[id]
		if verdict.State == "" {
			delete(next.Of, id)
			args = append(args, pack(id), "")
			continue
		}
		next.Of[id] = verdict
		args = append(args, pack(id), verdict.State+" "+strconv.FormatInt(verdict.At.UnixMilli(), 10)+" "+verdict.By)
	}
	switch waits := len(next.Hold().People) > 0; {
	case !waits:
		next.Why, next.Since = "", time.Time{}
	case why != "" || next.Since.IsZero():
		next.Why = why
		if v.Since.IsZero() {
			next.Since = time.Now()
		}
	}
	head := strconv.FormatInt(next.Since.UnixMilli(), 10) + " " + next.Why
	ok, err := s.run(ctx, "verdicts", []string{verdictsKey(t)}, append([]any{v.Rev, head}, args...)...).Bool()
	if err == nil && !ok {
		return v, clash("redis: save verdicts of " + t.String())
	}
	return next, sorted("redis: save verdicts of "+t.String(), err)
}
