"""What an actor may see of notifications; fetched, locked and permitted in one call."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.notifications.errors import ChannelNotFound, DeliveryNotFound, SubscriptionNotFound
from opsconsole.notifications.models import Channel, Delivery, Subscription

MANAGE = "notifications.manage_channels"
SUBSCRIBE = "notifications.subscribe"
RETRY = "notifications.retry_delivery"


def visible_channels(actor: Actor) -> QuerySet[Channel]:
    """The channels this actor may see, none of those that were removed; raises Denied for one who may see none."""
    actor.require("notifications.view_channel")
    return Channel.objects.filter(removed_at=None)


def channel_for(actor: Actor, channel_id: UUID) -> Channel:
    """One channel to look at; raises ChannelNotFound also for one this actor may not see."""
    found = None
    if actor.may("notifications.view_channel"):
        found = Channel.objects.filter(pk=channel_id, removed_at=None).first()
    if found is None:
        raise ChannelNotFound(_("There is no such channel."), channel=str(channel_id))
    return found


def channel_to_manage(actor: Actor, channel_id: UUID) -> Channel:
    """One channel, locked, for an actor who may change it; raises ChannelNotFound or Denied."""
    found = channel_for(actor, channel_id)
    actor.require(MANAGE)
    return Channel.objects.select_for_update(no_key=True).get(pk=found.pk)


def visible_subscriptions(actor: Actor) -> QuerySet[Subscription]:
    """Everybody's for those who may see them, else one's own; raises Denied for one who can have none."""
    everything = Subscription.objects.select_related("user", "channel")
    if actor.may("notifications.view_subscription"):
        return everything
    actor.require(SUBSCRIBE)
    return everything.filter(user=actor.user)


def subscription_to_change(actor: Actor, subscription_id: UUID) -> Subscription:
    """One subscription, locked: one's own, or a role's for who manages channels; raises NotFound or Denied."""
    try:
        found = visible_subscriptions(actor).filter(pk=subscription_id).first()
    except Denied:
        found = None
    if found is None:
        raise SubscriptionNotFound(_("There is no such subscription."), subscription=str(subscription_id))
    if found.user_id is None:
        actor.require(MANAGE)
    else:
        actor.require(SUBSCRIBE)
        if actor.user is None or found.user_id != actor.user.pk:
            raise Denied(_("Only the person themselves changes what they are told."))
    return Subscription.objects.select_for_update(of=("self",)).select_related("user", "channel").get(pk=found.pk)


def visible_deliveries(actor: Actor) -> QuerySet[Delivery]:
    """The deliveries this actor may see; raises Denied for one who may see none."""
    actor.require("notifications.view_delivery")
    return Delivery.objects.select_related("notice", "channel", "user").defer("user__password")


def delivery_for(actor: Actor, delivery_id: UUID) -> Delivery:
    """One delivery to look at; raises DeliveryNotFound also for one this actor may not see."""
    found = None
    if actor.may("notifications.view_delivery"):
        found = visible_deliveries(actor).filter(pk=delivery_id).first()
    if found is None:
        raise DeliveryNotFound(_("There is no such delivery."), delivery=str(delivery_id))
    return found


def delivery_to_retry(actor: Actor, delivery_id: UUID) -> Delivery:
    """One delivery, locked, for an actor who may have it sent again; raises DeliveryNotFound or Denied."""
    found = delivery_for(actor, delivery_id)
    actor.require(RETRY)
    return Delivery.objects.select_for_update(of=("self",)).select_related("notice", "channel").get(pk=found.pk)
