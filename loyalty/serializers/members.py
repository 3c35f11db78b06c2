"""Members and their points."""

from __future__ import annotations

from rest_framework import serializers

from loyalty.ledger import MAX_TEXT, MOST_POINTS
from loyalty.models import Balance, Transaction
from loyalty.states import EventType
from opsconsole.core.camel import CamelModelSerializer, CamelSerializer

MAX_USER = 200


def printable(text: str) -> None:
    """Raise ValidationError for a text that nobody can read aloud, search for or type again."""
    if not text.isprintable():
        raise serializers.ValidationError("Holds a character that cannot be printed.")


class MemberSerializer(CamelModelSerializer):
    """A member's balance in one program."""

    program_id = serializers.UUIDField(read_only=True)
    tier = serializers.CharField(source="tier.name", read_only=True, allow_null=True, default=None)

    class Meta:
        model = Balance
        fields = (
            "id",
            "program_id",
            "user_id",
            "points_balance",
            "locked",
            "is_frozen",
            "fraud_flags",
            "tier",
            "joined_at",
            "updated_at",
        )
        read_only_fields = fields


class TransactionSerializer(CamelModelSerializer):
    """A movement of a member's points."""

    balance_id = serializers.UUIDField(read_only=True)
    event_type = serializers.ChoiceField(EventType.choices, read_only=True)

    class Meta:
        model = Transaction
        fields = (
            "id",
            "balance_id",
            "event_type",
            "amount",
            "purchase",
            "origin_txn_id",
            "idempotency_key",
            "ip_address",
            "campaign_id",
            "reverses_id",
            "reason",
            "actor",
            "created_at",
        )
        read_only_fields = fields


class MovementSerializer(CamelSerializer):
    """Whose points, where they come from, and the key that makes a repetition harmless."""

    user_id = serializers.CharField(max_length=MAX_USER, validators=[printable])
    origin_txn_id = serializers.CharField(
        max_length=MAX_TEXT, required=False, default=None, allow_null=True, help_text="The purchase, by its own id."
    )
    idempotency_key = serializers.CharField(
        max_length=MAX_TEXT,
        required=False,
        default=None,
        allow_null=True,
        help_text="Of the program; the Idempotency-Key header counts where this is left out.",
    )
    ip_address = serializers.IPAddressField(required=False, default=None, allow_null=True)


class EarnSerializer(MovementSerializer):
    """Points for a purchase: so many, or what the program makes of what was spent."""

    points = serializers.IntegerField(min_value=1, max_value=MOST_POINTS, required=False, default=None, allow_null=True)
    spent = serializers.DecimalField(
        max_digits=18, decimal_places=2, min_value=0, required=False, default=None, allow_null=True
    )


class RedeemSerializer(MovementSerializer):
    """Points that a member spends."""

    points = serializers.IntegerField(min_value=1, max_value=MOST_POINTS)


class PostedSerializer(CamelSerializer):
    """What came of it; without a transaction where a cap leaves nothing to earn."""

    transaction_id = serializers.UUIDField(allow_null=True)
    balance_id = serializers.UUIDField()
    points = serializers.IntegerField()
    points_balance = serializers.IntegerField()
    locked = serializers.IntegerField()


class AdjustSerializer(CamelSerializer):
    """Points to give or take by hand. The actor, where it is named, must be the caller."""

    amount = serializers.IntegerField(min_value=-MOST_POINTS, max_value=MOST_POINTS)
    reason = serializers.CharField(max_length=2000)
    actor_id = serializers.CharField(max_length=MAX_USER, required=False, default=None, allow_null=True)
    actor_role = serializers.CharField(max_length=MAX_USER, required=False, default=None, allow_null=True)


class ReverseSerializer(CamelSerializer):
    """How much of a transaction to take back, and why."""

    points = serializers.IntegerField(min_value=1, max_value=MOST_POINTS, required=False, default=None, allow_null=True)
    reason = serializers.CharField(max_length=2000)


class FreezeSerializer(CamelSerializer):
    """Why a member is frozen, with what flag, and whether their points are locked too."""

    reason = serializers.CharField(max_length=2000)
    flag = serializers.CharField(max_length=100, required=False, default="", allow_blank=True)
    lock_points = serializers.BooleanField(required=False, default=False)


class UnfreezeSerializer(CamelSerializer):
    """Why a member may go on, and whether their points are unlocked too."""

    reason = serializers.CharField(max_length=2000)
    unlock_points = serializers.BooleanField(required=False, default=False)


class LockSerializer(CamelSerializer):
    """How many points; all of them where none are named."""

    points = serializers.IntegerField(min_value=1, max_value=MOST_POINTS, required=False, default=None, allow_null=True)
    reason = serializers.CharField(max_length=2000)


class FlagSerializer(CamelSerializer):
    """Flags for whoever looks into a member."""

    flags = serializers.ListField(child=serializers.CharField(max_length=100), min_length=1, max_length=10)
    reason = serializers.CharField(max_length=2000)
