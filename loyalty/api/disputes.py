"""The doors of disputes."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from loyalty import access_fraud
from loyalty.api.base import LoyaltyView
from loyalty.disputes import evidence
from loyalty.ledger import MAX_TEXT
from loyalty.models import Dispute
from loyalty.serializers.asking import ASKED_EXAMPLE, WhySerializer, asked_answer, asked_response
from loyalty.serializers.disputes import (
    DisputeDetailSerializer,
    DisputeSerializer,
    NewDisputeSerializer,
    SettleSerializer,
)
from loyalty.serializers.members import MAX_USER
from loyalty.services import disputes
from loyalty.services.disputes import MAX_TICKET
from loyalty.states import DisputeState
from opsconsole.approvals.gate import Asked
from opsconsole.core.filters import TrueOrFalse
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import APPROVAL_ID, problem_response

TAGS = ["loyalty"]
REFUSALS = {code: problem_response() for code in (400, 403, 404, 409, 422)}

NEW = OpenApiExample(
    "Points not awarded",
    value={
        "balanceId": "0198c0de-0000-7000-8000-000000000002",
        "ticket": "12345",
        "originTxnId": "order-0815",
        "happenedAt": "2026-11-20T14:30:00Z",
        "claim": "I paid and got nothing",
    },
    request_only=True,
)


class DisputeFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of disputes can be narrowed."""

    status = filters.ChoiceFilter(choices=DisputeState.choices)
    overdue = TrueOrFalse(method="filter_overdue")
    programId = filters.UUIDFilter(field_name="program_id")  # noqa: N815 - as the API spells it
    userId = filters.CharFilter(field_name="balance__user_id", max_length=MAX_USER)  # noqa: N815
    ticket = filters.CharFilter(max_length=MAX_TICKET)
    originTxnId = filters.CharFilter(field_name="origin_txn_id", max_length=MAX_TEXT)  # noqa: N815

    class Meta:
        model = Dispute
        fields: tuple[str, ...] = ()

    def filter_overdue(self, rows: QuerySet[Dispute], _name: str, value: bool) -> QuerySet[Dispute]:  # noqa: FBT001
        """Those that wait longer than they may; `false` narrows nothing."""
        return rows.filter(status=DisputeState.OPEN, due_at__lt=timezone.now()) if value else rows


def _answer(made: Dispute | Asked, status: int = 200) -> Answer:
    if isinstance(made, Asked):
        return asked_answer(made)
    return Answer(status, dict(DisputeSerializer(made).data))


class Disputes(LoyaltyView):
    """All disputes."""

    @extend_schema(
        operation_id="disputes_list",
        summary="List disputes",
        tags=TAGS,
        parameters=[
            OpenApiParameter("status", str, enum=DisputeState.values),
            OpenApiParameter("overdue", bool, description="Those that wait longer than they may."),
            OpenApiParameter("programId", UUID),
            OpenApiParameter("userId", str, description="The member, in every program."),
            OpenApiParameter("ticket", str),
            OpenApiParameter("originTxnId", str, description="The purchase."),
        ],
        responses={200: DisputeSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first."""
        return self.page(access_fraud.visible_disputes(self.actor), DisputeSerializer, narrowed_by=DisputeFilter)

    @extend_schema(
        operation_id="disputes_open",
        summary="Open a dispute",
        tags=TAGS,
        request=NewDisputeSerializer,
        responses={201: DisputeSerializer, **REFUSALS},
        examples=[NEW],
    )
    def post(self, _request: Request) -> Response:
        """One at a time about a purchase."""
        answer = disputes.open_dispute.once(
            self.request_key(),
            lambda dispute: _answer(dispute, 201),
            **self.read(NewDisputeSerializer),
            actor=self.actor,
        )
        return self.respond(answer)


class OneDispute(LoyaltyView):
    """One dispute."""

    @extend_schema(
        operation_id="disputes_retrieve",
        summary="Read a dispute, with what there is to be found about it",
        tags=TAGS,
        responses={200: DisputeDetailSerializer, 404: problem_response()},
    )
    def get(self, _request: Request, dispute_id: UUID) -> Response:
        """The purchase by its id, by the keys it came under, and the trail an hour around the date."""
        dispute = access_fraud.dispute_seen_by(self.actor, dispute_id)
        found = evidence.find(dispute.balance, dispute.origin_txn_id, dispute.happened_at)
        return Response(DisputeDetailSerializer({"dispute": dispute, "evidence": found}).data)


class RefuseDispute(LoyaltyView):
    """Refusing."""

    @extend_schema(
        operation_id="disputes_refuse",
        summary="Refuse a dispute",
        tags=TAGS,
        request=WhySerializer,
        responses={200: DisputeSerializer, **REFUSALS},
    )
    def post(self, _request: Request, dispute_id: UUID) -> Response:
        """The reason stands in the journal, on the member."""
        answer = disputes.refuse_dispute.once(
            self.request_key(), _answer, dispute_id=dispute_id, **self.read(WhySerializer), actor=self.actor
        )
        return self.respond(answer)


class AdjustDispute(LoyaltyView):
    """Giving the points."""

    @extend_schema(
        operation_id="disputes_adjust",
        summary="End a dispute with points",
        tags=TAGS,
        parameters=[APPROVAL_ID],
        request=SettleSerializer,
        responses={200: DisputeSerializer, 202: asked_response(), **REFUSALS},
        examples=[ASKED_EXAMPLE],
    )
    def post(self, _request: Request, dispute_id: UUID) -> Response:
        """More than 10,000 points, or what adds up to that for a member in a day, takes marketing and finance."""
        answer = disputes.adjust_dispute.once(
            self.request_key(),
            _answer,
            dispute_id=dispute_id,
            **self.read(SettleSerializer),
            approval_id=self.approval_id,
            actor=self.actor,
        )
        return self.respond(answer)
