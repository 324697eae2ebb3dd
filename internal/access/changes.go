package access

import (
	"errors"
	"time"
)

// ErrResync says that Graph no longer knows a saved link: read everything and
// compare, never "everybody left".
var ErrResync = errors.New("the saved delta link is no longer known; everything must be read again")

// The kinds of member a group can have. Only people get access.
const (
	KindUser  = "user"
	KindGroup = "group"
	KindOther = "other" // devices, service principals, contacts
)

// A Member is something that an Entra group holds directly.
type Member struct {
	ID   string
	Kind string
}

// Changes is what happened to one group since a link.
type Changes struct {
	Link    string   // ask with it the next time
	Name    string   // the group's display name; "" when not told
	Full    bool     // Joined is everybody, not a difference
	Joined  []Member // sorted by id
	Left    []string // sorted
	Unsure  bool     // somebody both joined and left in one answer: read the members
	Deleted string   // "" or Graph's reason: "changed" can be restored, "deleted" not

	// What follows is added by whoever read the member list as well.
	Compared bool // the list was read
	Ahead    bool // it knew more than delta, whose link is older than it
}

// Empty tells whether nothing happened.
func (c Changes) Empty() bool {
	return !c.Full && !c.Unsure && len(c.Joined) == 0 && len(c.Left) == 0 && c.Deleted == ""
}

// PeopleChanges names the people of a tenant whose details changed, who were
// deleted or restored, since a link. What they are now must be read.
type PeopleChanges struct {
	Link string   // ask with it the next time
	IDs  []string // sorted
}

// A Tenant is a company in Entra.
type Tenant struct {
	ID     string
	Name   string
	Domain string // its main one
}

// GroupInfo names an Entra group.
type GroupInfo struct {
	ID   string
	Name string
}

// The ids of what a subscription to a whole tenant covers, in place of a
// group's. No object id begins so.
const (
	AllGroups = "*groups" // every group, changes of members included
	AllUsers  = "*users"  // every person: disabled, deleted, renamed
)

// A Subscription is Graph's promise to tell of changes: of one group, or of
// all groups or all people of a tenant.
type Subscription struct {
	ID          string    `json:"id,omitempty"` // "" when Graph refused it
	Group       Group     `json:"group"`
	ClientState string    `json:"client_state,omitempty"` // the proof of origin of a notification
	URL         string    `json:"url,omitempty"`
	Created     time.Time `json:"created"`
	Expires     time.Time `json:"expires"`
	Refused     string    `json:"refused,omitempty"` // why there is none
}

// Healthy tells whether notifications can be counted on.
func (s Subscription) Healthy(now time.Time) bool {
	return s.ID != "" && s.Refused == "" && now.Before(s.Expires)
}

// Due tells whether half of the subscription's life is over.
func (s Subscription) Due(now time.Time) bool {
	return !now.Before(s.Created.Add(s.Expires.Sub(s.Created) / 2))
}
