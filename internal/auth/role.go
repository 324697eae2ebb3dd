package auth

import (
	"fmt"
	"slices"
)

// A Role is what a caller may do. The zero Role may do nothing.
type Role int

// The roles; each may do what those before it may.
const (
	Viewer   Role = iota + 1 // read
	Operator                 // and make access change: integrations, holds, runs
	Admin                    // and say who may: connections, keys
)

var roleNames = [...]string{Viewer: "viewer", Operator: "operator", Admin: "admin"}

// ParseRole reads a role as people write it.
func ParseRole(text string) (Role, error) {
	if n := slices.Index(roleNames[:], text); n >= int(Viewer) {
		return Role(n), nil
	}
	return 0, fmt.Errorf("role %q: viewer, operator or admin is expected", text)
}

// Allows tells whether r may do what needs the role least. What needs no role
// that there is, nobody may do.
func (r Role) Allows(least Role) bool { return least >= Viewer && r >= least && r <= Admin }

// String is the role as people write it, "none" when there is none.
func (r Role) String() string {
	if !r.Allows(Viewer) {
		return "none"
	}
	return roleNames[r]
}

// MarshalText writes a role.
func (r Role) MarshalText() ([]byte, error) {
	if !r.Allows(Viewer) {
		return nil, fmt.Errorf("%d is no role", int(r))
	}
	return []byte(roleNames[r]), nil
}

// UnmarshalText reads a role.
func (r *Role) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRole(string(text))
	return err
}

// strongest is the highest role that any of names gives, or none.
func strongest(roles map[string]Role, names []string) Role {
	var best Role
	for _, name := range names {
		best = max(best, roles[name])
	}
	return best
}
