"""The doors of rules of earning."""

from __future__ import annotations

from uuid import UUID

from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from loyalty import access
from loyalty.api.base import LoyaltyView
from loyalty.models import Rule
from loyalty.serializers.asking import ASKED_EXAMPLE, asked_answer, asked_response
from loyalty.serializers.rewards import NewRuleSerializer, RuleChangeSerializer, RuleSerializer
from loyalty.services import rules
from opsconsole.approvals.gate import Asked
from opsconsole.core.filters import TrueOrFalse
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import APPROVAL_ID, problem_response

TAGS = ["loyalty"]
REFUSALS = {code: problem_response() for code in (400, 403, 404, 409, 422)}

CAP = OpenApiExample(
    "A cap",
    value={
        "programId": "0198c0de-0000-7000-8000-000000000001",
        "name": "1,000 points a day",
        "kind": "cap",
        "capPoints": 1_000,
        "periodDays": 1,
        "reason": "Nobody shops for more",
    },
    request_only=True,
)


class RuleFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of rules can be narrowed."""

    programId = filters.UUIDFilter(field_name="program_id")  # noqa: N815 - as the API spells it
    active = TrueOrFalse()

    class Meta:
        model = Rule
        fields: tuple[str, ...] = ()


def _answer(made: Rule | Asked, status: int = 200) -> Answer:
    if isinstance(made, Asked):
        return asked_answer(made)
    return Answer(status, dict(RuleSerializer(made).data))


class Rules(LoyaltyView):
    """All rules of earning."""

    @extend_schema(
        operation_id="rules_list",
        summary="List rules of earning",
        tags=TAGS,
        parameters=[
            OpenApiParameter("programId", UUID, description="Those of one program."),
            OpenApiParameter("active", bool, description="Those that hold, or are switched off."),
        ],
        responses={200: RuleSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first."""
        return self.page(access.visible_rules(self.actor), RuleSerializer, narrowed_by=RuleFilter)

    @extend_schema(
        operation_id="rules_create",
        summary="Make a rule of earning",
        tags=TAGS,
        parameters=[APPROVAL_ID],
        request=NewRuleSerializer,
        responses={201: RuleSerializer, 202: asked_response(), **REFUSALS},
        examples=[CAP, ASKED_EXAMPLE],
    )
    def post(self, _request: Request) -> Response:
        """A multiplier takes marketing and finance, as another earn rate does; a cap is made at once."""
        answer = rules.create_rule.once(
            self.request_key(),
            lambda made: _answer(made, 201),
            **self.read(NewRuleSerializer),
            approval_id=self.approval_id,
            actor=self.actor,
        )
        return self.respond(answer)


class OneRule(LoyaltyView):
    """One rule."""

    @extend_schema(
        operation_id="rules_change",
        summary="Change a rule of earning, or switch it off",
        tags=TAGS,
        parameters=[APPROVAL_ID],
        request=RuleChangeSerializer,
        responses={200: RuleSerializer, 202: asked_response(), **REFUSALS},
        examples=[ASKED_EXAMPLE],
    )
    def patch(self, _request: Request, rule_id: UUID) -> Response:
        """Earns from then on; what was earned stays."""
        changes = self.read(RuleChangeSerializer)
        reason = changes.pop("reason")
        answer = rules.change_rule.once(
            self.request_key(),
            _answer,
            rule_id=rule_id,
            changes=changes,
            reason=reason,
            approval_id=self.approval_id,
            actor=self.actor,
        )
        return self.respond(answer)
