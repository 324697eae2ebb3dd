package entra

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/microsoft/kiota-abstractions-go/serialization"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/subscriptions"

	"kisibridge/internal/access"
)

// The group itself is subscribed to, not its members relation: notifications
// of the former are known to name who joined and left, and they also tell when
// the group is deleted.
const resource = "groups/"

// maxLife is the longest that Graph allows (Graph: subscription resource).
const maxLife = 41_760 * time.Minute

// resourceOf names what is subscribed to: one group, or all of a tenant.
func resourceOf(group string) string {
	switch group {
	case access.AllGroups:
		return "groups"
	case access.AllUsers:
		return "users"
	}
	return resource + group
}

// Subscribe asks Graph to tell of changes of s.Group, until s.Expires. Graph
// calls the notification URL back before this returns.
func (c *Client) Subscribe(ctx context.Context, s access.Subscription) (access.Subscription, error) {
	now := time.Now()
	m := models.NewSubscription()
	m.SetChangeType(new("updated,deleted"))
	m.SetResource(new(resourceOf(s.Group.ID)))
	m.SetNotificationUrl(new(s.URL))
	m.SetLifecycleNotificationUrl(new(s.URL + "/lifecycle"))
	m.SetClientState(new(s.ClientState))
	m.SetExpirationDateTime(new(clip(s.Expires, now)))
	made, err := call(ctx, c, subscribeCall, "subscribe to "+resourceOf(s.Group.ID), func(ctx context.Context) (models.Subscriptionable, error) {
		return whole(c.subscriptions().Post(ctx, m, nil))
	})
	if err != nil {
		return s, err
	}
	s.ID, s.Created, s.Expires, s.Refused = deref(made.GetId()), now, deref(made.GetExpirationDateTime()), ""
	return s, nil
}

// whole wants what the bridge must remember of a subscription.
func whole(s models.Subscriptionable, err error) (models.Subscriptionable, error) {
	if err == nil && (s == nil || deref(s.GetId()) == "" || s.GetExpirationDateTime() == nil) {
		err = errors.New("the answer holds no subscription")
	}
	return s, err
}

// clip keeps a wish within what Graph allows.
func clip(expires, now time.Time) time.Time {
	if most := now.Add(maxLife - time.Hour); expires.After(most) {
		expires = most
	}
	return expires.UTC()
}

// Renew prolongs a subscription, which also re-authorizes it.
func (c *Client) Renew(ctx context.Context, s access.Subscription) (access.Subscription, error) {
	m := models.NewSubscription()
	m.SetExpirationDateTime(new(clip(s.Expires, time.Now())))
	got, err := call(ctx, c, renewCall, "renew subscription "+s.ID, func(ctx context.Context) (models.Subscriptionable, error) {
		return whole(c.subscriptions().BySubscriptionId(s.ID).Patch(ctx, m, nil))
	})
	if err == nil {
		s.Expires = deref(got.GetExpirationDateTime())
	}
	return s, err
}

// Reauthorize answers Graph's wish without prolonging.
func (c *Client) Reauthorize(ctx context.Context, id string) error {
	_, err := call(ctx, c, renewCall, "reauthorize subscription "+id, func(ctx context.Context) (serialization.Parsable, error) {
		return nil, c.subscriptions().BySubscriptionId(id).Reauthorize().Post(ctx, nil)
	})
	return err
}

// Unsubscribe ends a subscription; one that is gone already is as good.
func (c *Client) Unsubscribe(ctx context.Context, id string) error {
	_, err := call(ctx, c, unsubscribeCall, "delete subscription "+id, func(ctx context.Context) (serialization.Parsable, error) {
		return nil, c.subscriptions().BySubscriptionId(id).Delete(ctx, nil)
	})
	return ignoreMissing(err)
}

// Subscriptions lists the app's own. Graph allows 40 lists in 20 seconds.
func (c *Client) Subscriptions(ctx context.Context) ([]access.Subscription, error) {
	var all []access.Subscription
	_, err := list[models.SubscriptionCollectionResponseable, models.Subscriptionable]{
		listCall, "list subscriptions",
		func(ctx context.Context) (models.SubscriptionCollectionResponseable, error) {
			return c.subscriptions().Get(ctx, nil)
		},
		func(ctx context.Context, link string) (models.SubscriptionCollectionResponseable, error) {
			return subscriptions.NewSubscriptionsRequestBuilder(link, c.adapter).Get(ctx, nil)
		},
	}.each(ctx, c, func(s models.Subscriptionable) error {
		all = append(all, access.Subscription{
			ID: deref(s.GetId()), Group: access.Group{Connection: c.tenant, ID: groupOf(deref(s.GetResource()))},
			URL: deref(s.GetNotificationUrl()), Expires: deref(s.GetExpirationDateTime()),
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// groupOf finds the group in a resource, which Graph capitalises as it likes.
func groupOf(res string) string {
	res = strings.Trim(res, "/")
	switch strings.ToLower(res) {
	case "groups":
		return access.AllGroups
	case "users":
		return access.AllUsers
	}
	if len(res) < len(resource) || !strings.EqualFold(res[:len(resource)], resource) {
		return ""
	}
	id, _, _ := strings.Cut(res[len(resource):], "/")
	return id
}
