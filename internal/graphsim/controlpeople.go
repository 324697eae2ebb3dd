package graphsim

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// A userPatch is what may be said about a person; what is not said stays.
type userPatch struct {
	ID                string          `json:"id"`
	DisplayName       *string         `json:"displayName"`
	UserPrincipalName *string         `json:"userPrincipalName"`
	Mail              json.RawMessage `json:"mail"` // null is a value too
	AccountEnabled    *bool           `json:"accountEnabled"`
	Enabled           *bool           `json:"enabled"` // the same, for the lazy
	UserType          *string         `json:"userType"`
}

func (p userPatch) apply(u *User) error {
	setTo(&u.DisplayName, p.DisplayName)
	setTo(&u.UserPrincipalName, p.UserPrincipalName)
	setTo(&u.AccountEnabled, p.Enabled)
	setTo(&u.AccountEnabled, p.AccountEnabled)
	setTo(&u.UserType, p.UserType)
	if p.Mail == nil {
		return nil
	}
	u.Mail = nil
	if err := json.Unmarshal(p.Mail, &u.Mail); err != nil {
		return fmt.Errorf("mail must be a string or null: %w", err)
	}
	return nil
}

func setTo[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}

func (s *Server) addUserByHand(r *http.Request) (any, error) {
	p, err := read[userPatch](r)
	if err != nil {
		return nil, err
	}
	u := User{ID: orDefault(p.ID, newID()), AccountEnabled: true}
	if err := p.apply(&u); err != nil {
		return nil, err
	}
	if u.UserPrincipalName == "" {
		return nil, fmt.Errorf("userPrincipalName is needed, such as ada@%s", seedDomain)
	}
	if _, err := s.find("user", u.UserPrincipalName, userKind); err == nil {
		return nil, &problem{status: http.StatusConflict, message: u.UserPrincipalName + " exists already"}
	}
	s.AddUser(u)
	added, _ := s.User(u.ID)
	return added, nil
}

func (s *Server) updateUserByHand(r *http.Request) (any, error) {
	id, err := s.find("user", r.PathValue("user"), userKind)
	if err != nil {
		return nil, err
	}
	p, err := read[userPatch](r)
	if err != nil {
		return nil, err
	}
	if p.ID != "" && p.ID != id {
		return nil, fmt.Errorf("the id of a person never changes")
	}
	var scratch User
	if err := p.apply(&scratch); err != nil {
		return nil, err
	}
	if _, here := s.User(id); !here {
		return nil, unknown("live user %q; restore it first", id)
	}
	s.UpdateUser(id, func(u *User) { _ = p.apply(u) }) // it could be applied to scratch
	u, _ := s.User(id)
	return u, nil
}

// deleteUserByHand deletes softly, or for good with ?purge=true.
func (s *Server) deleteUserByHand(r *http.Request) (any, error) {
	return s.deleteByHand(r, "user", userKind, s.DeleteUser, s.PurgeUser)
}

func (s *Server) restoreUserByHand(r *http.Request) (any, error) {
	return s.restoreByHand(r, "user", userKind, s.RestoreUser)
}

func (s *Server) addGroupByHand(r *http.Request) (any, error) {
	g, err := read[struct {
		ID          string `json:"id"`
		DisplayName string `json:"displayName"`
	}](r)
	if err != nil {
		return nil, err
	}
	if g.DisplayName == "" {
		return nil, fmt.Errorf(`displayName is needed, such as "HQ doors"`)
	}
	g.ID = orDefault(g.ID, newID())
	s.AddGroup(g.ID, g.DisplayName)
	return g, nil
}

// deleteGroupByHand deletes softly, or for good with ?purge=true.
func (s *Server) deleteGroupByHand(r *http.Request) (any, error) {
	return s.deleteByHand(r, "group", groupKind, s.DeleteGroup, s.PurgeGroup)
}

func (s *Server) restoreGroupByHand(r *http.Request) (any, error) {
	return s.restoreByHand(r, "group", groupKind, s.RestoreGroup)
}

func (s *Server) deleteByHand(r *http.Request, what string, k kind, softly, forGood func(string)) (any, error) {
	id, err := s.find(what, r.PathValue(what), k)
	if err != nil {
		return nil, err
	}
	purge := r.URL.Query().Get("purge") == "true"
	if purge {
		forGood(id)
	} else {
		softly(id)
	}
	return map[string]any{"id": id, "purged": purge}, nil
}

func (s *Server) restoreByHand(r *http.Request, what string, k kind, restore func(string)) (any, error) {
	id, err := s.find(what, r.PathValue(what), k)
	if err != nil {
		return nil, err
	}
	restore(id)
	return map[string]any{"id": id}, nil
}
