"""Execution: an approved plan starts, a failed one is tried again, a finished one is rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import kernel as approvals
from opsconsole.approvals import moves
from opsconsole.approvals.models import Request
from opsconsole.approvals.states import RequestState
from opsconsole.core.actors import Actor
from opsconsole.core.canonical import digest
from opsconsole.core.errors import Denied
from opsconsole.core.operations import operation
from opsconsole.core.states import WrongState
from opsconsole.plans import access, calendars
from opsconsole.plans.content import rollback_content
from opsconsole.plans.errors import ApprovalRequired, NothingToRetry
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.rollback import open_rollback, refuse_doubt
from opsconsole.plans.starting import (
    Drifted,
    drift_of,
    executed_under,
    refuse_live_run,
    refuse_outside_window,
    request_to_execute,
    review_by_policy,
    stage_afresh,
    steps_to_execute,
)
from opsconsole.plans.states import Direction, PlanState, RunState, StepState
from opsconsole.plans.transitions import SUBJECT, open_run, policy_action, rollback_action
from opsconsole.plans.types import type_named

__all__ = ["ApprovalWanted", "Drifted", "execute_plan", "retry_run", "roll_back_plan"]


@dataclass(frozen=True, slots=True)
class ApprovalWanted:
    """The rollback was not started: it is the dangerous direction, and people have been asked to agree to it."""

    plan: Plan
    request: Request

    def error(self) -> ApprovalRequired:
        """The refusal, to be raised once the request is committed."""
        counted = approvals.tally(self.request)
        return ApprovalRequired(
            format_lazy(
                _(
                    "Rolling this plan back takes approvals of its own: {slots}. They approve the request approval_id;"
                    " then roll back again."
                ),
                slots=moves.wanted(counted.quorum),
            ),
            approval_id=str(self.request.pk),
            approval_status=self.request.status,
            open=moves.slots(counted.quorum),
        )


@operation
def execute_plan(*, plan_id: UUID, actor: Actor) -> Run | Drifted:
    """Consume the approvals of an approved plan and queue its run.

    Raises WrongState, OutsideWindow, Frozen while a calendar holds, NoLiveApproval, RunIsLive, and what
    `approvals.consume` objects to. Content or impact that is no longer what was approved gives Drifted instead of a
    run. Where the policy wants it looked at afterwards, the review is opened with the run.
    """
    plan = access.plan_for(actor, plan_id, "execute")
    if plan.status != PlanState.APPROVED:
        raise _not_approved(plan)
    refuse_outside_window(plan)
    calendars.refuse_frozen(plan, timezone.now())
    request = request_to_execute(plan)
    approvals.require_executor(request, actor=actor)
    refuse_live_run(plan)
    reasons = drift_of(plan, request)
    if reasons:
        return stage_afresh(plan, reasons, actor)
    approvals.consume(request, digest=plan.digest, actor=actor)
    run = open_run(plan, Direction.EXECUTE, actor=actor, steps=steps_to_execute(plan))
    review_by_policy(plan, run, request, actor=actor)
    return run


def _not_approved(plan: Plan) -> WrongState:
    """That the plan must be approved first, and by whom where it waits for that."""
    said = format_lazy(_("The plan is {state}; only an approved plan can be executed."), state=plan.state.label)
    asked = approvals.live_request(SUBJECT, plan.pk, policy_action(plan)) if plan.status == PlanState.STAGED else None
    if asked is not None and (wanted := approvals.tally(asked).quorum).open:
        still = format_lazy(_("Still needed: {slots}."), slots=moves.wanted(wanted))
        said = format_lazy("{said} {still}", said=said, still=still)
    if plan.status == PlanState.EXPIRED and plan.not_after and plan.not_after < timezone.now():
        closed = format_lazy(_("Its window closed at {time} UTC."), time=f"{plan.not_after:%Y-%m-%d %H:%M}")
        said = format_lazy("{said} {closed}", said=said, closed=closed)
    return WrongState(said, status=plan.status, wanted=PlanState.EXECUTING.value)


@operation
def roll_back_plan(*, plan_id: UUID, actor: Actor, reason: str = "") -> Run | ApprovalWanted:
    """Queue the compensations that were approved with the plan; raises StepsInDoubt, RunIsLive, WrongState.

    Where undoing is the dangerous direction, which the policy `plan.<type>.rollback` says by being there, the first
    call asks for approvals and gives ApprovalWanted; once they are complete, the same call uses them up and starts. The
    reason goes into the journal, and to those who are asked.
    """
    plan = access.plan_for(actor, plan_id, "execute")
    refuse_live_run(plan)
    approvals.require_executor(executed_under(plan), actor=actor)
    if PlanState.ROLLING_BACK.value not in plan.state.following:
        raise WrongState(
            format_lazy(_("The plan is {state}; there is nothing to roll back."), state=plan.state.label),
            status=plan.status,
            wanted=PlanState.ROLLING_BACK.value,
        )
    refuse_doubt(plan)
    if wanted := _approval_to_roll_back(plan, actor, reason):
        return wanted
    retry_of = None
    if plan.status == PlanState.ROLLBACK_PARTIAL:
        retry_of = _last_run(plan)
        _reopen_failed_steps(plan, Direction.ROLLBACK)
    return open_rollback(plan, actor=actor, retry_of=retry_of, reason=reason)


@operation
def retry_run(*, plan_id: UUID, run_id: UUID, actor: Actor) -> Run:
    """Queue a new run that goes on where a failed one stopped, under the same approval and the same keys.

    Steps that were left in doubt are asked about first. Raises NothingToRetry when every step is done, StepsInDoubt
    when one is in doubt that the target cannot tell about, RunIsLive, WrongState, and Frozen for doing (never for
    undoing) while a calendar holds.
    """
    plan = access.plan_for(actor, plan_id, "execute")
    failed = access.run_of(plan, run_id)
    refuse_live_run(plan)
    approvals.require_executor(executed_under(plan), actor=actor)
    if failed.status not in (RunState.FAILED, RunState.PARTIAL, RunState.CANCELLED):
        raise WrongState(
            format_lazy(_("The run is {state}; there is nothing to retry."), state=failed.state.label),
            status=failed.status,
        )
    direction = Direction(failed.direction)
    if direction == Direction.EXECUTE:
        calendars.refuse_frozen(plan, timezone.now())
    refuse_doubt(plan, but_of=direction)
    _reopen_failed_steps(plan, direction)
    waiting = Step.objects.filter(
        plan=plan, revision=plan.revision, direction=direction, status__in=(StepState.PENDING, StepState.UNKNOWN)
    ).count()
    if not waiting:
        raise NothingToRetry(_("Every step of this run has been done."), run=str(run_id))
    return open_run(plan, direction, actor=actor, retry_of=failed, steps=waiting)


def _approval_to_roll_back(plan: Plan, actor: Actor, reason: str) -> ApprovalWanted | None:
    """Use up the approval that undoing needs, where its type has a policy for that; what is wanted if it lacks.

    A rollback that stopped half way goes on under the approval it has.
    """
    action = rollback_action(plan)
    if approvals.active_policy(action) is None or plan.status == PlanState.ROLLBACK_PARTIAL:
        return None
    live = approvals.live_request(SUBJECT, plan.pk, action)
    if live is not None and live.digest == digest(
        rollback_content(plan, live.policy, reason=live.content.get("reason", ""))
    ):
        if live.state is not RequestState.APPROVED:
            return ApprovalWanted(plan, live)
        approvals.consume(live, digest=live.digest, actor=actor)
        return None
    if actor.user is None:
        raise Denied(_("Undoing this needs approvals, and a person to ask for them."))
    terms = approvals.policy_for(action, sums={})
    content = rollback_content(plan, terms.as_json(), reason=reason)
    request = approvals.open_request(
        subject_kind=SUBJECT,
        subject_id=plan.pk,
        title=f"Roll back: {plan.name}",
        content=content,
        digest=digest(content),
        policy=terms,
        requested_by=actor.user,
        actor=actor,
    )
    return ApprovalWanted(plan, request)


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
