package webhook

import (
	"encoding/json"
	"strconv"
	"strings"

	"kisibridge/internal/access"
)

// Kisi documents the body of an event by one sample, of an unlocking: type,
// actor_*, object_type and object_id at the top. Where other events have the
// ids that a hint needs is written nowhere, so they are looked for at the top
// and in the objects that may lie in it. An event without them is counted.

// hintOf reads which user an event is about, and in which target.
func hintOf(body []byte) (access.Target, int, eventOutcome) {
	top, ok := fieldsOf(body)
	if !ok {
		return access.Target{}, 0, eventMalformed
	}
	resource, deed, _ := strings.Cut(eventName(top), ".")
	if deed != "create" && deed != "update" && deed != "destroy" {
		return access.Target{}, 0, eventUnknown
	}
	parts := partsOf(top, resource)
	switch resource {
	case "role_assignment":
		return link(parts, access.TargetGroup, "applies_to_id", "assignee_type", "assignee_id")
	case "team_membership":
		return link(parts, access.TargetTeam, "team_id", "member_type", "member_id")
	case "user":
		return person(parts)
	}
	return access.Target{}, 0, eventUnknown
}

// link reads what ties a user to a target. All of it stands in one part: ids
// of different objects make no pair.
func link(parts []fields, kind, targetID, userType, userID string) (access.Target, int, eventOutcome) {
	for _, p := range parts {
		target, user := p.number(targetID), p.number(userID)
		if target == 0 || user == 0 {
			continue
		}
		if !p.is(userType, "User") || kind == access.TargetGroup && !p.is("applies_to_type", "Group") {
			return access.Target{}, 0, eventUnrelated
		}
		return access.Target{Type: kind, ID: target}, user, eventAccepted
	}
	return row(parts, kind)
}

// row is what the sample tells of an assignment or membership: its own id, and
// a target of 0 says so. What it is about must be read.
func row(parts []fields, kind string) (access.Target, int, eventOutcome) {
	for _, p := range parts {
		if id := p.number("object_id"); id != 0 {
			return access.Target{Type: kind}, id, eventAccepted
		}
	}
	return access.Target{}, 0, eventIncomplete
}

// person reads whom an event is about: "object_id" beside the event's name, or
// the id of a nested user. The id at the top may be the event's own.
func person(parts []fields) (access.Target, int, eventOutcome) {
	for k, p := range parts {
		if id := p.number("object_id"); id != 0 && (p.is("object_type", "User") || !p.has("object_type")) {
			return access.Target{}, id, eventAccepted
		}
		if id := p.number("id"); id != 0 && (p.is("resource_type", "User") || k > 0 && !p.has("resource_type") && !p.has("object_type")) {
			return access.Target{}, id, eventAccepted
		}
		if id := p.number("user_id"); id != 0 {
			return access.Target{}, id, eventAccepted
		}
	}
	return access.Target{}, 0, eventIncomplete
}

// eventName is "user.update" and the like.
func eventName(top fields) string {
	for _, key := range []string{"type", "event", "event_type"} {
		if name := top.text(key); strings.Contains(name, ".") {
			return name
		}
	}
	if inner := top.inner("event"); inner != nil {
		return inner.text("type")
	}
	return ""
}

// partsOf lists the objects of an event in which its ids may stand; the first
// is the event itself.
func partsOf(top fields, resource string) []fields {
	parts := []fields{top}
	for _, key := range []string{"object", "data", "event", resource} {
		inner := top.inner(key)
		if inner == nil {
			continue
		}
		for _, deeper := range []string{"object", resource} {
			if p := inner.inner(deeper); p != nil {
				parts = append(parts, p)
			}
		}
		parts = append(parts, inner)
	}
	return parts
}

// fields are the members of a JSON object, read as they are asked for: one of
// an odd type does no harm to the others.
type fields map[string]json.RawMessage

func fieldsOf(body []byte) (fields, bool) {
	var f fields
	err := json.Unmarshal(body, &f)
	return f, err == nil && f != nil
}

// inner is a nested object, or nil.
func (f fields) inner(key string) fields {
	inner, _ := fieldsOf(f[key])
	return inner
}

// has tells whether a member is there and not null.
func (f fields) has(key string) bool { return f[key] != nil && string(f[key]) != "null" }

// text is a string member, or "".
func (f fields) text(key string) (s string) {
	if json.Unmarshal(f[key], &s) != nil {
		return ""
	}
	return s
}

func (f fields) is(key, want string) bool { return strings.EqualFold(f.text(key), want) }

// number is a member that is an id, as a number or in quotes; 0 is none.
func (f fields) number(key string) int {
	n, err := strconv.Atoi(strings.Trim(string(f[key]), `"`))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
