package auth

import "context"

// The kinds of callers.
const (
	KindKey    = "key"    // an API key
	KindPerson = "person" // somebody who signed in with Entra
	KindToken  = "token"  // the bootstrap token
)

// A Caller is whoever makes a request.
type Caller struct {
	ID   string // of the key; of the person, at the provider
	Name string
	Kind string
	Role Role
	// CSRF is what a form of this session carries back, as field csrf_token or
	// as header X-CSRF-Token; "" without a session.
	CSRF string
}

// String names the caller in the audit trail.
func (c Caller) String() string { return c.Kind + " " + c.Name }

type callerKey struct{}

// With says who is calling.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From tells who is calling; false: nobody that is known.
func From(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}
