package bridge

import "context"

type actorKey struct{}

// As says on whose behalf something is done; the audit trail keeps it.
func As(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, actorKey{}, who)
}

// Actor is whom [As] named; "somebody" where nobody did.
func Actor(ctx context.Context) string {
	if who, ok := ctx.Value(actorKey{}).(string); ok && who != "" {
		return who
	}
	return "somebody"
}
