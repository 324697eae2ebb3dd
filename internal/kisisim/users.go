package kisisim

import (
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"
)

// organization is the one that the key opens.
var organization = map[string]any{"id": 12, "name": "Contoso", "domain": "contoso"}

func (s *Server) getCaller(*http.Request) (*answer, error) {
	return ok(map[string]any{
		"id": callerID, "email": "bridge@contoso.example", "name": "Kisi Bridge",
		"organization_id": organization["id"], "organization": organization,
	})
}

func (s *Server) listUsers(r *http.Request) (*answer, error) {
	q, err := s.options(r, "email", "query", "ids", "group_id", "place_id", "sort", "limit", "offset")
	if err != nil {
		return nil, err
	}
	group, err := number(q, "group_id", 0)
	if err != nil {
		return nil, err
	}
	now, email := time.Now(), fold(q.Get("email"))
	return list[User]{
		size: usersPage, rows: s.users, show: showUser,
		keep: func(u *User) bool {
			switch {
			case now.Sub(u.CreatedAt) < s.opts.SearchLag:
				return false
			case group != 0 && len(s.basicRows(u.ID, group)) == 0:
				return false
			}
			// A search, as seen live: it finds more than what was asked for.
			return email == "" || strings.Contains(s.folded[u.ID], email)
		},
		words: func(u *User) string {
			if u.Notes == nil {
				return s.folded[u.ID]
			}
			return s.folded[u.ID] + "\n" + fold(*u.Notes)
		},
	}.page(s, r, q)
}

func fold(text string) string { return strings.ToLower(strings.TrimSpace(text)) }

func showUser(u *User) any {
	return map[string]any{
		"id": u.ID, "resource_type": "User", "name": u.Name, "email": u.Email,
		"created_at": u.CreatedAt, "updated_at": u.CreatedAt, "metadata": u.Metadata, "image": nil,
		"otp_required_for_login": false, "password_flow_enabled": true,
		"access_enabled": u.AccessEnabled, "scim_access_enabled": u.ScimAccessEnabled,
		"last_accessed_at": nil, "notes": u.Notes, "organization_id": organization["id"],
		"confirmed": u.Confirm, "groups_count": 0,
	}
}

func (s *Server) getUser(r *http.Request) (*answer, error) {
	u := s.users.rows[pathID(r)]
	if u == nil {
		return nil, notFound("User", pathID(r))
	}
	return ok(showUser(u))
}

func (s *Server) postUser(r *http.Request) (*answer, error) {
	in := struct {
		Email               string         `json:"email"`
		Name                string         `json:"name"`
		Image               *string        `json:"image"`
		SendEmails          *bool          `json:"send_emails"`
		Confirm             bool           `json:"confirm"`
		AccessEnabled       *bool          `json:"access_enabled"`
		PasswordFlowEnabled *bool          `json:"password_flow_enabled"`
		Metadata            map[string]any `json:"metadata"`
		Notes               *string        `json:"notes"`
	}{}
	if err := s.body(r, "user", &in); err != nil {
		return nil, err
	}
	email := strings.TrimSpace(in.Email)
	if a, err := mail.ParseAddress(email); err != nil || a.Address != email || slices.Contains(s.opts.Blacklist, email) {
		return nil, invalid("email", "can't be blank or invalid")
	}
	if s.byEmail[fold(email)] != 0 {
		if s.opts.RefuseBy422 {
			return nil, invalid("email", "has already been taken")
		}
		return nil, exists()
	}
	if err := metadata(in.Metadata); err != nil {
		return nil, err
	}
	u := &User{
		Email: email, Name: in.Name, SendEmails: in.SendEmails == nil || *in.SendEmails, Confirm: in.Confirm,
		AccessEnabled: in.AccessEnabled == nil || *in.AccessEnabled, ScimAccessEnabled: true,
		Notes: in.Notes, Metadata: in.Metadata, CreatedAt: time.Now(),
	}
	s.addUser(callerID, u)
	return ok(showUser(u))
}

func (s *Server) addUser(who by, u *User) {
	u.ID = s.id()
	s.users.add(u.ID, u)
	s.byEmail[fold(u.Email)] = u.ID
	s.fold(u)
	s.tell(who, "create", u.object())
}

// fold keeps what searches look through.
func (s *Server) fold(u *User) { s.folded[u.ID] = fold(u.Email) + "\n" + fold(u.Name) }

// forget deletes a person with everything the person holds.
func (s *Server) forget(who by, u *User) {
	for _, a := range s.assignments.of(assignee("User", u.ID)) {
		s.removeAssignment(who, a)
	}
	for _, m := range s.memberships.of(member("User", u.ID)) {
		s.leave(who, m)
	}
	s.users.remove(u.ID)
	delete(s.folded, u.ID)
	if s.byEmail[fold(u.Email)] == u.ID {
		delete(s.byEmail, fold(u.Email))
	}
	s.tell(who, "destroy", u.object())
}

// metadata is flat, of at most 50 keys of 50 characters and values of 500.
func metadata(m map[string]any) error {
	if len(m) > 50 {
		return invalid("metadata", "has more than 50 keys")
	}
	for k, v := range m {
		text, isText := v.(string)
		_, isMap := v.(map[string]any)
		_, isList := v.([]any)
		if len(k) > 50 || isText && len(text) > 500 || isMap || isList {
			return invalid("metadata", "is not flat, or "+k+" is too long")
		}
	}
	return nil
}

func (s *Server) patchUser(r *http.Request) (*answer, error) {
	u := s.users.rows[pathID(r)]
	if u == nil {
		return nil, notFound("User", pathID(r))
	}
	in := struct {
		Name                *string        `json:"name"`
		Image               *string        `json:"image"`
		AccessEnabled       *bool          `json:"access_enabled"`
		PasswordFlowEnabled *bool          `json:"password_flow_enabled"`
		Metadata            map[string]any `json:"metadata"`
		Notes               *string        `json:"notes"`
	}{}
	if err := s.body(r, "user", &in); err != nil {
		return nil, err
	}
	if err := metadata(in.Metadata); err != nil {
		return nil, err
	}
	set(&u.Name, in.Name)
	set(&u.AccessEnabled, in.AccessEnabled)
	if in.Metadata != nil {
		u.Metadata = in.Metadata
	}
	if in.Notes != nil {
		u.Notes = in.Notes
	}
	s.fold(u)
	s.tell(callerID, "update", u.object())
	return empty()
}

func (s *Server) deleteUser(r *http.Request) (*answer, error) {
	u := s.users.rows[pathID(r)]
	if u == nil {
		return nil, notFound("User", pathID(r))
	}
	s.violate("user %s was deleted", u.Email)
	s.forget(callerID, u)
	return empty()
}
