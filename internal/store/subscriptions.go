package store

import (
	"context"
	"encoding/json"

	"kisibridge/internal/access"
)

// Subscriptions gives the subscription of every group that has, or was
// refused, one.
func (s *Store) Subscriptions(ctx context.Context) (map[access.Group]access.Subscription, error) {
	rows, err := s.redis.HGetAll(ctx, subscriptionsKey).Result()
	if err != nil {
		return nil, sorted("redis: list subscriptions", err)
	}
	all := make(map[access.Group]access.Subscription, len(rows))
	for name, text := range rows {
		var sub access.Subscription
		if err := json.Unmarshal([]byte(text), &sub); err != nil {
			return nil, broken("subscription of "+name, err)
		}
		all[sub.Group] = sub
	}
	return all, nil
}

// Subscription gives the subscription of one group; the zero value is none.
func (s *Store) Subscription(ctx context.Context, g access.Group) (access.Subscription, error) {
	var sub access.Subscription
	text, err := s.redis.HGet(ctx, subscriptionsKey, g.String()).Result()
	if there, err := found(err); !there {
		return sub, sorted("redis: read subscription of "+g.String(), err)
	}
	if err := json.Unmarshal([]byte(text), &sub); err != nil {
		return sub, broken("subscription of "+g.String(), err)
	}
	return sub, nil
}

// SaveSubscription writes the subscription of its group.
func (s *Store) SaveSubscription(ctx context.Context, sub access.Subscription) error {
	text, err := json.Marshal(sub)
	if err != nil {
		return err
	}
	err = s.redis.HSet(ctx, subscriptionsKey, sub.Group.String(), text).Err()
	return sorted("redis: save subscription of "+sub.Group.String(), err)
}

// DropSubscription forgets the subscription of a group.
func (s *Store) DropSubscription(ctx context.Context, g access.Group) error {
	err := s.redis.HDel(ctx, subscriptionsKey, g.String()).Err()
	return sorted("redis: drop subscription of "+g.String(), err)
}
