package kisisim

import (
	"net/http"
	"strconv"
	"strings"
)

// byHand is how a person changes people and access, as in Kisi's own pages.
func (s *Server) byHand() {
	s.mux.HandleFunc("GET /_sim/groups/{g}/holders", s.named(s.groups, func(w http.ResponseWriter, _ *http.Request, group int) {
		reply(w, s.Holders(group))
	}))
	s.mux.HandleFunc("PUT /_sim/groups/{g}/holders/{email}", s.named(s.groups, s.giveByHand))
	s.mux.HandleFunc("DELETE /_sim/groups/{g}/holders/{email}", s.named(s.groups, s.takeByHand))
	s.mux.HandleFunc("GET /_sim/teams/{g}/members", s.named(s.teams, func(w http.ResponseWriter, _ *http.Request, team int) {
		reply(w, s.TeamMembers(team))
	}))
	s.mux.HandleFunc("PUT /_sim/teams/{g}/members/{email}", s.named(s.teams, s.joinByHand))
	s.mux.HandleFunc("DELETE /_sim/teams/{g}/members/{email}", s.named(s.teams, s.leaveByHand))
	s.mux.HandleFunc("PUT /_sim/users/{email}", func(w http.ResponseWriter, r *http.Request) {
		reply(w, s.someone(r.PathValue("email")))
	})
	s.mux.HandleFunc("PATCH /_sim/users/{email}", s.editByHand)
	s.mux.HandleFunc("DELETE /_sim/users/{email}", func(w http.ResponseWriter, r *http.Request) {
		s.RemoveUser(s.userOf(r.PathValue("email")).ID)
		reply(w, "gone")
	})
	s.mux.HandleFunc("POST /_sim/assignments", func(w http.ResponseWriter, r *http.Request) {
		var a Assignment
		if read(w, r, &a) {
			reply(w, s.AddAssignment(a))
		}
	})
	s.mux.HandleFunc("DELETE /_sim/assignments/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.RemoveAssignment(pathID(r))
		reply(w, "gone")
	})
}

// named finds the group or team of a request, by number or by name.
func (s *Server) named(in *table[place], h func(http.ResponseWriter, *http.Request, int)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, there := s.find(in, r.PathValue("g"))
		if !there {
			refuse(w, 404, "there is no "+r.PathValue("g")+"; GET /_sim/state lists them")
			return
		}
		h(w, r, id)
	}
}

func (s *Server) find(in *table[place], text string) (id int, there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, _ = strconv.Atoi(text) // 0, which is nothing's, when it is a name
	for _, p := range in.rows {
		if strings.EqualFold(p.name, text) {
			id = p.id
		}
	}
	return id, in.rows[id] != nil
}

// userOf is the person of that email; the zero User is nobody.
func (s *Server) userOf(email string) User {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users.rows[s.byEmail[fold(email)]]; u != nil {
		return *u
	}
	return User{}
}

// someone is the number of the person of that email, who is made if need be.
func (s *Server) someone(email string) int {
	if u := s.userOf(email); u.ID != 0 {
		return u.ID
	}
	return s.AddUser(email, email)
}

func (s *Server) giveByHand(w http.ResponseWriter, r *http.Request, group int) {
	reply(w, s.AddAssignment(Assignment{AppliesToID: group, AssigneeID: s.someone(r.PathValue("email"))}))
}

func (s *Server) takeByHand(w http.ResponseWriter, r *http.Request, group int) {
	reply(w, s.take(s.userOf(r.PathValue("email")).ID, group))
}

// take ends all basic access of a user to a group, and counts it.
func (s *Server) take(user, group int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := s.basicRows(user, group)
	for _, a := range rows {
		s.removeAssignment(handID, a)
	}
	return len(rows)
}

func (s *Server) joinByHand(w http.ResponseWriter, r *http.Request, team int) {
	reply(w, s.AddMembership(team, s.someone(r.PathValue("email"))))
}

func (s *Server) leaveByHand(w http.ResponseWriter, r *http.Request, team int) {
	n, user := 0, s.userOf(r.PathValue("email"))
	for _, m := range s.Memberships() {
		if m.TeamID == team && m.MemberType == "User" && m.MemberID == user.ID {
			s.RemoveMembership(m.ID)
			n++
		}
	}
	reply(w, n)
}

// editByHand changes what a person is called, and whether any door opens.
func (s *Server) editByHand(w http.ResponseWriter, r *http.Request) {
	u := s.userOf(r.PathValue("email"))
	if u.ID == 0 {
		refuse(w, 404, "there is no user "+r.PathValue("email"))
		return
	}
	in := struct {
		Name  *string `json:"name"`
		Door  *bool   `json:"access_enabled"`
		Scim  *bool   `json:"scim_access_enabled"`
		Notes *string `json:"notes"`
	}{}
	if !read(w, r, &in) {
		return
	}
	s.edit(u.ID, func(u *User) {
		set(&u.Name, in.Name)
		set(&u.AccessEnabled, in.Door)
		set(&u.ScimAccessEnabled, in.Scim)
		if in.Notes != nil {
			u.Notes = in.Notes
		}
	})
	reply(w, u.ID)
}
