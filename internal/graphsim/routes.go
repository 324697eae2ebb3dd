package graphsim

import "net/http"

// newRoutes knows every route of the contract; any other is a violation.
func (s *Server) newRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, e := range map[string]endpoint{
		"GET /v1.0/organization": s.organization,

		"GET /v1.0/groups":                                             s.listGroups,
		"GET /v1.0/groups/{id}":                                        s.getGroup,
		"GET /v1.0/groups/{id}/members":                                s.members(membersOf{}),
		"GET /v1.0/groups/{id}/members/microsoft.graph.user":           s.members(membersOf{people: true}),
		"GET /v1.0/groups/{id}/members/$count":                         s.countMembers(membersOf{}),
		"GET /v1.0/groups/{id}/transitiveMembers":                      s.members(membersOf{nested: true}),
		"GET /v1.0/groups/{id}/transitiveMembers/microsoft.graph.user": s.members(membersOf{nested: true, people: true}),
		"GET /v1.0/groups/{id}/transitiveMembers/$count":               s.countMembers(membersOf{nested: true}),
		"GET /v1.0/users":                                              s.listUsers,
		"GET /v1.0/users/{id}":                                         s.getUser,
		"POST /v1.0/users/{id}/checkMemberGroups":                      s.checkMemberGroups,
		"POST /v1.0/users/{id}/microsoft.graph.checkMemberGroups":      s.checkMemberGroups,
		"POST /v1.0/directoryObjects/getByIds":                         s.getByIDs,
		"POST /v1.0/directoryObjects/microsoft.graph.getByIds":         s.getByIDs,
		"POST /v1.0/$batch":                                            s.batch,
		"GET /v1.0/subscriptions":                                      s.listSubscriptions,
		"POST /v1.0/subscriptions":                                     s.createSubscription,
		"GET /v1.0/subscriptions/{id}":                                 s.getSubscription,
		"PATCH /v1.0/subscriptions/{id}":                               s.renewSubscription,
		"DELETE /v1.0/subscriptions/{id}":                              s.deleteSubscription,
		"POST /v1.0/subscriptions/{id}/reauthorize":                    s.reauthorize,
		"POST /v1.0/subscriptions/{id}/microsoft.graph.reauthorize":    s.reauthorize,
		"GET /{tenant}/v2.0/.well-known/openid-configuration":          s.openIDConfiguration,
		"GET /common/discovery/instance":                               s.discoverInstance,
		"POST /{tenant}/oauth2/v2.0/token":                             s.giveToken,
	} {
		mux.Handle(pattern, s.serve(e))
	}
	for _, path := range []string{"groups", "users"} {
		for _, call := range []string{"delta", "delta()", "microsoft.graph.delta()"} {
			mux.Handle("GET /v1.0/"+path+"/"+call, s.serve(s.delta(path)))
		}
	}
	mux.Handle("/", s.serve(noRoute))
	return mux
}

func noRoute(r *http.Request) (answer, error) {
	return answer{}, breach("no such route")
}
