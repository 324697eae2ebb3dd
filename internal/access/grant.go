package access

import "time"

// A Standing is where a person stands with a target.
type Standing string

// The standings of a person.
const (
	None      Standing = ""          // holds nothing of ours
	Holds     Standing = "holds"     // holds a grant that we made or took over
	Preserved Standing = "preserved" // had access of somebody else's making; never ours
	Refused   Standing = "refused"   // Kisi refuses; Why says what
)

// What an intent is about to do.
const (
	ToGrant  = "grant"
	ToRevoke = "revoke"
	ToTake   = "take"  // over access that was there
	ToClear  = "clear" // revoke what stands under an older address
)

// An Intent is written before a call and taken away after it. One that is
// found says: the call may have taken effect, so look before repeating it.
type Intent struct {
	Op      string    `json:"op"`
	Process string    `json:"process"` // who wrote it; while that process lives, only it may go on
	At      time.Time `json:"at"`
}

// A Holding is access under an address that is not the person's any more. It
// is revoked once the new address has its own.
type Holding struct {
	Email   string `json:"email"`
	User    int    `json:"user"`
	Row     int    `json:"row"`
	Adopted bool   `json:"adopted,omitempty"`
	More    []int  `json:"more,omitempty"`
}

// A Grant is one person's entry in the ledger of a target.
type Grant struct {
	Person   string    `json:"person"`
	Email    string    `json:"email,omitempty"` // the address it was made for
	User     int       `json:"user,omitempty"`  // the Kisi user
	Row      int       `json:"row,omitempty"`   // the role assignment or team membership
	Standing Standing  `json:"standing,omitempty"`
	For      []string  `json:"for,omitempty"`     // the integrations that call for it, sorted
	Adopted  bool      `json:"adopted,omitempty"` // the access was there before us
	More     []int     `json:"more,omitempty"`    // further rows that were taken over with it
	Name     string    `json:"name,omitempty"`    // as Kisi was told; kept for users only
	Old      *Holding  `json:"old,omitempty"`     // what the person holds under an older address
	Cause    Cause     `json:"cause,omitempty"`   // what brought the standing about
	Intent   *Intent   `json:"intent,omitempty"`
	Why      string    `json:"why,omitempty"`
	Since    time.Time `json:"since"`
	Rev      int64     `json:"-"` // what the store compares when it saves
}

// Opens tells whether the person holds a grant of ours.
func (g Grant) Opens() bool { return g.Standing == Holds || g.Old != nil }
