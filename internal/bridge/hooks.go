package bridge

import (
	"context"
	"crypto/rand"
	"errors"

	"kisibridge/internal/access"
	"kisibridge/internal/fault"
	"kisibridge/internal/store"
)

// WatchKisi lets Kisi tell of changes by hand, so that they are seen within
// seconds. A webhook that bears our address is taken over by a new one, for
// its key cannot be read back.
func (e *Engine) WatchKisi(ctx context.Context, connection string) (access.Hook, error) {
	k, err := e.organization(ctx, connection)
	if err != nil {
		return access.Hook{}, err
	}
	if e.hookURL == "" {
		return access.Hook{}, &fault.Error{
			Class: fault.Invalid, Op: "watch Kisi", Err: errors.New("Kisi has no address to send its events to"),
			Hint: "set KISIBRIDGE_PUBLIC_URL",
		}
	}
	url := e.hookURL + connection
	if err := dropOurs(ctx, k, url); err != nil {
		return access.Hook{}, err
	}
	hook, err := k.AddHook(ctx, access.Allow, access.Hook{URL: url, Key: rand.Text() + rand.Text()})
	if err != nil {
		return hook, err
	}
	if err := e.tell(ctx, store.Event{What: "event webhook made in Kisi", By: Actor(ctx)}); err != nil {
		return hook, err
	}
	return hook, e.store.SaveHook(ctx, connection, hook)
}

// UnwatchKisi takes the event webhook back.
func (e *Engine) UnwatchKisi(ctx context.Context, connection string) error {
	k, err := e.organization(ctx, connection)
	if err != nil {
		return err
	}
	hook, err := e.store.Hook(ctx, connection)
	if err != nil {
		return err
	}
	if hook.ID != 0 {
		if err := k.DropHook(ctx, access.Allow, hook.ID); err != nil {
			return err
		}
	}
	if err := e.tell(ctx, store.Event{What: "event webhook dropped in Kisi", By: Actor(ctx)}); err != nil {
		return err
	}
	return e.store.SaveHook(ctx, connection, access.Hook{})
}

func dropOurs(ctx context.Context, k Kisi, url string) error {
	hooks, err := k.Hooks(ctx, access.Allow)
	if err != nil {
		return err
	}
	for _, h := range hooks {
		if h.URL == url {
			if err := k.DropHook(ctx, access.Allow, h.ID); err != nil {
				return err
			}
		}
	}
	return nil
}
