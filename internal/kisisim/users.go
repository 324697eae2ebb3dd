package kisisim

import (
	"net/http"
	"net/mail"
	"strconv"
	"strings"
	"time"
)

// organization is the one that the key opens.
var organization = map[string]any{"id": 12, "name": "Contoso", "domain": "contoso"}

const callerID = 71

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
	now := time.Now()
	ids := strings.Split(q.Get("ids"), ",")
	group, _ := strconv.Atoi(q.Get("group_id"))
	each := func(yield func(int, *User) bool) {
		for _, id := range s.userIDs {
			if u := s.users[id]; u != nil && !yield(id, u) {
				return
			}
		}
	}
	return page(s, r, q, usersPage, each, func(u *User) bool {
		switch {
		case now.Sub(u.CreatedAt) < s.opts.SearchLag:
			return false
		case q.Has("ids") && !contains(ids, strconv.Itoa(u.ID)):
			return false
		case q.Has("group_id") && len(s.rowsOf[pair{u.ID, group}]) == 0:
			return false
		}
		// A search, as seen live: it finds more than what was asked for.
		return near(u, q.Get("email")) && near(u, q.Get("query"))
	}, showUser)
}

// near tells whether a search for text finds the user.
func near(u *User, text string) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	return strings.Contains(strings.ToLower(u.Email), text) || strings.Contains(strings.ToLower(u.Name), text)
}

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
	u := s.users[pathID(r)]
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
	if a, err := mail.ParseAddress(email); err != nil || a.Address != email || contains(s.opts.Blacklist, email) {
		return nil, invalid("email", "can't be blank or invalid")
	}
	if s.byEmail[strings.ToLower(email)] != 0 {
		if s.opts.RefuseBy422 {
			return nil, invalid("email", "has already been taken")
		}
		return nil, &problem{409, "000409", "Record already exists.", nil}
	}
	if err := metadata(in.Metadata); err != nil {
		return nil, err
	}
	u := &User{
		Email: email, Name: in.Name, SendEmails: in.SendEmails == nil || *in.SendEmails, Confirm: in.Confirm,
		AccessEnabled: in.AccessEnabled == nil || *in.AccessEnabled, ScimAccessEnabled: true,
		Notes: in.Notes, Metadata: in.Metadata, CreatedAt: time.Now(),
	}
	s.addUser(u)
	return ok(showUser(u))
}

func (s *Server) addUser(u *User) {
	u.ID = s.id()
	s.users[u.ID] = u
	s.userIDs = append(s.userIDs, u.ID)
	s.byEmail[strings.ToLower(u.Email)] = u.ID
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
	u := s.users[pathID(r)]
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
	if in.Name != nil {
		u.Name = *in.Name
	}
	if in.AccessEnabled != nil {
		u.AccessEnabled = *in.AccessEnabled
	}
	if in.Metadata != nil {
		u.Metadata = in.Metadata
	}
	if in.Notes != nil {
		u.Notes = in.Notes
	}
	return empty()
}

func (s *Server) deleteUser(r *http.Request) (*answer, error) {
	u := s.users[pathID(r)]
	if u == nil {
		return nil, notFound("User", pathID(r))
	}
	s.violate("user %s was deleted", u.Email)
	delete(s.users, u.ID)
	delete(s.byEmail, strings.ToLower(u.Email))
	return empty()
}
