"""Notifications in the admin: where news goes, who wants which, and how far the telling has come."""

from opsconsole.notifications.admin.channels import ChannelAdmin
from opsconsole.notifications.admin.deliveries import DeliveryAdmin
from opsconsole.notifications.admin.subscriptions import SubscriptionAdmin

__all__ = ["ChannelAdmin", "DeliveryAdmin", "SubscriptionAdmin"]
