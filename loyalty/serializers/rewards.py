"""Rewards, redemptions, and rules of earning."""

from __future__ import annotations

from rest_framework import serializers

from loyalty.ledger import MOST_POINTS
from loyalty.models import Redemption, Reward, Rule
from loyalty.serializers.members import MAX_USER
from loyalty.services.rewards import MAX_NAME, MOST_STOCK
from loyalty.services.rules import MOST_DAYS
from loyalty.states import RedemptionState, RuleKind
from opsconsole.core.camel import CamelModelSerializer, CamelSerializer


class RewardSerializer(CamelModelSerializer):
    """Something that is had for points; `stock` is null where there are as many as are asked for."""

    program_id = serializers.UUIDField(read_only=True)

    class Meta:
        model = Reward
        fields = (
            "id",
            "program_id",
            "name",
            "points",
            "stock",
            "per_member",
            "active",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class NewRewardSerializer(CamelSerializer):
    """A reward to be offered."""

    program_id = serializers.UUIDField()
    name = serializers.CharField(max_length=MAX_NAME)
    points = serializers.IntegerField(min_value=1, max_value=MOST_POINTS)
    stock = serializers.IntegerField(min_value=0, max_value=MOST_STOCK, required=False, default=None, allow_null=True)
    per_member = serializers.IntegerField(
        min_value=1, max_value=MOST_STOCK, required=False, default=None, allow_null=True
    )


class RewardChangeSerializer(CamelSerializer):
    """What is to be other than it is, and why."""

    name = serializers.CharField(max_length=MAX_NAME, required=False)
    points = serializers.IntegerField(min_value=1, max_value=MOST_POINTS, required=False)
    stock = serializers.IntegerField(min_value=0, max_value=MOST_STOCK, required=False, allow_null=True)
    per_member = serializers.IntegerField(min_value=1, max_value=MOST_STOCK, required=False, allow_null=True)
    active = serializers.BooleanField(required=False)
    reason = serializers.CharField(max_length=2000)


class TakeRewardSerializer(CamelSerializer):
    """Who takes it."""

    user_id = serializers.CharField(max_length=MAX_USER)
    ip_address = serializers.IPAddressField(required=False, default=None, allow_null=True)


class RedemptionSerializer(CamelModelSerializer):
    """A reward that a member took."""

    balance_id = serializers.UUIDField(read_only=True)
    reward_id = serializers.UUIDField(read_only=True, allow_null=True)
    user_id = serializers.CharField(source="balance.user_id", read_only=True)
    reward = serializers.CharField(source="reward.name", read_only=True, allow_null=True, default=None)
    status = serializers.ChoiceField(RedemptionState.choices, read_only=True)

    class Meta:
        model = Redemption
        fields = (
            "id",
            "balance_id",
            "user_id",
            "reward_id",
            "reward",
            "points",
            "transaction_id",
            "status",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class RuleSerializer(CamelModelSerializer):
    """A rule of earning: a multiplier, or a cap for a member and a period."""

    program_id = serializers.UUIDField(read_only=True)
    kind = serializers.ChoiceField(RuleKind.choices, read_only=True)

    class Meta:
        model = Rule
        fields = (
            "id",
            "program_id",
            "name",
            "kind",
            "multiplier",
            "cap_points",
            "period_days",
            "starts_at",
            "ends_at",
            "active",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class _RuleFacts(CamelSerializer):
    multiplier = serializers.DecimalField(max_digits=6, decimal_places=3, required=False, allow_null=True)
    cap_points = serializers.IntegerField(min_value=1, max_value=MOST_POINTS, required=False, allow_null=True)
    period_days = serializers.IntegerField(min_value=1, max_value=MOST_DAYS, required=False, allow_null=True)
    starts_at = serializers.DateTimeField(required=False, allow_null=True)
    ends_at = serializers.DateTimeField(required=False, allow_null=True)
    reason = serializers.CharField(max_length=2000)


class NewRuleSerializer(_RuleFacts):
    """A rule to be: a multiplier takes marketing and finance, a cap is made at once."""

    program_id = serializers.UUIDField()
    name = serializers.CharField(max_length=MAX_NAME)
    kind = serializers.ChoiceField(RuleKind.choices)


class RuleChangeSerializer(_RuleFacts):
    """What is to be other than it is, and why."""

    name = serializers.CharField(max_length=MAX_NAME, required=False)
    active = serializers.BooleanField(required=False)
