"""Channels, subscriptions and deliveries as the API reads and shows them; no secret is among what it shows."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from opsconsole.notifications.models import Channel, Delivery, Subscription
from opsconsole.notifications.services.channels import MAX_NAME
from opsconsole.notifications.states import ChannelKind, NotificationState, Severity

MAX_TARGET = 6000
MAX_REASON = 2000
MOST_HOURS = 720

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


@extend_schema_serializer(component_name="NotificationChannelMade")
class MadeChannelSerializer(ChannelSerializer):
    """A channel that was made, with the secret that was made for it."""

    secret = serializers.CharField(
        required=False,
        help_text="The signing secret, if it was made here; this answer is the only one that has it.",
    )

    class Meta(ChannelSerializer.Meta):
        fields = (*ChannelSerializer.Meta.fields, "secret")  # type: ignore[assignment] # one more
        read_only_fields = ChannelSerializer.Meta.fields


@extend_schema_serializer(component_name="NotificationChannelNew")
class NewChannelSerializer(serializers.Serializer[dict[str, Any]]):
    """A channel to add."""

    name = serializers.CharField(max_length=MAX_NAME)
    kind = serializers.CharField(max_length=20, help_text=KIND_HELP)
    target = serializers.CharField(max_length=MAX_TARGET, help_text=TARGET_HELP)
    secret = serializers.CharField(
        required=False,
        default="",
        max_length=200,
        help_text="`whsec_` and base64 of 24 to 64 bytes, of a signed webhook; one is made if there is none here.",
    )
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=MAX_REASON)

    def validate_kind(self, kind: str) -> str:
        """One of the three."""
        if kind not in ChannelKind.values:
            raise serializers.ValidationError(f"must be one of {', '.join(ChannelKind.values)}")
        return kind


@extend_schema_serializer(component_name="NotificationChannelChange")
class ChannelChangeSerializer(serializers.Serializer[dict[str, Any]]):
    """What shall be otherwise; what is left out stays. A new secret comes alone; the old one signs on for a while."""

    name = serializers.CharField(required=False, max_length=MAX_NAME)
    target = serializers.CharField(required=False, max_length=MAX_TARGET, help_text=TARGET_HELP)
    active = serializers.BooleanField(required=False)
    secret = serializers.CharField(required=False, max_length=200)
    overlap_hours = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=MOST_HOURS,
        help_text="For how long the old secret signs as well (24); only with `secret`.",
    )
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=MAX_REASON)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A secret comes alone; an overlap only with one."""
        others = attrs.keys() & {"name", "target", "active"}
        if "secret" in attrs and others:
            raise serializers.ValidationError({"secret": ["comes alone, without name, target and active"]})
        if "overlap_hours" in attrs and "secret" not in attrs:
            raise serializers.ValidationError({"overlap_hours": ["has sense only with a secret"]})
        if "secret" not in attrs and not others:
            raise serializers.ValidationError("Nothing is to be changed.")
        return attrs


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
