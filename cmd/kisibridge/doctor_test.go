package main

import (
	"testing"
	"time"

	"kisibridge/internal/access"
)

func TestOnlyGroupsThatNothingTellsOfCountAsRefused(t *testing.T) {
	sub := func(id, refused string) access.Subscription {
		s := access.Subscription{Group: access.Group{Connection: "contoso", ID: id}, Refused: refused}
		if refused == "" {
			s.ID, s.Expires = "s-"+id, time.Now().Add(time.Hour)
		}
		return s
	}
	for _, tc := range []struct {
		name string
		subs []access.Subscription
		n    int
		why  string
	}{
		{"none", nil, 0, ""},
		{"all are well", []access.Subscription{sub("hq", ""), sub(access.AllUsers, "")}, 0, ""},
		{"two, the first reason", []access.Subscription{sub("lab", "no permission"), sub("hq", "quota"), sub("roof", "")}, 2, "quota"},
		{"people are no group", []access.Subscription{sub("hq", ""), sub(access.AllUsers, "no permission")}, 0, ""},
		{"one of all groups covers them", []access.Subscription{sub("hq", "quota"), sub(access.AllGroups, "")}, 0, ""},
		{"unless it is refused too", []access.Subscription{sub("hq", "quota"), sub(access.AllGroups, "quota too")}, 1, "quota"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			subs := map[access.Group]access.Subscription{}
			for _, s := range tc.subs {
				subs[s.Group] = s
			}
			if n, why := refused(subs); n != tc.n || why != tc.why {
				t.Errorf("refused: %d, %q; want %d, %q", n, why, tc.n, tc.why)
			}
		})
	}
}
