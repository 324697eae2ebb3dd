package kisi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// RowOf reads one row by its id: a role assignment or, where kind is a team, a
// team membership. A user of 0 says that it is no access that the bridge could
// have given: of another role, of a guest, or run out.
func (c *Client) RowOf(ctx context.Context, u access.Urgency, kind string, id int) (access.Target, access.Row, error) {
	if kind == access.TargetTeam {
		var m membership
		err := c.one(ctx, u, "team membership", "/team_memberships", id, &m)
		return standingIn(kind, m.TeamID, m, err)
	}
	var a assignment
	err := c.one(ctx, u, "role assignment", "/role_assignments", id, &a)
	return standingIn(access.TargetGroup, a.AppliesToID, a, err)
}

func (c *Client) one(ctx context.Context, u access.Urgency, noun, route string, id int, into any) error {
	cl := call{
		name: "row", op: fmt.Sprintf("read %s %d", noun, id), gone: true,
		method: http.MethodGet, route: route + "/{id}", path: route + "/" + strconv.Itoa(id),
	}
	if id <= 0 {
		return cl.fail(fault.Invalid, errors.New("no row is named"))
	}
	_, err := c.do(ctx, u, cl, into)
	return err
}

func standingIn(kind string, id int, s standing, err error) (access.Target, access.Row, error) {
	if err != nil || !s.of(id, 0) || !s.stands(time.Now()) {
		return access.Target{}, access.Row{}, err
	}
	return access.Target{Type: kind, ID: id}, s.row(), nil
}
