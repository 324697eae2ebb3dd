package access

import (
	"net/mail"
	"strings"
)

// A Person is somebody in Entra, as last read from Graph.
type Person struct {
	ID       string `json:"id"` // Entra's object id: the only name that never changes
	Name     string `json:"name,omitempty"`
	UPN      string `json:"upn,omitempty"`
	Mail     string `json:"mail,omitempty"`
	Disabled bool   `json:"disabled,omitempty"`
	Gone     bool   `json:"gone,omitempty"`  // deleted in Entra; the membership may still stand
	Guest    bool   `json:"guest,omitempty"` // Graph: userType "Guest"
}

// maxEmail is the longest address that can be delivered to (RFC 5321, 4.5.3.1.3).
const maxEmail = 254

// Why a person is skipped.
const (
	NoEmail     = "no usable email"
	GuestEmail  = "the user name of a guest is not a mailbox; use email_property mail"
	RefusedByUs = "the email is not a valid address"
)

// Email returns the address by which Kisi shall know the person,
// or why there is none.
func (p Person) Email(property string) (address, why string) {
	s := p.UPN
	if property == EmailMail {
		s = p.Mail
	}
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return "", NoEmail
	case isGuestName(s):
		return "", GuestEmail
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s || len(s) > maxEmail {
		return "", RefusedByUs
	}
	return s, ""
}

// IsGuest tells whether the person comes from another directory.
func (p Person) IsGuest() bool { return p.Guest || isGuestName(p.UPN) }

// isGuestName knows the form of a guest's user name, which is no mailbox.
func isGuestName(upn string) bool { return strings.Contains(strings.ToUpper(upn), "#EXT#") }

// SameEmail compares as mailboxes are compared in practice.
func SameEmail(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) && strings.TrimSpace(a) != ""
}

// FoldEmail is the form under which an address is looked up.
func FoldEmail(s string) string { return strings.ToLower(strings.TrimSpace(s)) }
