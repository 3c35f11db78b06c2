"""The doors where points come and go."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from loyalty.api.base import LoyaltyView
from loyalty.ledger import MAX_TEXT, Posted
from loyalty.models import Transaction
from loyalty.serializers.asking import ASKED_EXAMPLE, asked_answer, asked_response
from loyalty.serializers.members import (
    AdjustSerializer,
    EarnSerializer,
    PostedSerializer,
    RedeemSerializer,
    ReverseSerializer,
    TransactionSerializer,
)
from loyalty.services import points
from opsconsole.approvals.gate import Asked
from opsconsole.core.idempotency import Answer, KeyMalformed
from opsconsole.core.openapi import APPROVAL_ID, problem_response

TAGS = ["loyalty"]
REFUSALS = {code: problem_response() for code in (400, 403, 404, 409, 422)}

EARN = OpenApiExample(
    "For a purchase",
    value={"userId": "user-42", "spent": "59.90", "originTxnId": "order-0815", "ipAddress": "203.0.113.7"},
    request_only=True,
)
REDEEM = OpenApiExample("500 points", value={"userId": "user-42", "points": 500}, request_only=True)
ADJUST = OpenApiExample(
    "By hand",
    value={"amount": 100, "reason": "Ticket 12345: points not awarded for a purchase", "actorRole": "ops_marketing"},
    request_only=True,
)


class _Movement(LoyaltyView):
    """Points in or out, once under the program's key."""

    def facts(self, serializer: type[Any]) -> dict[str, Any]:
        """The body; the header's key where it has none. Raises KeyMalformed for a key that cannot be one."""
        body = self.read(serializer)
        key = body.pop("idempotency_key") or self.request.headers.get("Idempotency-Key")
        if key is not None and (not 0 < len(key) <= MAX_TEXT or not key.isprintable()):
            raise KeyMalformed(format_lazy(_("Idempotency-Key takes 1 to {most} printable characters."), most=MAX_TEXT))
        return {**body, "key": key}

    def answer(self, posted: Posted) -> Response:
        """201 for a new movement, 200 for one that was there before or came to nothing."""
        body = {
            "transactionId": posted.transaction_id,
            "balanceId": posted.balance_id,
            "points": posted.points,
            "pointsBalance": posted.balance,
            "locked": posted.locked,
        }
        status = 200 if posted.replayed or posted.transaction_id is None else 201
        return self.respond(Answer(status, body, replayed=posted.replayed))


class Earn(_Movement):
    """Earning."""

    @extend_schema(
        operation_id="points_earn",
        summary="Give a member points",
        tags=TAGS,
        request=EarnSerializer,
        responses={201: PostedSerializer, 200: PostedSerializer, **REFUSALS},
        examples=[EARN],
    )
    def post(self, _request: Request, program_id: UUID) -> Response:
        """A member who is new is enrolled. The same key again gets the first transaction; other content is refused."""
        facts = self.facts(EarnSerializer)
        return self.answer(points.earn_points(program_id=program_id, **facts, actor=self.actor))


class Redeem(_Movement):
    """Redeeming."""

    @extend_schema(
        operation_id="points_redeem",
        summary="Redeem a member's points",
        tags=TAGS,
        request=RedeemSerializer,
        responses={201: PostedSerializer, 200: PostedSerializer, **REFUSALS},
        examples=[REDEEM],
    )
    def post(self, _request: Request, program_id: UUID) -> Response:
        """No more than the member has, and none that are locked."""
        facts = self.facts(RedeemSerializer)
        return self.answer(points.redeem_points(program_id=program_id, **facts, actor=self.actor))


class Adjust(LoyaltyView):
    """Adjusting by hand."""

    @extend_schema(
        operation_id="points_adjust",
        summary="Adjust a member's points by hand",
        tags=TAGS,
        parameters=[APPROVAL_ID],
        request=AdjustSerializer,
        responses={201: TransactionSerializer, 202: asked_response(), **REFUSALS},
        examples=[ADJUST, ASKED_EXAMPLE],
    )
    def post(self, _request: Request, balance_id: UUID) -> Response:
        """More than 10,000 points, or what adds up to that for a member in a day, takes marketing and finance."""
        answer = points.adjust_points.once(
            self.request_key(),
            _adjusted,
            balance_id=balance_id,
            **self.read(AdjustSerializer),
            approval_id=self.approval_id,
            actor=self.actor,
        )
        return self.respond(answer)


class Reverse(LoyaltyView):
    """Taking a transaction back."""

    @extend_schema(
        operation_id="points_reverse",
        summary="Take a transaction back",
        tags=TAGS,
        request=ReverseSerializer,
        responses={201: TransactionSerializer, **REFUSALS},
    )
    def post(self, _request: Request, transaction_id: UUID) -> Response:
        """All of it, or so many points; never more than there was."""
        answer = points.reverse_transaction.once(
            self.request_key(),
            _adjusted,
            transaction_id=transaction_id,
            **self.read(ReverseSerializer),
            actor=self.actor,
        )
        return self.respond(answer)


def _adjusted(made: Transaction | Asked) -> Answer:
    if isinstance(made, Asked):
        return asked_answer(made)
    return Answer(201, dict(TransactionSerializer(made).data))
