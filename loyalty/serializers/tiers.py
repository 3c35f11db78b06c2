"""Tiers, and having them evaluated."""

from __future__ import annotations

from rest_framework import serializers

from loyalty.ledger import MOST_POINTS
from loyalty.models import Tier
from loyalty.services.tiers import MAX_NAME, MOST_MONTHS, MOST_MULTIPLIER, MOST_RANK
from opsconsole.core.camel import CamelModelSerializer, CamelSerializer


class TierSerializer(CamelModelSerializer):
    """A tier: reached by `threshold` points earned in the last `windowMonths`; of several the one of highest rank."""

    program_id = serializers.UUIDField(read_only=True)

    class Meta:
        model = Tier
        fields = ("id", "program_id", "name", "rank", "threshold", "window_months", "multiplier", "created_at")
        read_only_fields = fields


class _TierFieldsSerializer(CamelSerializer):
    name = serializers.CharField(max_length=MAX_NAME)
    rank = serializers.IntegerField(min_value=1, max_value=MOST_RANK, help_text="The higher the better.")
    threshold = serializers.IntegerField(min_value=0, max_value=MOST_POINTS)
    window_months = serializers.IntegerField(min_value=1, max_value=MOST_MONTHS, required=False)
    multiplier = serializers.DecimalField(
        max_digits=6,
        decimal_places=3,
        min_value=0,
        max_value=MOST_MULTIPLIER,
        required=False,
        help_text="Of what its members earn.",
    )


class NewTierSerializer(_TierFieldsSerializer):
    """A tier to be."""

    program_id = serializers.UUIDField()
    reason = serializers.CharField(
        max_length=2000, required=False, default="", help_text="Needed where the multiplier is not 1."
    )


class TierChangeSerializer(CamelSerializer):
    """What is to be other than it is, and why."""

    name = serializers.CharField(max_length=MAX_NAME, required=False)
    rank = serializers.IntegerField(min_value=1, max_value=MOST_RANK, required=False)
    threshold = serializers.IntegerField(min_value=0, max_value=MOST_POINTS, required=False)
    window_months = serializers.IntegerField(min_value=1, max_value=MOST_MONTHS, required=False)
    multiplier = serializers.DecimalField(
        max_digits=6, decimal_places=3, min_value=0, max_value=MOST_MULTIPLIER, required=False
    )
    reason = serializers.CharField(max_length=2000)


class EvaluationSerializer(CamelSerializer):
    """Which program; all of them if it is left out."""

    program_id = serializers.UUIDField(required=False, allow_null=True, default=None)


class EvaluationAnswerSerializer(CamelSerializer):
    """A worker evaluates these programs."""

    status = serializers.CharField(help_text="`accepted`")
    program_ids = serializers.ListField(child=serializers.UUIDField())
