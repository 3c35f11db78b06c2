"""Execution: an approved plan starts, a failed one is tried again, a finished one is rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from opsconsole.approvals import kernel as approvals
from opsconsole.approvals.models import Request
from opsconsole.approvals.states import RequestState
from opsconsole.core.actors import Actor
from opsconsole.core.errors import DomainError
from opsconsole.core.operations import operation
from opsconsole.core.states import WrongState
from opsconsole.plans import access
from opsconsole.plans.content import content_digest
from opsconsole.plans.errors import (
    NoLiveApproval,
    NothingToRetry,
    OutsideWindow,
    PlanDrifted,
    RunIsLive,
)
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.rollback import open_rollback, refuse_doubt
from opsconsole.plans.states import Direction, PlanState, RunState, StepState
from opsconsole.plans.transitions import SUBJECT, live_run, open_run, policy_action, stage, take_back
from opsconsole.plans.types import type_named


@dataclass(frozen=True, slots=True)
class Drifted:
    """The plan was not executed: the world is no longer what was approved. It was staged afresh, or is a draft again.

    `obstacle` says why it could not be staged.
    """

    plan: Plan
    reasons: list[str]
    obstacle: str = ""

    def error(self) -> PlanDrifted:
        """The refusal, to be raised once what became of the plan is committed."""
        now = "It was staged afresh and needs new approvals."
        if self.obstacle:
            now = f"It is a draft again, since it cannot be staged: {self.obstacle}"
        return PlanDrifted(
            f"The plan no longer matches what was approved. {now}",
            drift=self.reasons,
            plan_status=self.plan.status,
            digest=self.plan.digest,
        )


@operation
def execute_plan(*, plan_id: UUID, actor: Actor) -> Run | Drifted:
    """Consume the approvals of an approved plan and queue its run.

    Raises WrongState, OutsideWindow, NoLiveApproval, RunIsLive, and what `approvals.consume` objects to. Content or
    impact that is no longer what was approved gives Drifted instead of a run.
    """
    plan = access.plan_for(actor, plan_id, "execute")
    if plan.status != PlanState.APPROVED:
        raise WrongState(
            f"The plan is {plan.state.label}; only an approved plan can be executed.",
            status=plan.status,
            wanted=PlanState.EXECUTING.value,
        )
    _refuse_outside_window(plan)
    request = approvals.live_request(SUBJECT, plan.pk, policy_action(plan))
    if request is None:
        raise NoLiveApproval("The approvals of this plan have ended; stage it again.", plan=str(plan.pk))
    approvals.require_executor(request, actor=actor)
    _refuse_live_run(plan)
    reasons = _drift(plan, request)
    if reasons:
        return _stage_afresh(plan, reasons, actor)
    approvals.consume(request, digest=plan.digest, actor=actor)
    steps = Step.objects.filter(plan=plan, revision=plan.revision, direction=Direction.EXECUTE).count()
    return open_run(plan, Direction.EXECUTE, actor=actor, steps=steps)


@operation
def roll_back_plan(*, plan_id: UUID, actor: Actor) -> Run:
    """Queue the compensations that were approved with the plan; raises StepsInDoubt, RunIsLive, WrongState."""
    plan = access.plan_for(actor, plan_id, "execute")
    _refuse_live_run(plan)
    approvals.require_executor(_consumed_request(plan), actor=actor)
    retry_of = None
    if plan.status == PlanState.ROLLBACK_PARTIAL:
        retry_of = _last_run(plan)
        _reopen_failed_steps(plan, Direction.ROLLBACK)
    return open_rollback(plan, actor=actor, retry_of=retry_of)


@operation
def retry_run(*, plan_id: UUID, run_id: UUID, actor: Actor) -> Run:
    """Queue a new run that goes on where a failed one stopped, under the same approval and the same keys.

    Steps that were left in doubt are asked about first. Raises NothingToRetry when every step is done, StepsInDoubt
    when one is in doubt that the target cannot tell about, RunIsLive, WrongState.
    """
    plan = access.plan_for(actor, plan_id, "execute")
    failed = access.run_of(plan, run_id)
    _refuse_live_run(plan)
    approvals.require_executor(_consumed_request(plan), actor=actor)
    if failed.status not in (RunState.FAILED, RunState.PARTIAL, RunState.CANCELLED):
        raise WrongState(f"The run is {failed.state.label}; there is nothing to retry.", status=failed.status)
    direction = Direction(failed.direction)
    refuse_doubt(plan, but_of=direction)
    _reopen_failed_steps(plan, direction)
    waiting = Step.objects.filter(
        plan=plan, revision=plan.revision, direction=direction, status__in=(StepState.PENDING, StepState.UNKNOWN)
    ).count()
    if not waiting:
        raise NothingToRetry("Every step of this run has been done.", run=str(run_id))
    return open_run(plan, direction, actor=actor, retry_of=failed, steps=waiting)


def _refuse_outside_window(plan: Plan) -> None:
    now = timezone.now()
    if plan.not_before and now < plan.not_before:
        raise OutsideWindow(f"The plan may not be executed before {plan.not_before:%Y-%m-%d %H:%M} UTC.")
    if plan.not_after and now > plan.not_after:
        raise OutsideWindow(f"The plan may not be executed after {plan.not_after:%Y-%m-%d %H:%M} UTC.")


def _consumed_request(plan: Plan) -> Request:
    """The approval that the plan was executed under: whoever might execute may retry and roll back."""
    request = (
        Request.objects.filter(
            subject_kind=SUBJECT,
            subject_id=str(plan.pk),
            action=policy_action(plan),
            status=RequestState.CONSUMED,
        )
        .order_by("-ended_at")
        .first()
    )
    if request is None:
        raise WrongState(f"The plan is {plan.state.label}; it was never executed.", status=plan.status)
    return request


def _refuse_live_run(plan: Plan) -> None:
    run = live_run(plan)
    if run is not None:
        raise RunIsLive(f"A run of this plan is {run.state.label}.", run=str(run.pk), run_status=run.status)


def _drift(plan: Plan, request: Request) -> list[str]:
    reasons = type_named(plan.plan_type).drift(plan)
    if content_digest(plan, request.policy) != request.digest:
        reasons.append("The stored content of the plan is not the content that was approved.")
    return reasons


def _stage_afresh(plan: Plan, reasons: list[str], actor: Actor) -> Drifted:
    reason = "drifted: " + " ".join(reasons)
    approvals.void(SUBJECT, plan.pk, reason=reason, actor=actor)
    take_back(plan, PlanState.DRAFT, actor=actor, reason=reason)
    try:
        with transaction.atomic():
            stage(plan, actor=actor, had_a_hand=False)  # who executes has not written anything
    except DomainError as obstacle:
        plan.refresh_from_db()
        return Drifted(plan, reasons, obstacle.message)
    return Drifted(plan, reasons)


def _last_run(plan: Plan) -> Run | None:
    return Run.objects.filter(plan=plan).order_by("-run_at").first()


def _reopen_failed_steps(plan: Plan, direction: Direction) -> None:
    type_named(plan.plan_type).reopen(plan, direction)
    with connection.cursor() as cursor:
        cursor.execute(
            "update ops_plan_steps set status = 'pending', finished_at = null"
            " where plan_id = %s and revision = %s and direction = %s and status = 'failed'",
            [plan.pk, plan.revision, direction],
        )
