"""The doors of programs."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from loyalty import access
from loyalty.api.base import LoyaltyView
from loyalty.models import Program
from loyalty.serializers.asking import ASKED_EXAMPLE, WhySerializer, asked_answer, asked_response
from loyalty.serializers.programs import NewProgramSerializer, ProgramChangeSerializer, ProgramSerializer
from loyalty.services import programs
from opsconsole.approvals.gate import Asked
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import APPROVAL_ID, problem_response

TAGS = ["loyalty"]

NEW = OpenApiExample(
    "A program",
    value={"name": "Molam Club", "budgetLimit": "1000000", "earnRate": "1.5", "pointsValidMonths": 24},
    request_only=True,
)
INCREASE = OpenApiExample(
    "A larger budget",
    value={"budgetLimit": "100000", "reason": "Budget exhausted; the merchant approved more"},
    request_only=True,
)
SUSPECTED = OpenApiExample("Why", value={"reason": "Suspected fraud, under investigation"}, request_only=True)
REFUSALS = {code: problem_response() for code in (400, 403, 404, 409, 422)}


def _answer(made: Program | Asked, status: int = 200) -> Answer:
    if isinstance(made, Asked):
        return asked_answer(made)
    return Answer(status, dict(ProgramSerializer(made).data))


class Programs(LoyaltyView):
    """All programs."""

    @extend_schema(
        operation_id="programs_list",
        summary="List loyalty programs",
        tags=TAGS,
        responses={200: ProgramSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Those the caller may see, by role or by a grant on the one program; newest first."""
        return self.page(access.visible_programs(self.actor), ProgramSerializer)

    @extend_schema(
        operation_id="programs_create",
        summary="Set up a loyalty program",
        tags=TAGS,
        request=NewProgramSerializer,
        responses={201: ProgramSerializer, **{code: REFUSALS[code] for code in (400, 403, 409, 422)}},
        examples=[NEW],
    )
    def post(self, _request: Request) -> Response:
        """It is active from then on."""
        facts = self.read(NewProgramSerializer)
        answer = programs.create_program.once(
            self.request_key(), lambda made: _answer(made, 201), **facts, actor=self.actor
        )
        return self.respond(answer)


class OneProgram(LoyaltyView):
    """One program."""

    http_method_names = ["get", "head", "put"]  # noqa: RUF012 - as Django declares it

    @extend_schema(
        operation_id="programs_retrieve",
        summary="Read a loyalty program",
        tags=TAGS,
        responses={200: ProgramSerializer, 404: problem_response()},
    )
    def get(self, _request: Request, program_id: UUID) -> Response:
        """The program with its budget."""
        return Response(ProgramSerializer(access.program_seen_by(self.actor, program_id)).data)

    @extend_schema(
        operation_id="programs_change",
        summary="Change the budget or the earn rate",
        tags=TAGS,
        parameters=[APPROVAL_ID],
        request=ProgramChangeSerializer,
        responses={200: ProgramSerializer, 202: asked_response(), **REFUSALS},
        examples=[INCREASE, ASKED_EXAMPLE],
    )
    def put(self, _request: Request, program_id: UUID) -> Response:
        """A larger budget and another rate take marketing and finance; a smaller budget goes through at once."""
        body = self.read(ProgramChangeSerializer)
        wanted = [name for name in ("budget_limit", "earn_rate") if name in body]
        if len(wanted) != 1:
            said = ["Give one of budgetLimit and earnRate."]
            raise ValidationError({"budgetLimit": said, "earnRate": said})
        facts = {"program_id": program_id, "reason": body["reason"], "approval_id": self.approval_id}
        if wanted == ["budget_limit"]:
            answer = programs.change_budget.once(
                self.request_key(), _answer, budget_limit=body["budget_limit"], **facts, actor=self.actor
            )
        else:
            answer = programs.change_earn_rate.once(
                self.request_key(), _answer, earn_rate=body["earn_rate"], **facts, actor=self.actor
            )
        return self.respond(answer)


class SuspendProgram(LoyaltyView):
    """Stopping a program."""

    @extend_schema(
        operation_id="programs_suspend",
        summary="Suspend a loyalty program",
        tags=TAGS,
        parameters=[APPROVAL_ID],
        request=WhySerializer,
        responses={200: ProgramSerializer, 202: asked_response(), **REFUSALS},
        examples=[SUSPECTED, ASKED_EXAMPLE],
    )
    def post(self, _request: Request, program_id: UUID) -> Response:
        """Nothing is earned or redeemed in it from then on; takes marketing and finance."""
        answer = programs.suspend_program.once(
            self.request_key(),
            _answer,
            program_id=program_id,
            reason=self.read(WhySerializer)["reason"],
            approval_id=self.approval_id,
            actor=self.actor,
        )
        return self.respond(answer)


class ResumeProgram(LoyaltyView):
    """Letting a program go on."""

    @extend_schema(
        operation_id="programs_resume",
        summary="Resume a suspended loyalty program",
        tags=TAGS,
        parameters=[APPROVAL_ID],
        request=WhySerializer,
        responses={200: ProgramSerializer, 202: asked_response(), **REFUSALS},
        examples=[ASKED_EXAMPLE],
    )
    def post(self, _request: Request, program_id: UUID) -> Response:
        """Takes marketing and finance, as suspending does."""
        answer = programs.resume_program.once(
            self.request_key(),
            _answer,
            program_id=program_id,
            reason=self.read(WhySerializer)["reason"],
            approval_id=self.approval_id,
            actor=self.actor,
        )
        return self.respond(answer)
