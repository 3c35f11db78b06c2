"""The doors of members: found, frozen and let go on, locked and unlocked, flagged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from loyalty import access
from loyalty.api.base import LoyaltyView
from loyalty.models import Balance, Transaction
from loyalty.serializers.members import (
    MAX_USER,
    FlagSerializer,
    FreezeSerializer,
    LockSerializer,
    MemberSerializer,
    TransactionSerializer,
    UnfreezeSerializer,
)
from loyalty.services import members
from loyalty.states import EventType
from opsconsole.core.filters import TrueOrFalse
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import problem_response

TAGS = ["loyalty"]
REFUSALS = {code: problem_response() for code in (400, 403, 404, 409, 422)}

FREEZE = OpenApiExample(
    "Fraud alert",
    value={"reason": "Fraud alert 4711", "flag": "emergency_freeze_2026-11-21", "lockPoints": True},
    request_only=True,
)


class MemberFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of members can be narrowed."""

    userId = filters.CharFilter(field_name="user_id", max_length=MAX_USER)  # noqa: N815 - as the runbook asks
    programId = filters.UUIDFilter(field_name="program_id")  # noqa: N815
    frozen = TrueOrFalse(field_name="is_frozen")

    class Meta:
        model = Balance
        fields: tuple[str, ...] = ()


class TransactionFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the ledger can be narrowed."""

    balanceId = filters.UUIDFilter(field_name="balance_id")  # noqa: N815
    originTxnId = filters.CharFilter(field_name="origin_txn_id", max_length=MAX_USER)  # noqa: N815
    eventType = filters.ChoiceFilter(field_name="event_type", choices=EventType.choices)  # noqa: N815
    since = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    until = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Transaction
        fields: tuple[str, ...] = ()


def _member(changed: Balance | Sequence[Balance]) -> Answer:
    one = changed if isinstance(changed, Balance) else changed[0]
    return Answer(200, dict(MemberSerializer(Balance.objects.select_related("tier").get(pk=one.pk)).data))


class Balances(LoyaltyView):
    """All members."""

    @extend_schema(
        operation_id="balances_list",
        summary="List members' balances",
        tags=TAGS,
        parameters=[
            OpenApiParameter("userId", str, description="The member, in every program."),
            OpenApiParameter("programId", UUID, description="Those of one program."),
            OpenApiParameter("frozen", bool, description="Those that are frozen, or not."),
        ],
        responses={200: MemberSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Those the caller may see; newest first."""
        return self.page(access.visible_members(self.actor), MemberSerializer, narrowed_by=MemberFilter)


class OneBalance(LoyaltyView):
    """One member."""

    @extend_schema(
        operation_id="balances_retrieve",
        summary="Read a member's balance",
        tags=TAGS,
        responses={200: MemberSerializer, 404: problem_response()},
    )
    def get(self, _request: Request, balance_id: UUID) -> Response:
        """The points, and how many of them are locked."""
        return Response(MemberSerializer(access.member_seen_by(self.actor, balance_id)).data)


class Transactions(LoyaltyView):
    """The ledger."""

    @extend_schema(
        operation_id="transactions_list",
        summary="List transactions of points",
        tags=TAGS,
        parameters=[
            OpenApiParameter("balanceId", UUID, description="Those of one member."),
            OpenApiParameter("originTxnId", str, description="Those of one purchase."),
            OpenApiParameter("eventType", str, enum=EventType.values),
            OpenApiParameter("since", datetime, description="From then on."),
            OpenApiParameter("until", datetime, description="Before then."),
        ],
        responses={200: TransactionSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """The newest first."""
        return self.page(access.visible_transactions(self.actor), TransactionSerializer, narrowed_by=TransactionFilter)


class Freeze(LoyaltyView):
    """Freezing."""

    @extend_schema(
        operation_id="balances_freeze",
        summary="Freeze a member",
        tags=TAGS,
        request=FreezeSerializer,
        responses={200: MemberSerializer, **REFUSALS},
        examples=[FREEZE],
    )
    def post(self, _request: Request, balance_id: UUID) -> Response:
        """Nothing is earned or redeemed by them until they are let go on."""
        body = self.read(FreezeSerializer)
        answer = members.freeze_members.once(
            self.request_key(),
            _member,
            balance_ids=[balance_id],
            reason=body["reason"],
            flag=body["flag"],
            lock_all=body["lock_points"],
            actor=self.actor,
        )
        return self.respond(answer)


class Unfreeze(LoyaltyView):
    """Letting a member go on."""

    @extend_schema(
        operation_id="balances_unfreeze",
        summary="Unfreeze a member",
        tags=TAGS,
        request=UnfreezeSerializer,
        responses={200: MemberSerializer, **REFUSALS},
    )
    def post(self, _request: Request, balance_id: UUID) -> Response:
        """They earn and redeem again."""
        body = self.read(UnfreezeSerializer)
        answer = members.unfreeze_members.once(
            self.request_key(),
            _member,
            balance_ids=[balance_id],
            reason=body["reason"],
            unlock=body["unlock_points"],
            actor=self.actor,
        )
        return self.respond(answer)


class Lock(LoyaltyView):
    """Locking points."""

    @extend_schema(
        operation_id="balances_lock",
        summary="Lock a member's points",
        tags=TAGS,
        request=LockSerializer,
        responses={200: MemberSerializer, **REFUSALS},
    )
    def post(self, _request: Request, balance_id: UUID) -> Response:
        """So many more of them, or all."""
        body = self.read(LockSerializer)
        answer = members.lock_points.once(self.request_key(), _member, balance_id=balance_id, **body, actor=self.actor)
        return self.respond(answer)


class Unlock(LoyaltyView):
    """Unlocking points."""

    @extend_schema(
        operation_id="balances_unlock",
        summary="Unlock a member's points",
        tags=TAGS,
        request=LockSerializer,
        responses={200: MemberSerializer, **REFUSALS},
    )
    def post(self, _request: Request, balance_id: UUID) -> Response:
        """So many of them, or all."""
        body = self.read(LockSerializer)
        answer = members.unlock_points.once(
            self.request_key(), _member, balance_id=balance_id, **body, actor=self.actor
        )
        return self.respond(answer)


class Flag(LoyaltyView):
    """Flagging."""

    @extend_schema(
        operation_id="balances_flag",
        summary="Flag a member for review",
        tags=TAGS,
        request=FlagSerializer,
        responses={200: MemberSerializer, **REFUSALS},
    )
    def post(self, _request: Request, balance_id: UUID) -> Response:
        """For whoever looks into it."""
        body = self.read(FlagSerializer)
        answer = members.flag_members.once(
            self.request_key(), _member, balance_ids=[balance_id], **body, actor=self.actor
        )
        return self.respond(answer)
