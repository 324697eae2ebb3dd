package access

import (
	"cmp"
	"slices"
)

// A User is a person of the Kisi organization.
type User struct {
	ID     int
	Email  string
	Name   string
	Locked bool // Kisi opens no door to them, whatever they hold (access_enabled, scim_access_enabled)
}

// A Row is access that stands in Kisi: a live role assignment of role
// group_basic or a team membership, of a user.
type Row struct {
	ID    int
	User  int
	Email string // of the user; "" when the list did not tell
	More  []int  // further rows of the same user, where there are any
}

// RowsOf joins the rows of one user, the first of which is the one with id,
// or the oldest. No row at all is the zero value.
func RowsOf(rows []Row, id int) Row {
	if len(rows) == 0 {
		return Row{}
	}
	rows = slices.SortedFunc(slices.Values(rows), func(a, b Row) int {
		return cmp.Or(cmp.Compare(rank(a, id), rank(b, id)), cmp.Compare(a.ID, b.ID))
	})
	first := rows[0]
	first.More = nil
	for _, r := range rows[1:] {
		if r.ID != first.ID {
			first.More = append(first.More, r.ID)
		}
	}
	return first
}

func rank(r Row, id int) int {
	if r.ID == id {
		return 0
	}
	return 1
}

// A NewUser is a person whom Kisi shall know from now on.
type NewUser struct {
	Email  string
	Name   string
	Person string // Entra's object id, kept in the user's metadata
	Silent bool   // never gets mail; decided at creation, for good
}

// A Place is a group or a team in Kisi.
type Place struct {
	ID   int
	Name string
}

// A KisiImport is an integration of Kisi's own that fills a group from a
// directory. Two writers on one group fight.
type KisiImport struct {
	ID      int
	Name    string
	Enabled bool
}

// A Hook is an event webhook of Kisi: it tells, in seconds, of what was
// changed by hand.
type Hook struct {
	ID  int
	URL string
	Key string // signs what it sends; Kisi may not give it back
}
