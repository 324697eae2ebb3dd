package kisi

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"kisibridge/internal/access"
)

// A membership makes somebody one of a team, to which access is given.
type membership struct {
	ID         int    `json:"id"`
	TeamID     int    `json:"team_id"`
	MemberType string `json:"member_type"`
	MemberID   int    `json:"member_id"`
	Member     party  `json:"member"` // not documented
}

func (m membership) key() int              { return m.ID }
func (m membership) stands(time.Time) bool { return true }

func (m membership) row() access.Row {
	return access.Row{ID: m.ID, User: m.MemberID, Email: m.Member.emailOf(m.MemberID)}
}

func (m membership) of(team, user int) bool {
	return m.TeamID == team && m.MemberType == ofUser && (user == 0 || m.MemberID == user)
}

type newMembership struct {
	TeamID     int    `json:"team_id"`
	MemberType string `json:"member_type"`
	MemberID   int    `json:"member_id"`
}

// byMembership has no way to ask for or against mail: a membership knows none.
func byMembership() means {
	return means{
		route: "/team_memberships",
		noun:  "team membership",
		query: func(team, user int) url.Values {
			q := url.Values{"team_id": {strconv.Itoa(team)}, "member_type": {ofUser}}
			if user != 0 {
				q.Set("member_id", strconv.Itoa(user))
			}
			return q
		},
		body: func(team, user int, _ bool) any {
			return map[string]newMembership{"team_membership": {TeamID: team, MemberType: ofUser, MemberID: user}}
		},
		each: eachStanding[membership],
		add:  add[membership],
	}
}

// Teams searches the teams of the organization by name; "" lists them all.
func (c *Client) Teams(ctx context.Context, u access.Urgency, query string) ([]access.Place, error) {
	return c.places(ctx, u, "teams", query)
}

// Team reads one team; the class is Missing when there is none.
func (c *Client) Team(ctx context.Context, u access.Urgency, id int) (access.Place, error) {
	return c.place(ctx, u, "team", id)
}
