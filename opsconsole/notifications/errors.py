"""What can be wrong with channels, subscriptions and deliveries."""

from __future__ import annotations

from opsconsole.core.errors import Conflict, Invalid, NotFound, RuleBroken


class ChannelNotFound(NotFound):
    """No such channel, or none this actor may see."""

    code = "channel_not_found"


class SubscriptionNotFound(NotFound):
    """No such subscription, or none this actor may see."""

    code = "subscription_not_found"


class DeliveryNotFound(NotFound):
    """No such delivery, or none this actor may see."""

    code = "delivery_not_found"


class BadTarget(Invalid):
    """The target is no address that this kind of channel can send to."""

    code = "bad_target"


class BadSecret(Invalid):
    """The secret is no signing secret after Standard Webhooks, or this kind of channel has none."""

    code = "bad_secret"


class BadSubscription(Invalid):
    """The subscription names no event, role or channel that there is."""

    code = "bad_subscription"


class NameTaken(Conflict):
    """Another channel has this name."""

    code = "channel_name_taken"


class NotDead(Conflict):
    """Only a delivery that was given up can be sent again by hand."""

    code = "delivery_not_dead"


class ChannelIsOff(Conflict):
    """The channel is switched off or removed; nothing goes there."""

    code = "channel_is_off"


class NoAddress(RuleBroken):
    """The person has no e-mail address."""

    code = "no_address"
