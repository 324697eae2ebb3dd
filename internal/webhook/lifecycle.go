package webhook

import "kisibridge/internal/access"

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
