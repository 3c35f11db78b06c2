"""People as the API shows them, and what is taken from them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from opsconsole.core.models import User
from opsconsole.identity.changes.keys import MAX_KEY, MAX_NAME
from opsconsole.identity.offboarding import MAX_REASON


class PersonSerializer(serializers.ModelSerializer[User]):
    """A user."""

    roles = serializers.SerializerMethodField()
    email = serializers.CharField(help_text="Empty where none is known.")
    active = serializers.BooleanField(source="is_active", help_text="In office, or left.")

    class Meta:
        model = User
        fields = ("id", "username", "first_name", "last_name", "email", "active", "roles", "last_login", "date_joined")
        read_only_fields = fields

    def get_roles(self, user: User) -> list[str]:
        """By name."""
        return sorted(group.name for group in user.groups.all())


class OffboardSerializer(serializers.Serializer[Any]):
    """Why somebody leaves."""

    reason = serializers.CharField(max_length=MAX_REASON)


class TakeAwaySerializer(serializers.Serializer[Any]):
    """What is taken from somebody at once."""

    roles = serializers.ListField(child=serializers.CharField(max_length=100), required=False, max_length=50)
    grants = serializers.ListField(child=serializers.IntegerField(min_value=1), required=False, max_length=200)
    tokens = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, max_length=200, help_text="How each begins."
    )
    signer_keys = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=200)
    sessions = serializers.BooleanField(required=False, default=False, help_text="End every login.")
    reason = serializers.CharField(max_length=MAX_REASON)


class NewSignerKeySerializer(serializers.Serializer[Any]):
    """A key of one's own to ask for."""

    name = serializers.CharField(max_length=MAX_NAME)
    public_key = serializers.CharField(max_length=MAX_KEY, help_text="PEM, or base64 of the 32 bytes.")
    reason = serializers.CharField(
        required=False, max_length=MAX_REASON, default="to sign approvals with", help_text="What the approvers read."
    )


class EndedSerializer(serializers.Serializer[Any]):
    """Who, and how many of each ended."""

    id = serializers.UUIDField()
    username = serializers.CharField()
    active = serializers.BooleanField()
    ended = serializers.DictField(child=serializers.IntegerField())
