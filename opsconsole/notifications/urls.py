"""Addresses of notifications, under /api/notifications/."""

from django.urls import path

from opsconsole.notifications import api

urlpatterns = [
    path("channels", api.ChannelList.as_view(), name="notification-channel-list"),
    path("channels/<uuid:channel_id>", api.ChannelDetail.as_view(), name="notification-channel"),
    path("channels/<uuid:channel_id>/test", api.ChannelTest.as_view(), name="notification-channel-test"),
    path("subscriptions", api.SubscriptionList.as_view(), name="notification-subscription-list"),
    path("subscriptions/<uuid:subscription_id>", api.SubscriptionDetail.as_view(), name="notification-subscription"),
    path("deliveries", api.DeliveryList.as_view(), name="notification-delivery-list"),
    path("deliveries/<uuid:delivery_id>/retry", api.DeliveryRetry.as_view(), name="notification-delivery-retry"),
]
