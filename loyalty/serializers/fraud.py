"""Fraud: rules, hits, verdicts."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from loyalty.fraud.patterns import PATTERNS
from loyalty.models import FraudHit, FraudRule
from loyalty.services.fraud_rules import FLAG, MAX_CODE, MAX_FLAG, MOST_HOURS
from loyalty.states import HitState
from opsconsole.core.camel import CamelModelSerializer, CamelSerializer, camel_keys
from opsconsole.core.parsers import snake_case

KINDS = [(kind, pattern.label) for kind, pattern in PATTERNS.items()]


@extend_schema_field({"type": "object", "additionalProperties": True})
class LimitsField(serializers.JSONField):
    """The limits of a rule, by name; each kind of rule has its own."""

    def to_internal_value(self, data: Any) -> Any:
        """By the names that the rule has."""
        value = super().to_internal_value(data)
        if not isinstance(value, dict):
            raise serializers.ValidationError("Must be an object.")
        return snake_case(value)

    def to_representation(self, value: Any) -> Any:
        """By the names of the API."""
        return camel_keys(super().to_representation(value))


class FraudRuleSerializer(CamelModelSerializer):
    """A fraud rule; `backtest` is what this version would have found."""

    kind = serializers.ChoiceField(KINDS, read_only=True)
    limits = LimitsField(read_only=True)
    backtest = LimitsField(read_only=True, allow_null=True)

    class Meta:
        model = FraudRule
        fields = (
            "id",
            "code",
            "kind",
            "limits",
            "allowed_networks",
            "flag",
            "locks",
            "review_hours",
            "active",
            "version",
            "backtest",
            "looked_at",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class NewFraudRuleSerializer(CamelSerializer):
    """A rule to be; it is switched off at first."""

    code = serializers.CharField(max_length=MAX_CODE)
    kind = serializers.ChoiceField(KINDS)
    limits = LimitsField()
    allowed_networks = serializers.ListField(child=serializers.CharField(max_length=50), required=False, default=list)
    flag = serializers.CharField(max_length=MAX_FLAG, required=False, default=FLAG)
    locks = serializers.BooleanField(required=False, default=False, help_text="Lock the points of whoever is hit.")
    review_hours = serializers.IntegerField(min_value=1, max_value=MOST_HOURS, required=False, default=24)
    reason = serializers.CharField(max_length=2000)


class FraudRuleChangeSerializer(CamelSerializer):
    """What is to be other than it is, and why."""

    limits = LimitsField(required=False)
    allowed_networks = serializers.ListField(child=serializers.CharField(max_length=50), required=False)
    flag = serializers.CharField(max_length=MAX_FLAG, required=False)
    locks = serializers.BooleanField(required=False)
    review_hours = serializers.IntegerField(min_value=1, max_value=MOST_HOURS, required=False)
    reason = serializers.CharField(max_length=2000)


class BackTestSerializer(CamelSerializer):
    """The time to try a rule on; the last 90 days where it is not said."""

    since = serializers.DateTimeField(required=False, default=None, allow_null=True)
    until = serializers.DateTimeField(required=False, default=None, allow_null=True)


class FraudSwitchSerializer(CamelSerializer):
    """Whether a rule looks, and why."""

    active = serializers.BooleanField()
    reason = serializers.CharField(max_length=2000)


class FraudLookSerializer(CamelSerializer):
    """As of when; now where it is not said."""

    as_of = serializers.DateTimeField(required=False, default=None, allow_null=True)


class FraudFoundSerializer(CamelSerializer):
    """What a look has opened."""

    hits = serializers.IntegerField()
    points_locked = serializers.IntegerField()


class FraudPrecisionSerializer(CamelSerializer):
    """How right a rule is; `atLeast` is the lower bound of Wilson's interval at 95 per cent."""

    rule = serializers.CharField()
    open = serializers.IntegerField()
    confirmed = serializers.IntegerField()
    dismissed = serializers.IntegerField()
    precision = serializers.FloatField(allow_null=True)
    at_least = serializers.FloatField(allow_null=True)


class FraudPrecisionsSerializer(CamelSerializer):
    """Every rule, by its code."""

    results = FraudPrecisionSerializer(many=True)


class FraudHitSerializer(CamelModelSerializer):
    """A member who fits a rule."""

    rule = serializers.CharField(source="rule.code", read_only=True)
    rule_id = serializers.UUIDField(read_only=True)
    balance_id = serializers.UUIDField(read_only=True)
    program_id = serializers.UUIDField(source="balance.program_id", read_only=True)
    user_id = serializers.CharField(source="balance.user_id", read_only=True)
    facts = LimitsField(read_only=True)
    status = serializers.ChoiceField(HitState.choices, read_only=True)
    decided_by = serializers.CharField(source="decided_by.username", read_only=True, allow_null=True, default=None)

    class Meta:
        model = FraudHit
        fields = (
            "id",
            "rule",
            "rule_id",
            "rule_version",
            "balance_id",
            "program_id",
            "user_id",
            "facts",
            "status",
            "flagged",
            "points_locked",
            "as_of",
            "found_at",
            "due_at",
            "decided_at",
            "decided_by",
        )
        read_only_fields = fields


class FraudVerdictSerializer(CamelSerializer):
    """Why a verdict is as it is; it goes back to SIRA."""

    comment = serializers.CharField(max_length=2000)
