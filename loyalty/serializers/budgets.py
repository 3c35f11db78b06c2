"""Budgets that run out."""

from __future__ import annotations

from rest_framework import serializers

from loyalty.budgets import Decision
from loyalty.models import BudgetAlert
from loyalty.states import BudgetAlertState
from opsconsole.core.camel import CamelModelSerializer, CamelSerializer


class BudgetDaySerializer(CamelSerializer):
    """What a day took out of the budget."""

    day = serializers.DateField()
    transactions = serializers.IntegerField()
    points = serializers.IntegerField()


class BudgetStandingSerializer(CamelSerializer):
    """A budget as it is, and as it looks; what is reserved counts as used."""

    limit = serializers.DecimalField(max_digits=20, decimal_places=2)
    spent = serializers.DecimalField(max_digits=20, decimal_places=2)
    reserved = serializers.DecimalField(max_digits=20, decimal_places=2)
    left = serializers.DecimalField(max_digits=20, decimal_places=2)
    used_per_cent = serializers.DecimalField(max_digits=7, decimal_places=2)
    burn_per_day = serializers.DecimalField(max_digits=20, decimal_places=2, help_text="Over the last seven days.")
    exhausted_at = serializers.DateTimeField(allow_null=True, help_text="null: not within ten years at this rate.")
    decision = serializers.ChoiceField([(decision.value, decision.label) for decision in Decision])
    days = BudgetDaySerializer(many=True)


class BudgetAlertSerializer(CamelModelSerializer):
    """So many per cent of a budget are used; the figures are those of the moment at which it was noticed."""

    program_id = serializers.UUIDField(read_only=True)
    program = serializers.CharField(source="program.name", read_only=True)
    status = serializers.ChoiceField(BudgetAlertState.choices, read_only=True)
    acknowledged_by = serializers.CharField(
        source="acknowledged_by.username", read_only=True, allow_null=True, default=None
    )

    class Meta:
        model = BudgetAlert
        fields = (
            "id",
            "program_id",
            "program",
            "threshold",
            "status",
            "budget_limit",
            "budget_used",
            "burn_per_day",
            "exhausted_at",
            "raised_at",
            "acknowledged_at",
            "acknowledged_by",
            "note",
            "closed_at",
        )
        read_only_fields = fields


class BudgetNoteSerializer(CamelSerializer):
    """What is being done about it."""

    note = serializers.CharField(max_length=2000)
