"""The doors of budgets."""

from __future__ import annotations

from uuid import UUID

from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from loyalty import access, access_fraud
from loyalty.api.base import LoyaltyView
from loyalty.budgets import standing_of
from loyalty.models import BudgetAlert
from loyalty.serializers.budgets import BudgetAlertSerializer, BudgetNoteSerializer, BudgetStandingSerializer
from loyalty.services import budgets
from loyalty.states import BudgetAlertState
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import problem_response

TAGS = ["loyalty"]


class AlertFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of alerts can be narrowed."""

    status = filters.ChoiceFilter(choices=BudgetAlertState.choices)
    programId = filters.UUIDFilter(field_name="program_id")  # noqa: N815 - as the API spells it

    class Meta:
        model = BudgetAlert
        fields: tuple[str, ...] = ()


class Budget(LoyaltyView):
    """The budget of a program."""

    @extend_schema(
        operation_id="programs_budget",
        summary="How long the budget of a program lasts",
        tags=TAGS,
        responses={200: BudgetStandingSerializer, 404: problem_response()},
    )
    def get(self, _request: Request, program_id: UUID) -> Response:
        """What is left, what each of the last seven days took, when it is gone, and what to do."""
        program = access.program_seen_by(self.actor, program_id)
        return Response(BudgetStandingSerializer(standing_of(program)).data)


class Alerts(LoyaltyView):
    """All budget alerts."""

    @extend_schema(
        operation_id="budget_alerts_list",
        summary="List budget alerts",
        tags=TAGS,
        parameters=[
            OpenApiParameter("status", str, enum=BudgetAlertState.values),
            OpenApiParameter("programId", UUID, description="Those of one program."),
        ],
        responses={200: BudgetAlertSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first; one for each time that a program came near its limit."""
        return self.page(access_fraud.visible_alerts(self.actor), BudgetAlertSerializer, narrowed_by=AlertFilter)


class AcknowledgeAlert(LoyaltyView):
    """Seeing one."""

    @extend_schema(
        operation_id="budget_alerts_acknowledge",
        summary="Acknowledge a budget alert",
        tags=TAGS,
        request=BudgetNoteSerializer,
        responses={200: BudgetAlertSerializer, **{code: problem_response() for code in (400, 403, 404, 409)}},
    )
    def post(self, _request: Request, alert_id: UUID) -> Response:
        """Somebody has it in hand; it closes by itself once there is budget again."""

        def told(alert: BudgetAlert) -> Answer:
            return Answer(200, dict(BudgetAlertSerializer(alert).data))

        answer = budgets.acknowledge_alert.once(
            self.request_key(), told, alert_id=alert_id, **self.read(BudgetNoteSerializer), actor=self.actor
        )
        return self.respond(answer)
