"""Programs."""

from __future__ import annotations

from decimal import Decimal

from rest_framework import serializers

from loyalty.models import Program
from loyalty.states import ProgramState
from opsconsole.core.camel import CamelModelSerializer, CamelSerializer

MOST_BUDGET = Decimal("999999999999999999")
MOST_RATE = Decimal(10_000)
MAX_NAME = 100


class ProgramSerializer(CamelModelSerializer):
    """A program with its budget, in points."""

    status = serializers.ChoiceField(ProgramState.choices, read_only=True)
    budget_left = serializers.DecimalField(max_digits=20, decimal_places=2, read_only=True)

    class Meta:
        model = Program
        fields = (
            "id",
            "name",
            "description",
            "status",
            "budget_limit",
            "budget_spent",
            "budget_reserved",
            "budget_left",
            "earn_rate",
            "points_valid_months",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class NewProgramSerializer(CamelSerializer):
    """A program to be."""

    name = serializers.CharField(max_length=MAX_NAME)
    description = serializers.CharField(max_length=2000, required=False, default="", allow_blank=True)
    budget_limit = serializers.DecimalField(max_digits=20, decimal_places=2, min_value=1, max_value=MOST_BUDGET)
    earn_rate = serializers.DecimalField(
        max_digits=14,
        decimal_places=6,
        min_value=0,
        max_value=MOST_RATE,
        required=False,
        default=Decimal(1),
        help_text="Points per unit that is spent.",
    )
    points_valid_months = serializers.IntegerField(
        min_value=1, max_value=600, required=False, default=None, allow_null=True, help_text="null: for ever."
    )


class ProgramChangeSerializer(CamelSerializer):
    """Another budget or another earn rate, one at a time."""

    budget_limit = serializers.DecimalField(
        max_digits=20, decimal_places=2, min_value=1, max_value=MOST_BUDGET, required=False
    )
    earn_rate = serializers.DecimalField(
        max_digits=14, decimal_places=6, min_value=0, max_value=MOST_RATE, required=False
    )
    reason = serializers.CharField(max_length=2000)
