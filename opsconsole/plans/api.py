"""The API of plans: each door reads a request, calls one service, and renders what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opsconsole.core.http import ConsoleView
from opsconsole.core.idempotency import Answer
from opsconsole.core.pagination import NewestFirst
from opsconsole.core.problems import problem
from opsconsole.journal.selectors import entries_of
from opsconsole.journal.serializers import EntrySerializer
from opsconsole.plans import access, selectors
from opsconsole.plans.examples import APPROVAL, DRAFT, PLAN, STAGED, problem_response
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.serializers import (
    ApprovalSerializer,
    MandatoryReasonSerializer,
    PlanDraftSerializer,
    PlanEditSerializer,
    PlanSerializer,
    PlanTypeSerializer,
    ReasonSerializer,
    ResolutionSerializer,
    RunDetailSerializer,
    RunIdSerializer,
    RunSerializer,
    StepSerializer,
)
from opsconsole.plans.services import control, decisions, drafts, execution, resolution, staging
from opsconsole.plans.services.execution import Drifted
from opsconsole.plans.states import PlanState, StepState
from opsconsole.plans.types import registered

KEY_HEADER = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key with the same request gets the same answer, and has its effect once.",
)
KEY_REQUIRED = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, required=True, description=KEY_HEADER.description
)


class PlanFilter(filters.FilterSet):
    """How the list of plans can be narrowed."""

    status = filters.MultipleChoiceFilter(choices=PlanState.choices)
    plan_type = filters.CharFilter()
    external_id = filters.CharFilter()
    created_after = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")
    search = filters.CharFilter(method="filter_search", label="In the name or the external id.")

    class Meta:
        model = Plan
        fields: tuple[str, ...] = ()

    def filter_search(self, plans: QuerySet[Plan], _name: str, words: str) -> QuerySet[Plan]:
        """Plans whose name or external id holds the words."""
        return plans.filter(Q(name__icontains=words) | Q(external_id__icontains=words))


class StepsNewest(NewestFirst):
    """Steps come in their order."""

    ordering = ("seq", "id")


class RunsNewest(NewestFirst):
    """Runs come newest first."""

    ordering = ("-run_at", "-id")


class EntriesNewest(NewestFirst):
    """Journal entries come newest first."""

    ordering = ("-at", "-seq")


def _page(view: ConsoleView, rows: QuerySet[Any], serializer: Callable[..., Any], pages: type[NewestFirst]) -> Response:
    paginator = pages()
    page = paginator.paginate_queryset(rows, view.request, view=view)
    return paginator.get_paginated_response(serializer(page, many=True).data)


def _plan_answer(plan: Plan, status: int = 200) -> Answer:
    return Answer(status, dict(PlanSerializer(plan).data))


def _run_answer(run: Run) -> Answer:
    return Answer(202, {"run_id": str(run.pk)})


def _body(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


class PlanTypes(ConsoleView):
    """The plan types there are."""

    @extend_schema(summary="List the plan types", responses=PlanTypeSerializer(many=True))
    def get(self, _request: Request) -> Response:
        """Each with an example payload."""
        access.visible_plans(self.actor)
        return Response(PlanTypeSerializer(registered(), many=True).data)


class Plans(ConsoleView):
    """All plans."""

    @extend_schema(
        summary="List plans",
        parameters=[
            OpenApiParameter("status", str, many=True, enum=[state.value for state in PlanState]),
            OpenApiParameter("plan_type", str),
            OpenApiParameter("external_id", str),
            OpenApiParameter("created_after", str, description="ISO 8601"),
            OpenApiParameter("created_before", str, description="ISO 8601"),
            OpenApiParameter("search", str),
            OpenApiParameter("cursor", str),
            OpenApiParameter("page_size", int),
        ],
        responses={200: PlanSerializer(many=True), 403: problem_response()},
    )
    def get(self, request: Request) -> Response:
        """Those the caller may see, newest first."""
        plans = access.visible_plans(self.actor).select_related("created_by")
        narrowed = PlanFilter(request.query_params, plans)
        if not narrowed.is_valid():
            return Response(
                problem(400, "invalid", "The filter is not valid.", errors=narrowed.errors),
                status=400,
                content_type="application/problem+json",
            )
        return _page(self, narrowed.qs, PlanSerializer, NewestFirst)

    @extend_schema(
        summary="Draft a plan",
        request=PlanDraftSerializer,
        parameters=[KEY_HEADER],
        responses={201: PlanSerializer, 200: PlanSerializer, 400: problem_response(), 409: problem_response()},
        examples=[DRAFT, PLAN],
    )
    def post(self, request: Request) -> Response:
        """201 for a new plan, 200 for the same one again, 409 where the external_id is another plan's."""
        body = _body(PlanDraftSerializer(data=request.data))
        answer = drafts.create_plan.once(
            self.request_key(),
            lambda made: _plan_answer(made[0], 201 if made[1] else 200),
            draft=drafts.Draft(**body),
            actor=self.actor,
        )
        return self.respond(answer)


class OnePlan(ConsoleView):
    """One plan."""

    @extend_schema(summary="Read a plan", responses={200: PlanSerializer, 404: problem_response()})
    def get(self, _request: Request, plan_id: UUID) -> Response:
        """The plan with its impact and live approvals."""
        return Response(PlanSerializer(access.plan_seen_by(self.actor, plan_id)).data)

    @extend_schema(
        summary="Edit a draft, or take a plan back to draft",
        request=PlanEditSerializer,
        responses={200: PlanSerializer, 400: problem_response(), 409: problem_response()},
    )
    def patch(self, request: Request, plan_id: UUID) -> Response:
        """`{"status": "draft"}` alone takes a staged or approved plan back; other fields change a draft."""
        body = _body(PlanEditSerializer(data=request.data, partial=True))
        if body.pop("status", None):
            plan = drafts.return_to_draft(plan_id=plan_id, reason="", actor=self.actor)
            if not body:
                return Response(PlanSerializer(plan).data)
        plan = drafts.edit_plan(plan_id=plan_id, changes=body, actor=self.actor)
        return Response(PlanSerializer(plan).data)


class Stage(ConsoleView):
    """Staging."""

    @extend_schema(
        summary="Stage a draft",
        request=None,
        parameters=[KEY_HEADER],
        responses={200: PlanSerializer, 409: problem_response(), 422: problem_response()},
        examples=[STAGED],
    )
    def post(self, _request: Request, plan_id: UUID) -> Response:
        """Expand into steps, reserve, and answer with `estimated_impact`."""
        answer = staging.stage_plan.once(self.request_key(), _plan_answer, plan_id=plan_id, actor=self.actor)
        return self.respond(answer)


class Approve(ConsoleView):
    """Approving."""

    @extend_schema(
        summary="Approve a staged plan",
        request=ApprovalSerializer,
        parameters=[KEY_HEADER],
        responses={200: PlanSerializer, 403: problem_response(), 409: problem_response(), 422: problem_response()},
        examples=[APPROVAL],
    )
    def post(self, request: Request, plan_id: UUID) -> Response:
        """The body may be empty. The text to sign is `signing_text` of `GET /api/approvals/{id}`."""
        body = _body(ApprovalSerializer(data=request.data or {}))
        answer = decisions.approve_plan.once(
            self.request_key(),
            _plan_answer,
            plan_id=plan_id,
            signature=body["signature"],
            comment=body["comments"],
            actor=self.actor,
        )
        return self.respond(answer)


class Reject(ConsoleView):
    """Rejecting."""

    @extend_schema(
        summary="Reject a staged plan for good",
        request=MandatoryReasonSerializer,
        responses={200: PlanSerializer, 409: problem_response()},
    )
    def post(self, request: Request, plan_id: UUID) -> Response:
        """With a reason."""
        body = _body(MandatoryReasonSerializer(data=request.data))
        answer = decisions.reject_plan.once(
            self.request_key(), _plan_answer, plan_id=plan_id, reason=body["reason"], actor=self.actor
        )
        return self.respond(answer)


class Revoke(ConsoleView):
    """Revoking one's own approval."""

    @extend_schema(
        summary="Take back your own approval",
        request=ReasonSerializer,
        responses={200: PlanSerializer, 409: problem_response()},
    )
    def post(self, request: Request, plan_id: UUID) -> Response:
        """Until the plan is executed."""
        body = _body(ReasonSerializer(data=request.data or {}))
        answer = decisions.revoke_approval.once(
            self.request_key(), _plan_answer, plan_id=plan_id, reason=body["reason"], actor=self.actor
        )
        return self.respond(answer)


class Cancel(ConsoleView):
    """Giving up."""

    @extend_schema(
        summary="Cancel a plan that has not begun",
        request=ReasonSerializer,
        responses={200: PlanSerializer, 409: problem_response()},
    )
    def post(self, request: Request, plan_id: UUID) -> Response:
        """What it had reserved is free again."""
        body = _body(ReasonSerializer(data=request.data or {}))
        answer = drafts.cancel_plan.once(
            self.request_key(), _plan_answer, plan_id=plan_id, reason=body["reason"], actor=self.actor
        )
        return self.respond(answer)


class Execute(ConsoleView):
    """Executing."""

    @extend_schema(
        summary="Execute an approved plan",
        request=None,
        parameters=[KEY_REQUIRED],
        responses={202: RunIdSerializer, 400: problem_response(), 409: problem_response(), 422: problem_response()},
        examples=[OpenApiExample("Queued", value={"run_id": "0198c0de-0000-7000-8000-000000000001"})],
    )
    def post(self, _request: Request, plan_id: UUID) -> Response:
        """202 with the run. A plan that drifted from what was approved is staged afresh and answers 409."""
        answer = execution.execute_plan.once(
            self.request_key(required=True), _executed, plan_id=plan_id, actor=self.actor
        )
        return self.respond(answer)


def _executed(outcome: Run | Drifted) -> Answer:
    if isinstance(outcome, Run):
        return _run_answer(outcome)
    error = outcome.error()
    return Answer(error.status, problem(error.status, error.code, error.message, **error.fields))


class Rollback(ConsoleView):
    """Rolling back."""

    @extend_schema(
        summary="Roll a plan back",
        request=None,
        parameters=[KEY_HEADER],
        responses={202: RunIdSerializer, 409: problem_response()},
    )
    def post(self, _request: Request, plan_id: UUID) -> Response:
        """A run of its own, of the compensations that were approved with the plan, in reverse."""
        answer = execution.roll_back_plan.once(self.request_key(), _run_answer, plan_id=plan_id, actor=self.actor)
        return self.respond(answer)


class Steps(ConsoleView):
    """The staged steps."""

    @extend_schema(
        summary="List the steps of a plan",
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("page_size", int)],
        responses=StepSerializer(many=True),
    )
    def get(self, _request: Request, plan_id: UUID) -> Response:
        """Exactly what is approved, in order."""
        plan = access.plan_seen_by(self.actor, plan_id)
        return _page(self, selectors.staged_steps(plan), StepSerializer, StepsNewest)


class Resolve(ConsoleView):
    """Resolving an unknown step."""

    @extend_schema(
        summary="Resolve a step whose outcome is unknown",
        request=ResolutionSerializer,
        responses={200: StepSerializer, 409: problem_response()},
    )
    def post(self, request: Request, plan_id: UUID, step_id: UUID) -> Response:
        """Say what became of it, and how you know; the run goes on by itself."""
        body = _body(ResolutionSerializer(data=request.data))
        answer = resolution.resolve_step.once(
            self.request_key(), _step_answer, plan_id=plan_id, step_id=step_id, actor=self.actor, **body
        )
        return self.respond(answer)


def _step_answer(step: Step) -> Answer:
    return Answer(200, dict(StepSerializer(step).data))


class Runs(ConsoleView):
    """The runs of a plan."""

    @extend_schema(
        summary="List the runs of a plan",
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("page_size", int)],
        responses=RunDetailSerializer(many=True),
    )
    def get(self, _request: Request, plan_id: UUID) -> Response:
        """Newest first, each with its progress."""
        plan = access.plan_seen_by(self.actor, plan_id)
        return _page(self, selectors.runs_of(plan), RunDetailSerializer, RunsNewest)


class OneRun(ConsoleView):
    """One run."""

    @extend_schema(summary="Read a run", responses={200: RunDetailSerializer, 404: problem_response()})
    def get(self, _request: Request, plan_id: UUID, run_id: UUID) -> Response:
        """With its progress, and the first steps that are not simply done."""
        run = selectors.run_of_plan(self.actor, plan_id, run_id)
        notable = selectors.steps_of(run).exclude(status__in=(StepState.SUCCEEDED, StepState.PENDING))[:50]
        return Response({**RunDetailSerializer(run).data, "steps": StepSerializer(notable, many=True).data})


class RunSteps(ConsoleView):
    """The steps of a run."""

    @extend_schema(
        summary="List the steps of a run",
        parameters=[
            OpenApiParameter("status", str, enum=[state.value for state in StepState]),
            OpenApiParameter("cursor", str),
            OpenApiParameter("page_size", int),
        ],
        responses=StepSerializer(many=True),
    )
    def get(self, request: Request, plan_id: UUID, run_id: UUID) -> Response:
        """In the run's order, with what each target said."""
        run = selectors.run_of_plan(self.actor, plan_id, run_id)
        steps = selectors.steps_of(run)
        if status := request.query_params.get("status"):
            steps = steps.filter(status=status)
        return _page(self, steps, StepSerializer, StepsNewest)


class _Control(ConsoleView):
    """What pause, resume, retry and cancel share."""

    def steer(self, service: Callable[..., Run], request: Request, plan_id: UUID, run_id: UUID) -> Response:
        body = _body(ReasonSerializer(data=request.data or {}))
        answer = service.once(  # type: ignore[attr-defined] # every service of `control` is an operation
            self.request_key(),
            lambda run: Answer(200, dict(RunSerializer(run).data)),
            plan_id=plan_id,
            run_id=run_id,
            reason=body["reason"],
            actor=self.actor,
        )
        return self.respond(answer)


_CONTROL = {"request": ReasonSerializer, "responses": {200: RunSerializer, 409: problem_response()}}


class Pause(_Control):
    """Pausing."""

    @extend_schema(summary="Pause a run at its next step boundary", **_CONTROL)
    def post(self, request: Request, plan_id: UUID, run_id: UUID) -> Response:
        """Asked now, effective when `paused_at` is set."""
        return self.steer(control.pause_run, request, plan_id, run_id)


class Resume(_Control):
    """Resuming."""

    @extend_schema(summary="Let a paused run go on", **_CONTROL)
    def post(self, request: Request, plan_id: UUID, run_id: UUID) -> Response:
        """From the step it stopped before."""
        return self.steer(control.resume_run, request, plan_id, run_id)


class CancelRun(_Control):
    """Ending a live run."""

    @extend_schema(summary="Cancel a run at its next step boundary", **_CONTROL)
    def post(self, request: Request, plan_id: UUID, run_id: UUID) -> Response:
        """What is done stays done; the rest stays pending, to be retried or rolled back."""
        return self.steer(control.cancel_run, request, plan_id, run_id)


class Retry(ConsoleView):
    """Trying a failed run again."""

    @extend_schema(
        summary="Retry a failed run from its failed step",
        request=None,
        parameters=[KEY_HEADER],
        responses={202: RunIdSerializer, 409: problem_response()},
    )
    def post(self, _request: Request, plan_id: UUID, run_id: UUID) -> Response:
        """A new run, linked to the failed one, under the same approval."""
        answer = execution.retry_run.once(
            self.request_key(), _run_answer, plan_id=plan_id, run_id=run_id, actor=self.actor
        )
        return self.respond(answer)


class PlanJournal(ConsoleView):
    """The journal of a plan."""

    @extend_schema(
        summary="Read a plan's journal",
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("page_size", int)],
        responses=EntrySerializer(many=True),
    )
    def get(self, _request: Request, plan_id: UUID) -> Response:
        """Everything that happened to the plan, its runs and its steps, newest first."""
        plan = access.plan_seen_by(self.actor, plan_id)
        runs = list(selectors.runs_of(plan)[:500])
        return _page(self, entries_of(plan, *runs), EntrySerializer, EntriesNewest)
