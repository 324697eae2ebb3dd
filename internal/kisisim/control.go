package kisisim

import (
	"encoding/json"
	"net/http"
	"time"
)

// control is how a person or a test reads and changes the organization over
// HTTP, beside the API and without a key.
func (s *Server) control() {
	s.mux.HandleFunc("GET /_sim/state", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.state()) })
	s.byHand()
	s.mux.HandleFunc("GET /_sim/mails", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.Mails()) })
	s.mux.HandleFunc("GET /_sim/calls", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.Log()) })
	s.mux.HandleFunc("GET /_sim/assignments", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.Assignments()) })
	s.mux.HandleFunc("GET /_sim/violations", func(w http.ResponseWriter, _ *http.Request) { reply(w, append([]string{}, s.Violations()...)) })
	s.mux.HandleFunc("DELETE /_sim/faults", func(w http.ResponseWriter, _ *http.Request) { s.ClearFaults(); reply(w, "cleared") })
	s.mux.HandleFunc("POST /_sim/faults", func(w http.ResponseWriter, r *http.Request) {
		var f Fault
		if read(w, r, &f) {
			s.SetFault(f)
			reply(w, f)
		}
	})
	s.mux.HandleFunc("POST /_sim/options", s.setOptions)
}

func (s *Server) state() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	type group struct {
		ID      int      `json:"id"`
		Name    string   `json:"name"`
		Holders []string `json:"holders"`
	}
	groups := []group{}
	for _, g := range s.groups.all() {
		groups = append(groups, group{g.id, g.name, s.holders(g.id)})
	}
	teams := map[string]int{}
	for _, t := range s.teams.all() {
		teams[t.name] = t.id
	}
	taken, failed := s.Deliveries()
	return map[string]any{
		"groups": groups, "teams": teams, "users": len(s.users.ids), "mails": len(s.mails), "calls": len(s.log), "violations": len(s.violations),
		"events_taken": taken, "events_failed": failed,
	}
}

func (s *Server) setOptions(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Rate              *int    `json:"rate"`
		TolerateRate      *bool   `json:"tolerate_rate"`
		DoubleAssignments *bool   `json:"double_assignments"`
		IgnoreFilters     *bool   `json:"ignore_filters"`
		RepeatEvents      *bool   `json:"repeat_events"`
		SearchLag         *string `json:"search_lag"`
	}
	if !read(w, r, &in) {
		return
	}
	lag := time.Duration(0)
	if in.SearchLag != nil {
		d, err := time.ParseDuration(*in.SearchLag)
		if err != nil {
			refuse(w, 400, "search_lag: "+err.Error()+"; use a duration, as 3s")
			return
		}
		lag = d
	}
	s.SetOptions(func(o *Options) {
		set(&o.Rate, in.Rate)
		set(&o.TolerateRate, in.TolerateRate)
		set(&o.DoubleAssignments, in.DoubleAssignments)
		set(&o.IgnoreFilters, in.IgnoreFilters)
		set(&o.RepeatEvents, in.RepeatEvents)
		if in.SearchLag != nil {
			o.SearchLag = lag
		}
	})
	reply(w, "set")
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		refuse(w, 400, err.Error())
		return false
	}
	return true
}

func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text}) // the client may be gone
}
