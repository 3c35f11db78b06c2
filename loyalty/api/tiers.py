"""The doors of tiers, and of the worker that evaluates them."""

from __future__ import annotations

from uuid import UUID

from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from loyalty import access
from loyalty.api.base import LoyaltyView
from loyalty.models import Program, Tier
from loyalty.serializers.asking import ASKED_EXAMPLE, asked_answer, asked_response
from loyalty.serializers.tiers import (
    EvaluationAnswerSerializer,
    EvaluationSerializer,
    NewTierSerializer,
    TierChangeSerializer,
    TierSerializer,
)
from loyalty.services import tiers
from loyalty.services.tiers import TierFacts
from opsconsole.approvals.gate import Asked
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import APPROVAL_ID, problem_response

TAGS = ["loyalty"]
REFUSALS = {code: problem_response() for code in (400, 403, 404, 409, 422)}
ACCEPTED = 202

NEW = OpenApiExample(
    "A tier",
    value={
        "programId": "0198c0de-0000-7000-8000-000000000001",
        "name": "Gold",
        "rank": 3,
        "threshold": 5_000,
        "windowMonths": 12,
        "multiplier": "1.5",
        "reason": "More for those who come often",
    },
    request_only=True,
)
ONE = OpenApiExample("One program", value={"programId": "0198c0de-0000-7000-8000-000000000001"}, request_only=True)
TAKEN_UP = OpenApiExample(
    "A worker does it",
    value={"status": "accepted", "programIds": ["0198c0de-0000-7000-8000-000000000001"]},
    response_only=True,
    status_codes=["202"],
)


class TierFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of tiers can be narrowed."""

    programId = filters.UUIDFilter(field_name="program_id")  # noqa: N815 - as the API spells it

    class Meta:
        model = Tier
        fields: tuple[str, ...] = ()


def _answer(made: Tier | Asked, status: int = 200) -> Answer:
    if isinstance(made, Asked):
        return asked_answer(made)
    return Answer(status, dict(TierSerializer(made).data))


class Tiers(LoyaltyView):
    """All tiers."""

    @extend_schema(
        operation_id="tiers_list",
        summary="List tiers",
        tags=TAGS,
        parameters=[OpenApiParameter("programId", UUID, description="Those of one program.")],
        responses={200: TierSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first."""
        return self.page(access.visible_tiers(self.actor), TierSerializer, narrowed_by=TierFilter)

    @extend_schema(
        operation_id="tiers_create",
        summary="Define a tier",
        tags=TAGS,
        parameters=[APPROVAL_ID],
        request=NewTierSerializer,
        responses={201: TierSerializer, 202: asked_response(), **REFUSALS},
        examples=[NEW, ASKED_EXAMPLE],
    )
    def post(self, _request: Request) -> Response:
        """Members reach it when they are evaluated. One that multiplies takes marketing and finance."""
        body = self.read(NewTierSerializer)
        answer = tiers.define_tier.once(
            self.request_key(),
            lambda made: _answer(made, 201),
            program_id=body.pop("program_id"),
            reason=body.pop("reason"),
            facts=TierFacts(**body),
            approval_id=self.approval_id,
            actor=self.actor,
        )
        return self.respond(answer)


class OneTier(LoyaltyView):
    """One tier."""

    @extend_schema(
        operation_id="tiers_change",
        summary="Change a tier",
        tags=TAGS,
        parameters=[APPROVAL_ID],
        request=TierChangeSerializer,
        responses={200: TierSerializer, 202: asked_response(), **REFUSALS},
        examples=[ASKED_EXAMPLE],
    )
    def patch(self, _request: Request, tier_id: UUID) -> Response:
        """Nobody moves by it at once: members do when they are evaluated. Another multiplier takes two teams."""
        changes = self.read(TierChangeSerializer)
        answer = tiers.change_tier.once(
            self.request_key(),
            _answer,
            tier_id=tier_id,
            reason=changes.pop("reason"),
            changes=changes,
            approval_id=self.approval_id,
            actor=self.actor,
        )
        return self.respond(answer)


def _taken_up(programs: list[Program]) -> Answer:
    return Answer(ACCEPTED, {"status": "accepted", "programIds": [str(program.pk) for program in programs]})


class TierEvaluation(LoyaltyView):
    """The worker that evaluates tiers."""

    @extend_schema(
        operation_id="workers_tier_evaluation",
        summary="Have the tiers of members evaluated now",
        tags=TAGS,
        request=EvaluationSerializer,
        responses={202: EvaluationAnswerSerializer, **{code: REFUSALS[code] for code in (400, 403, 404)}},
        examples=[ONE, TAKEN_UP],
    )
    def post(self, _request: Request) -> Response:
        """In one program, or in every active one that the caller may have evaluated; a worker does it."""
        answer = tiers.request_evaluation.once(
            self.request_key(),
            _taken_up,
            program_id=self.read(EvaluationSerializer)["program_id"],
            actor=self.actor,
        )
        return self.respond(answer)
