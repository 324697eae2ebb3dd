package webhook

import (
	"time"

	"kisibridge/internal/access"
)

// lifecycle tells what an event of a subscription's life calls for: the
// keeper, a pull, or both. Only the first event is promised for groups.
func lifecycle(event []byte) (keep, pull access.Cause, known bool) {
	switch string(event) {
	case "reauthorizationRequired":
		return access.ByLapse, 0, true
	case "subscriptionRemoved": // made anew, and what happened meanwhile is read
		return access.ByLoneRead, access.ByNotice, true
	case "missed":
		return 0, access.ByNotice, true
	}
	return 0, 0, false
}

// lifecycleOf is lifecycle for sub. All groups are pulled by the keeper of
// their subscription, who knows which are used.
func lifecycleOf(sub *ours, event []byte) (keep, pull access.Cause, known bool) {
	keep, pull, known = lifecycle(event)
	if sub.group.ID == access.AllGroups && pull != 0 {
		keep, pull = keep|access.ByLapse, 0
	}
	return keep, pull, known
}

// reading wakes what finds the changes of which sub did not tell.
func (sub *ours) reading(why access.Cause, since time.Time) access.Wake {
	if sub.group.ID == access.AllUsers {
		return access.ProfilesOf(sub.group.Connection, why, since)
	}
	return access.PullOf(sub.group, access.Revoke, why, since)
}
