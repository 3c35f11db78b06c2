"""Channels, subscriptions and deliveries as the API reads and shows them; no secret is among what it shows."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from opsconsole.notifications.models import Channel, Delivery, Subscription
from opsconsole.notifications.states import NotificationState, Severity

MAX_REASON = 2000

KIND_HELP = "`slack`, `webhook` (signed after Standard Webhooks) or `email`."
TARGET_HELP = "A URL; of an e-mail channel, addresses parted by commas. Of a Slack URL only the host is shown."


@extend_schema_serializer(component_name="NotificationChannel")
class ChannelSerializer(serializers.ModelSerializer[Channel]):
    """A channel, without its secret."""

    kind = serializers.CharField(help_text=KIND_HELP)
    target = serializers.CharField(source="shown_target", help_text=TARGET_HELP)
    target_sha256 = serializers.CharField(help_text="SHA-256 of the whole target.")

    class Meta:
        model = Channel
        fields = ("id", "name", "kind", "target", "target_sha256", "active", "old_secret_until", "created_at")
        read_only_fields = fields


@extend_schema_serializer(component_name="NotificationChannelSwitch")
class ChannelSwitchSerializer(serializers.Serializer[dict[str, Any]]):
    """On or off."""

    active = serializers.BooleanField(help_text="Whether it is told what happens from now on.")
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=MAX_REASON)


@extend_schema_serializer(component_name="NotificationSubscription")
class SubscriptionSerializer(serializers.ModelSerializer[Subscription]):
    """Who is told of what, and how."""

    role = serializers.CharField(help_text="Empty for a person's own.")
    user = serializers.CharField(source="user.username", default=None, allow_null=True)
    channel = serializers.UUIDField(
        source="channel_id", allow_null=True, help_text="None: each person at their own e-mail address."
    )
    patterns = serializers.ListField(child=serializers.CharField())
    minimum = serializers.CharField(help_text="`info`, `warning` or `critical`.")

    class Meta:
        model = Subscription
        fields = ("id", "role", "user", "channel", "patterns", "minimum", "created_at")
        read_only_fields = fields


@extend_schema_serializer(component_name="NotificationSubscriptionNew")
class NewSubscriptionSerializer(serializers.Serializer[dict[str, Any]]):
    """A subscription to add: without a role, the caller's own, at their own e-mail address."""

    role = serializers.CharField(required=False, allow_blank=True, default="", max_length=100)
    channel = serializers.UUIDField(required=False, allow_null=True, default=None)
    patterns = serializers.ListField(
        child=serializers.CharField(max_length=100), max_length=100, help_text="Such as `plan.*`, `approval.requested`."
    )
    minimum = serializers.CharField(
        required=False, default=Severity.INFO.value, max_length=20, help_text="`info`, `warning` or `critical`."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A channel is a role's."""
        if attrs["channel"] is not None and not attrs["role"]:
            raise serializers.ValidationError({"channel": ["has sense only with a role"]})
        return attrs


@extend_schema_serializer(component_name="NotificationDelivery")
class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """One notice on its way to one receiver."""

    topic = serializers.CharField(source="notice.topic")
    severity = serializers.CharField(source="notice.severity")
    subject_kind = serializers.CharField(source="notice.subject_kind")
    subject_id = serializers.CharField(source="notice.subject_id")
    channel = serializers.UUIDField(source="channel_id", allow_null=True)
    user = serializers.CharField(source="user.username", default=None, allow_null=True)
    kind = serializers.CharField()
    status = serializers.ChoiceField(choices=NotificationState.choices)
    told_with = serializers.UUIDField(
        source="told_with_id", allow_null=True, help_text="In a burst: the delivery in whose message this one went."
    )
    answer_status = serializers.IntegerField(allow_null=True, help_text="HTTP status of the last answer.")
    answer = serializers.CharField(help_text="The beginning of what the receiver said last.")
    next_attempt_at = serializers.DateTimeField(help_text="While it is due.")

    class Meta:
        model = Delivery
        fields = (
            "id",
            "topic",
            "severity",
            "subject_kind",
            "subject_id",
            "channel",
            "user",
            "kind",
            "status",
            "told_with",
            "attempts",
            "next_attempt_at",
            "deadline_at",
            "error",
            "answer_status",
            "answer",
            "seconds",
            "created_at",
            "ended_at",
        )
        read_only_fields = fields
