package access

import "context"

type unhurried struct{}

// Unhurried marks work that nobody waits for, such as a sweep. The clouds are
// told, so that they throttle it first.
func Unhurried(ctx context.Context) context.Context {
	return context.WithValue(ctx, unhurried{}, true)
}

// IsUnhurried tells whether ctx belongs to work that nobody waits for.
func IsUnhurried(ctx context.Context) bool { return ctx.Value(unhurried{}) != nil }
