package store

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kisibridge/internal/access"
)

// An entry of the ledger stands for each person of each target, so that it is
// written as short as can still be read by eye:
//
//	revision, opens (0 or 1), standing, user, row, since (milliseconds, base
//	36), cause, integrations, email, and what is rare, as JSON
//
// with tabs between. The script that saves it reads the first two.

// rare is what few entries have.
type rare struct {
	Adopted bool            `json:"adopted,omitempty"`
	More    []int           `json:"more,omitempty"`
	Name    string          `json:"name,omitempty"`
	Old     *access.Holding `json:"old,omitempty"`
	Intent  *access.Intent  `json:"intent,omitempty"`
	Why     string          `json:"why,omitempty"`
}

// standings are spelled by their first letter; none is a dash.
var standings = [...]access.Standing{access.None, access.Holds, access.Preserved, access.Refused}

func letterOf(s access.Standing) string {
	if s == access.None {
		return "-"
	}
	return string(s[:1])
}

func standingOf(letter string) (access.Standing, error) {
	for _, s := range standings {
		if letterOf(s) == letter {
			return s, nil
		}
	}
	return "", fmt.Errorf("%q is no standing", letter)
}

// writeGrant writes everything but the revision, which the script counts.
func writeGrant(g access.Grant) (string, error) {
	tail := ""
	if text, err := json.Marshal(rare{g.Adopted, g.More, g.Name, g.Old, g.Intent, g.Why}); err != nil {
		return "", err
	} else if string(text) != "{}" {
		tail = string(text)
	}
	opens := "0"
	if g.Opens() {
		opens = "1"
	}
	since := int64(0)
	if !g.Since.IsZero() {
		since = g.Since.UnixMilli()
	}
	return strings.Join([]string{
		opens, letterOf(g.Standing), strconv.Itoa(g.User), strconv.Itoa(g.Row), strconv.FormatInt(since, 36),
		strconv.Itoa(int(g.Cause)), strings.Join(g.For, ","), strings.ReplaceAll(g.Email, "\t", " "), tail,
	}, "\t"), nil
}

func readGrant(person, text string) (g access.Grant, err error) {
	f := strings.SplitN(text, "\t", 10)
	if len(f) != 10 {
		return g, fmt.Errorf("%d fields, want 10", len(f))
	}
	number := func(s string, base int) int64 {
		n, bad := strconv.ParseInt(s, base, 64)
		if bad != nil {
			err = bad
		}
		return n
	}
	g = access.Grant{
		Person: person, Rev: number(f[0], 10), User: int(number(f[3], 10)), Row: int(number(f[4], 10)),
		Cause: access.Cause(number(f[6], 10)), Email: f[8],
	}
	if since := number(f[5], 36); since != 0 {
		g.Since = time.UnixMilli(since)
	}
	if f[7] != "" {
		g.For = strings.Split(f[7], ",")
	}
	if err != nil {
		return g, err
	}
	if g.Standing, err = standingOf(f[2]); err != nil || f[9] == "" {
		return g, err
	}
	var r rare
	err = json.Unmarshal([]byte(f[9]), &r)
	g.Adopted, g.More, g.Name, g.Old, g.Intent, g.Why = r.Adopted, r.More, r.Name, r.Old, r.Intent, r.Why
	return g, err
}
