package entra

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/models/odataerrors"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
)

// A kind is what a call does, for metrics and for what a lost answer means.
type kind string

const (
	deltaCall       kind = "delta"
	usersDeltaCall  kind = "users_delta"
	membersCall     kind = "members"
	belongsCall     kind = "belongs"
	peopleCall      kind = "people"
	livingCall      kind = "living"
	groupsCall      kind = "groups"
	subscribeCall   kind = "subscribe"
	renewCall       kind = "renew"
	unsubscribeCall kind = "unsubscribe"
	listCall        kind = "list_subscriptions"
)

// reads tells the calls that read the directory from those about subscriptions.
func (k kind) reads() bool {
	return k.follows() || k == membersCall || k == belongsCall || k == peopleCall || k == livingCall || k == groupsCall
}

// follows tells the calls that go on from a saved link.
func (k kind) follows() bool { return k == deltaCall || k == usersDeltaCall }

// lost is the class of a call whose answer did not come. Only a subscription
// that was made twice would harm.
func (k kind) lost() fault.Class {
	if k == subscribeCall {
		return fault.Unknown
	}
	return fault.Busy
}

// classify sorts what the SDK gives, once.
func classify(ctx context.Context, k kind, op string, err error) error {
	if err == nil {
		return nil
	}
	op = "graph: " + op
	if ctx.Err() != nil {
		return &fault.Error{Class: k.lost(), Op: op, Err: ctx.Err()}
	}
	if e, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); ok {
		return unauthenticated(op, e)
	}
	if e, ok := errors.AsType[*odataerrors.ODataError](err); ok {
		code, text := "", "said in no way of Graph's" // then the SDK's own Error panics
		if m := e.GetErrorEscaped(); m != nil {
			code, text = deref(m.GetCode()), deref(m.GetMessage())
		}
		return refused(k, op, e.ResponseStatusCode, code, text, e.ResponseHeaders)
	}
	if e, ok := errors.AsType[*abstractions.ApiError](err); ok && e.ResponseStatusCode != 0 {
		return refused(k, op, e.ResponseStatusCode, "", e.Message, e.ResponseHeaders)
	}
	// The network, or a page of a proxy whose status the SDK has lost.
	return &fault.Error{Class: k.lost(), Op: op, Err: err}
}

// refused sorts an answer by status and code.
func refused(k kind, op string, status int, code, text string, headers *abstractions.ResponseHeaders) error {
	e := &fault.Error{Op: op, Err: fmt.Errorf("status %d %s: %s", status, code, text)}
	switch {
	case k.follows() && resync(status, code):
		return fmt.Errorf("%s: status %d %s: %w", op, status, code, access.ErrResync)
	case status == http.StatusUnauthorized:
		e.Class, e.Hint = fault.Denied, "see whether the app registration and its credential still stand"
	case status == http.StatusForbidden:
		e.Class, e.Hint = fault.Denied, hint(k, code+" "+text)
	case status == http.StatusNotFound && code == "" && k != renewCall && k != unsubscribeCall:
		// Of a proxy, or of a wrong address: never an absence.
		e.Class, e.Hint = fault.Busy, "nothing at that address speaks as Graph does; see KISIBRIDGE_GRAPH_URL"
	case status == http.StatusNotFound:
		e.Class = fault.Missing
	case status == http.StatusConflict:
		e.Class = fault.Clash
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout && k != subscribeCall:
		e.Class, e.After = fault.Busy, retryAfter(headers)
	case status >= 500:
		e.Class = k.lost()
	case k == subscribeCall:
		e.Class, e.Hint = fault.Invalid, "KISIBRIDGE_PUBLIC_URL must answer Graph's validation from the internet within 10 seconds"
	default:
		e.Class = fault.Invalid
	}
	return e
}

// resync knows the ways in which Graph says that a link means nothing to it.
func resync(status int, code string) bool {
	code = strings.ToLower(code)
	return status == http.StatusGone || status < 500 && (code == "syncstatenotfound" || strings.Contains(code, "resync"))
}

// hint says what a 403 lacks. A quota that is used up comes with a reason in
// words, or with none (Graph: supported resources of change notifications).
func hint(k kind, why string) string {
	why = strings.ToLower(why)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(why, w) })
	}
	switch {
	case k.reads():
		return "grant GroupMember.Read.All and User.Read.All with admin consent; it can take minutes to show"
	case has("quota", "limit", "maximum", "exceed"):
		return "the quota of 100 subscriptions of one app in a tenant is used up; delete some, or map fewer groups"
	case has("permission", "privilege", "authorization_requestdenied"):
		return "grant Group.Read.All, and User.Read.All to hear of people, with admin consent; it can take minutes to show"
	}
	return "grant Group.Read.All, or see whether the tenant's quota of 100 subscriptions is used up"
}

// retryAfter reads seconds or a date.
func retryAfter(h *abstractions.ResponseHeaders) time.Duration {
	if h == nil {
		return 0
	}
	for _, v := range h.Get("Retry-After") {
		if s, err := strconv.Atoi(v); err == nil {
			return time.Duration(max(0, s)) * time.Second
		}
		if t, err := http.ParseTime(v); err == nil {
			return max(0, time.Until(t))
		}
	}
	return 0
}

// unauthenticated tells a login host that is down from one that refuses.
func unauthenticated(op string, err *azidentity.AuthenticationFailedError) error {
	if r := err.RawResponse; r != nil && r.StatusCode < 500 && r.StatusCode != http.StatusTooManyRequests {
		return &fault.Error{
			Class: fault.Denied, Op: op, Err: fmt.Errorf("sign in to Entra: status %d %s", r.StatusCode, aadCode(err.Error())),
			Hint: "see AZURE_TENANT_ID, AZURE_CLIENT_ID and the credential; a secret may have expired",
		}
	}
	if r := err.RawResponse; r != nil {
		return &fault.Error{Class: fault.Busy, Op: op, Err: fmt.Errorf("sign in to Entra: status %d", r.StatusCode)}
	}
	// No answer: azidentity tells why, be it the network, a root that is not
	// trusted, or a token file that is not there.
	why := strings.Join(strings.Fields(err.Error()), " ") // on one line
	return &fault.Error{
		Class: fault.Busy, Op: op, Err: fmt.Errorf("sign in to Entra: %s", why),
		Hint: "see KISIBRIDGE_LOGIN_URL, KISIBRIDGE_CA_FILE and, with workload identity, AZURE_FEDERATED_TOKEN_FILE",
	}
}

// aadCode finds the one word of a login error that can be looked up.
func aadCode(text string) string {
	k := strings.Index(text, "AADSTS")
	if k < 0 {
		return "without a code"
	}
	end := k + len("AADSTS")
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	return text[k:end]
}

// odataErrors has the SDK read every answer of 400 and above as Graph's own
// error: its key stands for any such status.
func odataErrors() abstractions.ErrorMappings {
	return abstractions.ErrorMappings{"XXX": odataerrors.CreateODataErrorFromDiscriminatorValue}
}
