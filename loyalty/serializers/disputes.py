"""Disputes, with what there is to be found about them."""

from __future__ import annotations

from rest_framework import serializers

from loyalty.disputes.evidence import Answer
from loyalty.ledger import MAX_TEXT, MOST_POINTS
from loyalty.models import Dispute
from loyalty.serializers.members import MAX_USER
from loyalty.services.disputes import MAX_CLAIM, MAX_TICKET
from loyalty.states import DisputeState, EventType
from opsconsole.core.camel import CamelModelSerializer, CamelSerializer


class DisputeSerializer(CamelModelSerializer):
    """A member who says that a purchase earned nothing."""

    program_id = serializers.UUIDField(read_only=True)
    balance_id = serializers.UUIDField(read_only=True)
    user_id = serializers.CharField(source="balance.user_id", read_only=True)
    status = serializers.ChoiceField(DisputeState.choices, read_only=True)
    opened_by = serializers.CharField(source="opened_by.username", read_only=True, allow_null=True, default=None)
    decided_by = serializers.CharField(source="decided_by.username", read_only=True, allow_null=True, default=None)

    class Meta:
        model = Dispute
        fields = (
            "id",
            "program_id",
            "balance_id",
            "user_id",
            "ticket",
            "origin_txn_id",
            "happened_at",
            "claim",
            "status",
            "due_at",
            "opened_by",
            "decided_by",
            "decided_at",
            "verdict",
            "transaction_id",
            "created_at",
        )
        read_only_fields = fields


class DisputeMovementSerializer(CamelSerializer):
    """A transaction that has to do with the purchase."""

    id = serializers.UUIDField()
    balance_id = serializers.UUIDField()
    user_id = serializers.CharField()
    event_type = serializers.ChoiceField(EventType.choices)
    amount = serializers.IntegerField()
    taken_back = serializers.IntegerField()
    origin_txn_id = serializers.CharField(allow_null=True)
    idempotency_key = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    found_by = serializers.CharField(help_text="`origin` or `key`.")


class DisputeTrailSerializer(CamelSerializer):
    """What happened within an hour of the date."""

    id = serializers.UUIDField()
    entity_type = serializers.CharField()
    entity_id = serializers.UUIDField(allow_null=True)
    action = serializers.CharField()
    actor = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class DisputeEvidenceSerializer(CamelSerializer):
    """What there is to be found about a purchase."""

    answer = serializers.ChoiceField([(answer.value, answer.label) for answer in Answer])
    movements = DisputeMovementSerializer(many=True)
    trail = DisputeTrailSerializer(many=True)
    program_was_busy = serializers.BooleanField(help_text="Points of other members were recorded in that time.")


class DisputeDetailSerializer(CamelSerializer):
    """A dispute with the evidence, looked up as it is read."""

    dispute = DisputeSerializer()
    evidence = DisputeEvidenceSerializer()


class NewDisputeSerializer(CamelSerializer):
    """What the member says."""

    balance_id = serializers.UUIDField()
    ticket = serializers.CharField(max_length=MAX_TICKET)
    origin_txn_id = serializers.CharField(max_length=MAX_TEXT, help_text="The purchase, by its own id.")
    happened_at = serializers.DateTimeField()
    claim = serializers.CharField(max_length=MAX_CLAIM, required=False, default="", allow_blank=True)


class SettleSerializer(CamelSerializer):
    """Points that end a dispute. The actor, where it is named, must be the caller."""

    amount = serializers.IntegerField(min_value=1, max_value=MOST_POINTS)
    reason = serializers.CharField(max_length=2000)
    actor_id = serializers.CharField(max_length=MAX_USER, required=False, default=None, allow_null=True)
    actor_role = serializers.CharField(max_length=MAX_USER, required=False, default=None, allow_null=True)
