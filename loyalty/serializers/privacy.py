"""Members as persons."""

from __future__ import annotations

from rest_framework import serializers

from loyalty.serializers.members import MAX_USER
from opsconsole.core.camel import CamelSerializer


class PersonSerializer(CamelSerializer):
    """Whose data, in every program, and why."""

    user_id = serializers.CharField(max_length=MAX_USER)
    reason = serializers.CharField(max_length=2000)


class ErasedSerializer(CamelSerializer):
    """The balances that are nobody's any more."""

    balances = serializers.ListField(child=serializers.UUIDField())
