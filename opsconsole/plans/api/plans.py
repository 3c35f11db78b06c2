"""Plans as the API has them: drafted, staged, decided on, given up, read."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opsconsole.approvals.serializers import signature_in
from opsconsole.core.http import ConsoleView
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import problem_response
from opsconsole.core.pagination import NewestFirst
from opsconsole.journal.selectors import entries_of
from opsconsole.journal.serializers import EntrySerializer
from opsconsole.plans import access, examples, selectors
from opsconsole.plans.models import Plan
from opsconsole.plans.serializers import (
    ApprovalSerializer,
    MandatoryReasonSerializer,
    PlanDetailSerializer,
    PlanDraftSerializer,
    PlanEditSerializer,
    PlanSerializer,
    PlanTypesSerializer,
    ReasonSerializer,
    StepSerializer,
)
from opsconsole.plans.services import decisions, drafts, staging
from opsconsole.plans.states import PlanState
from opsconsole.plans.types import registered

TAGS = ["plans"]


class PlanFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of plans can be narrowed."""

    status = filters.MultipleChoiceFilter(choices=PlanState.choices)
    plan_type = filters.ChoiceFilter(choices=lambda: [(kind.name, kind.label) for kind in registered()])
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


class InOrder(NewestFirst):
    """Steps come in their order."""

    ordering = ("seq",)


class NewestEntries(NewestFirst):
    """Journal entries come newest first."""

    ordering = ("-seq",)


def _plan_answer(plan: Plan, status: int = 200) -> Answer:
    return Answer(status, dict(PlanDetailSerializer(plan).data))


class PlanTypes(ConsoleView):
    """The plan types there are."""

    @extend_schema(
        operation_id="plan_types_list", summary="List the plan types", tags=TAGS, responses=PlanTypesSerializer
    )
    def get(self, _request: Request) -> Response:
        """Each with an example payload."""
        access.visible_plans(self.actor)
        types = {"results": registered(), "next": None, "previous": None}
        return Response(PlanTypesSerializer(types).data)


class Plans(ConsoleView):
    """All plans."""

    @extend_schema(
        operation_id="plans_list",
        summary="List plans",
        tags=TAGS,
        parameters=[
            OpenApiParameter("status", str, many=True, enum=[state.value for state in PlanState]),
            OpenApiParameter("plan_type", str),
            OpenApiParameter("external_id", str),
            OpenApiParameter("created_after", str, description="ISO 8601: at this time or later."),
            OpenApiParameter("created_before", str, description="ISO 8601: before this time."),
            OpenApiParameter("search", str, description="In the name or the external id."),
        ],
        responses={200: PlanSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Those the caller may see, newest first."""
        plans = access.visible_plans(self.actor).select_related("created_by")
        return self.page(plans, PlanSerializer, narrowed_by=PlanFilter)

    @extend_schema(
        operation_id="plans_create",
        summary="Draft a plan",
        tags=TAGS,
        request=PlanDraftSerializer,
        responses={
            201: PlanDetailSerializer,
            200: PlanDetailSerializer,
            400: problem_response(),
            409: problem_response(),
        },
        examples=[examples.DRAFT, examples.FAILOVER, examples.FREEZE, examples.PAUSE, examples.SWEEP, examples.PLAN],
    )
    def post(self, _request: Request) -> Response:
        """201 for a new plan, 200 for the same one again, 409 where the external_id is another plan's."""
        draft = drafts.Draft(**self.read(PlanDraftSerializer))
        answer = drafts.create_plan.once(
            self.request_key(),
            lambda made: _plan_answer(made[0], 201 if made[1] else 200),
            draft=draft,
            actor=self.actor,
        )
        return self.respond(answer)


class OnePlan(ConsoleView):
    """One plan."""

    @extend_schema(
        operation_id="plans_retrieve",
        summary="Read a plan",
        tags=TAGS,
        responses={200: PlanDetailSerializer, 404: problem_response()},
        examples=[examples.STAGED],
    )
    def get(self, _request: Request, plan_id: UUID) -> Response:
        """The plan with its impact and live approvals."""
        return Response(PlanDetailSerializer(access.plan_seen_by(self.actor, plan_id)).data)

    @extend_schema(
        operation_id="plans_edit",
        summary="Edit a draft, or take a plan back to draft",
        tags=TAGS,
        request=PlanEditSerializer,
        responses={200: PlanDetailSerializer, 400: problem_response(), 409: problem_response()},
        examples=[examples.EDIT],
    )
    def patch(self, _request: Request, plan_id: UUID) -> Response:
        """Change the fields of a draft. With `{"status": "draft"}` a staged or approved plan is taken back first."""
        changes = self.read(PlanEditSerializer, partial=True)
        back_to_draft = changes.pop("status", None) is not None
        answer = drafts.edit_plan.once(
            self.request_key(),
            _plan_answer,
            plan_id=plan_id,
            changes=changes,
            back_to_draft=back_to_draft,
            actor=self.actor,
        )
        return self.respond(answer)


class Stage(ConsoleView):
    """Staging."""

    @extend_schema(
        operation_id="plans_stage",
        summary="Stage a draft",
        tags=TAGS,
        request=None,
        responses={200: PlanDetailSerializer, 409: problem_response(), 422: problem_response()},
        examples=[examples.STAGED],
    )
    def post(self, _request: Request, plan_id: UUID) -> Response:
        """Expand into steps, reserve, and answer with `estimated_impact`."""
        answer = staging.stage_plan.once(self.request_key(), _plan_answer, plan_id=plan_id, actor=self.actor)
        return self.respond(answer)


class Approve(ConsoleView):
    """Approving."""

    @extend_schema(
        operation_id="plans_approve",
        summary="Approve a staged plan",
        tags=TAGS,
        request=ApprovalSerializer,
        responses={
            200: PlanDetailSerializer,
            403: problem_response(),
            409: problem_response(),
            422: problem_response(),
        },
        examples=[examples.SIGNED, examples.APPROVED],
    )
    def post(self, _request: Request, plan_id: UUID) -> Response:
        """The body may be empty. The text to sign is `signing_text` of `GET /api/approvals/{id}`."""
        said = self.read(ApprovalSerializer)
        answer = decisions.approve_plan.once(
            self.request_key(),
            _plan_answer,
            plan_id=plan_id,
            signature=signature_in(said),
            comment=said["comments"],
            actor=self.actor,
        )
        return self.respond(answer)


class Reject(ConsoleView):
    """Rejecting."""

    @extend_schema(
        operation_id="plans_reject",
        summary="Reject a staged plan for good",
        tags=TAGS,
        request=MandatoryReasonSerializer,
        responses={200: PlanDetailSerializer, 409: problem_response()},
        examples=[examples.REASON],
    )
    def post(self, _request: Request, plan_id: UUID) -> Response:
        """With a reason."""
        reason = self.read(MandatoryReasonSerializer)["reason"]
        answer = decisions.reject_plan.once(
            self.request_key(), _plan_answer, plan_id=plan_id, reason=reason, actor=self.actor
        )
        return self.respond(answer)


class Revoke(ConsoleView):
    """Revoking one's own approval."""

    @extend_schema(
        operation_id="plans_revoke",
        summary="Take back your own approval",
        tags=TAGS,
        request=ReasonSerializer,
        responses={200: PlanDetailSerializer, 409: problem_response()},
    )
    def post(self, _request: Request, plan_id: UUID) -> Response:
        """Until the plan is executed."""
        reason = self.read(ReasonSerializer)["reason"]
        answer = decisions.revoke_approval.once(
            self.request_key(), _plan_answer, plan_id=plan_id, reason=reason, actor=self.actor
        )
        return self.respond(answer)


class Cancel(ConsoleView):
    """Giving up."""

    @extend_schema(
        operation_id="plans_cancel",
        summary="Cancel a plan that has not begun",
        tags=TAGS,
        request=ReasonSerializer,
        responses={200: PlanDetailSerializer, 409: problem_response()},
    )
    def post(self, _request: Request, plan_id: UUID) -> Response:
        """What it had reserved is free again."""
        reason = self.read(ReasonSerializer)["reason"]
        answer = drafts.cancel_plan.once(
            self.request_key(), _plan_answer, plan_id=plan_id, reason=reason, actor=self.actor
        )
        return self.respond(answer)


class Steps(ConsoleView):
    """The staged steps."""

    @extend_schema(
        operation_id="plans_steps",
        summary="List the steps of a plan",
        tags=TAGS,
        responses={200: StepSerializer(many=True), 404: problem_response()},
        examples=[examples.STEP],
    )
    def get(self, _request: Request, plan_id: UUID) -> Response:
        """Exactly what is approved, in order."""
        plan = access.plan_seen_by(self.actor, plan_id)
        return self.page(selectors.staged_steps(plan), StepSerializer, InOrder)


class PlanJournal(ConsoleView):
    """The journal of a plan."""

    @extend_schema(
        operation_id="plans_journal",
        summary="Read a plan's journal",
        tags=TAGS,
        responses={200: EntrySerializer(many=True), 404: problem_response()},
    )
    def get(self, _request: Request, plan_id: UUID) -> Response:
        """Everything that happened to the plan, its runs and its steps, newest first."""
        plan = access.plan_seen_by(self.actor, plan_id)
        runs = list(selectors.runs_of(plan)[:500])
        return self.page(entries_of(plan, *runs), EntrySerializer, NewestEntries)
