"""Runs as the API has them: started, steered, tried again, rolled back, read, and their steps resolved."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opsconsole.core.http import ConsoleView
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import KEY_REQUIRED, problem_response
from opsconsole.core.operations import Operation
from opsconsole.core.pagination import NewestFirst
from opsconsole.core.problems import problem
from opsconsole.plans import access, examples, selectors
from opsconsole.plans.models import Run, Step
from opsconsole.plans.serializers import (
    BreakGlassSerializer,
    MandatoryReasonSerializer,
    ReasonSerializer,
    ResolutionSerializer,
    RunDetailSerializer,
    RunIdSerializer,
    RunSerializer,
    StepSerializer,
)
from opsconsole.plans.services import break_glass, control, execution, force_fail, resolution
from opsconsole.plans.services.execution import ApprovalWanted, Drifted
from opsconsole.plans.states import StepState

TAGS = ["runs"]


class StepFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of a run's steps can be narrowed."""

    status = filters.ChoiceFilter(choices=StepState.choices)

    class Meta:
        model = Step
        fields: tuple[str, ...] = ()


class InOrder(NewestFirst):
    """Steps come in their order."""

    ordering = ("seq",)


def _run_answer(run: Run) -> Answer:
    return Answer(202, {"run_id": str(run.pk)})


class Execute(ConsoleView):
    """Executing."""

    @extend_schema(
        operation_id="plans_execute",
        summary="Execute an approved plan",
        tags=TAGS,
        request=None,
        parameters=[KEY_REQUIRED],
        responses={202: RunIdSerializer, 400: problem_response(), 409: problem_response(), 422: problem_response()},
        examples=[examples.QUEUED, examples.DRIFTED],
    )
    def post(self, _request: Request, plan_id: UUID) -> Response:
        """202 with the run. A plan that drifted from what was approved is staged afresh and answers 409."""
        answer = execution.execute_plan.once(
            self.request_key(required=True), _started, plan_id=plan_id, actor=self.actor
        )
        return self.respond(answer)


def _started(outcome: Run | Drifted | ApprovalWanted) -> Answer:
    if isinstance(outcome, Run):
        return _run_answer(outcome)
    error = outcome.error()
    return Answer(error.status, problem(error.status, error.code, error.message, **error.fields))


class BreakGlass(ConsoleView):
    """Executing in an emergency."""

    @extend_schema(
        operation_id="plans_break_glass",
        summary="Execute a staged plan in an emergency",
        tags=TAGS,
        request=BreakGlassSerializer,
        parameters=[KEY_REQUIRED],
        responses={202: RunIdSerializer, 400: problem_response(), 409: problem_response(), 422: problem_response()},
        examples=[examples.BREAK_GLASS, examples.QUEUED],
    )
    def post(self, _request: Request, plan_id: UUID) -> Response:
        """Without its quorum, or through a calendar; everybody is told, and two people review it within 24 hours."""
        said = self.read(BreakGlassSerializer)
        answer = break_glass.break_glass.once(
            self.request_key(required=True), _started, plan_id=plan_id, actor=self.actor, **said
        )
        return self.respond(answer)


class ForceFail(ConsoleView):
    """Ending a stuck run."""

    @extend_schema(
        operation_id="runs_force_fail",
        summary="End a stuck run as failed",
        tags=TAGS,
        request=MandatoryReasonSerializer,
        responses={200: RunSerializer, 409: problem_response()},
        examples=[examples.STUCK],
    )
    def post(self, _request: Request, plan_id: UUID, run_id: UUID) -> Response:
        """At once, whoever holds it; what it had sent and nobody saw the end of is unknown, and asked about."""
        answer = force_fail.force_fail_run.once(
            self.request_key(),
            lambda run: Answer(200, dict(RunSerializer(run).data)),
            plan_id=plan_id,
            run_id=run_id,
            reason=self.read(MandatoryReasonSerializer)["reason"],
            actor=self.actor,
        )
        return self.respond(answer)


class Rollback(ConsoleView):
    """Rolling back."""

    @extend_schema(
        operation_id="plans_rollback",
        summary="Roll a plan back",
        tags=TAGS,
        request=ReasonSerializer,
        responses={202: RunIdSerializer, 400: problem_response(), 409: problem_response()},
        examples=[examples.QUEUED, examples.APPROVAL_REQUIRED],
    )
    def post(self, _request: Request, plan_id: UUID) -> Response:
        """A run of its own, of the compensations that were approved with the plan, in reverse.

        Where undoing is the dangerous direction (unfreezing, resuming a bank) the first call asks for approvals and
        answers 409 `approval_required` with `approval_id`; once they are complete the same call starts the run. It
        takes another Idempotency-Key then, since the first answer is stored.
        """
        reason = self.read(ReasonSerializer)["reason"]
        answer = execution.roll_back_plan.once(
            self.request_key(), _started, plan_id=plan_id, reason=reason, actor=self.actor
        )
        return self.respond(answer)


class Resolve(ConsoleView):
    """Resolving an unknown step."""

    @extend_schema(
        operation_id="steps_resolve",
        summary="Resolve a step whose outcome is unknown",
        tags=TAGS,
        request=ResolutionSerializer,
        responses={200: StepSerializer, 409: problem_response()},
        examples=[examples.RESOLUTION, examples.STEP],
    )
    def post(self, _request: Request, plan_id: UUID, step_id: UUID) -> Response:
        """Say what became of it, and how you know; the run goes on by itself."""
        said = self.read(ResolutionSerializer)
        answer = resolution.resolve_step.once(
            self.request_key(), _step_answer, plan_id=plan_id, step_id=step_id, actor=self.actor, **said
        )
        return self.respond(answer)


def _step_answer(step: Step) -> Answer:
    return Answer(200, dict(StepSerializer(step).data))


class Runs(ConsoleView):
    """The runs of a plan."""

    @extend_schema(
        operation_id="runs_list",
        summary="List the runs of a plan",
        tags=TAGS,
        responses={200: RunSerializer(many=True), 404: problem_response()},
        examples=[examples.RUN],
    )
    def get(self, _request: Request, plan_id: UUID) -> Response:
        """Newest first, each with its progress."""
        plan = access.plan_seen_by(self.actor, plan_id)
        return self.page(selectors.runs_of(plan), RunSerializer)


class OneRun(ConsoleView):
    """One run."""

    @extend_schema(
        operation_id="runs_retrieve",
        summary="Read a run",
        tags=TAGS,
        responses={200: RunDetailSerializer, 404: problem_response()},
        examples=[examples.RUN_WITH_STEPS],
    )
    def get(self, _request: Request, plan_id: UUID, run_id: UUID) -> Response:
        """With its progress, and the first steps that are under way or did not simply succeed."""
        return Response(RunDetailSerializer(selectors.run_of_plan(self.actor, plan_id, run_id)).data)


class RunSteps(ConsoleView):
    """The steps of a run."""

    @extend_schema(
        operation_id="runs_steps",
        summary="List the steps of a run",
        tags=TAGS,
        parameters=[OpenApiParameter("status", str, enum=[state.value for state in StepState])],
        responses={200: StepSerializer(many=True), 404: problem_response()},
        examples=[examples.STEP],
    )
    def get(self, _request: Request, plan_id: UUID, run_id: UUID) -> Response:
        """In the run's order, with what each target said."""
        run = selectors.run_of_plan(self.actor, plan_id, run_id)
        return self.page(selectors.steps_of(run), StepSerializer, InOrder, narrowed_by=StepFilter)


class _Control(ConsoleView):
    """What pause, resume and cancel share."""

    def steer(self, service: Operation[Any, Run], plan_id: UUID, run_id: UUID) -> Response:
        answer = service.once(
            self.request_key(),
            lambda run: Answer(200, dict(RunSerializer(run).data)),
            plan_id=plan_id,
            run_id=run_id,
            reason=self.read(ReasonSerializer)["reason"],
            actor=self.actor,
        )
        return self.respond(answer)


_CONTROL: dict[str, Any] = {
    "tags": TAGS,
    "request": ReasonSerializer,
    "responses": {200: RunSerializer, 409: problem_response()},
}


class Pause(_Control):
    """Pausing."""

    @extend_schema(operation_id="runs_pause", summary="Pause a run at its next step boundary", **_CONTROL)
    def post(self, _request: Request, plan_id: UUID, run_id: UUID) -> Response:
        """Asked now, effective when `paused_at` is set."""
        return self.steer(control.pause_run, plan_id, run_id)


class Resume(_Control):
    """Resuming."""

    @extend_schema(operation_id="runs_resume", summary="Let a paused run go on", **_CONTROL)
    def post(self, _request: Request, plan_id: UUID, run_id: UUID) -> Response:
        """From the step it stopped before."""
        return self.steer(control.resume_run, plan_id, run_id)


class CancelRun(_Control):
    """Ending a live run."""

    @extend_schema(operation_id="runs_cancel", summary="Cancel a run at its next step boundary", **_CONTROL)
    def post(self, _request: Request, plan_id: UUID, run_id: UUID) -> Response:
        """What is done stays done; the rest stays pending, to be retried or rolled back."""
        return self.steer(control.cancel_run, plan_id, run_id)


class Retry(ConsoleView):
    """Trying a failed run again."""

    @extend_schema(
        operation_id="runs_retry",
        summary="Retry a failed run from its failed step",
        tags=TAGS,
        request=None,
        responses={202: RunIdSerializer, 409: problem_response()},
        examples=[examples.QUEUED],
    )
    def post(self, _request: Request, plan_id: UUID, run_id: UUID) -> Response:
        """A new run, linked to the failed one, under the same approval."""
        answer = execution.retry_run.once(
            self.request_key(), _run_answer, plan_id=plan_id, run_id=run_id, actor=self.actor
        )
        return self.respond(answer)
