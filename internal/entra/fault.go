package entra

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
	membersCall     kind = "members"
	peopleCall      kind = "people"
	groupsCall      kind = "groups"
	subscribeCall   kind = "subscribe"
	renewCall       kind = "renew"
	unsubscribeCall kind = "unsubscribe"
	listCall        kind = "list_subscriptions"
)

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
		code, text := "", e.Error()
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
	resync := strings.EqualFold(code, "syncStateNotFound") || strings.EqualFold(code, "resyncRequired")
	switch {
	case status == http.StatusGone || resync:
		return fmt.Errorf("%s: status %d %s: %w", op, status, code, access.ErrResync)
	case status == http.StatusUnauthorized:
		e.Class, e.Hint = fault.Denied, "see whether the app registration and its credential still stand"
	case status == http.StatusForbidden:
		e.Class, e.Hint = fault.Denied, hint(k)
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

func hint(k kind) string {
	if k == subscribeCall || k == renewCall {
		return "grant Group.Read.All, or see whether the tenant's quota of 100 subscriptions is used up"
	}
	return "grant GroupMember.Read.All and User.Read.All with admin consent; it can take minutes to show"
}

// retryAfter reads seconds or a date.
func retryAfter(h *abstractions.ResponseHeaders) time.Duration {
	if h == nil {
		return 0
	}
	for _, v := range h.Get("Retry-After") {
		if s, err := strconv.Atoi(v); err == nil {
			return time.Duration(s) * time.Second
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
	return &fault.Error{Class: fault.Busy, Op: op, Err: errors.New("sign in to Entra: the login host does not answer")}
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
