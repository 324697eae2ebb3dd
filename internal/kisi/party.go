package kisi

import "encoding/json"

// A party is whom a row of access is about, as far as the list tells.
type party struct {
	ID    int
	Email string
}

// UnmarshalJSON takes what it understands: an email beside a row saves a look
// at the user, and is no reason to do without the row.
func (p *party) UnmarshalJSON(b []byte) error {
	var told struct {
		ID    int    `json:"id"`
		Email string `json:"email"`
	}
	if json.Unmarshal(b, &told) == nil {
		*p = party(told)
	}
	return nil
}

// emailOf is the email, if the party is the user that the row names.
func (p party) emailOf(user int) string {
	if p.ID != user {
		return ""
	}
	return p.Email
}
