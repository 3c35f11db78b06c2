"""Moves of a plan that several services share. They join the caller's operation, with the plan's row locked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import kernel as approvals
from opsconsole.approvals.states import RequestState
from opsconsole.core.actors import Actor
from opsconsole.core.canonical import canonical, digest, to_plain
from opsconsole.core.database import bulk_joins
from opsconsole.core.operations import assert_in_operation
from opsconsole.core.outbox import emit
from opsconsole.core.queue import after_commit
from opsconsole.journal.record import record
from opsconsole.plans import calendars
from opsconsole.plans.content import content_of
from opsconsole.plans.errors import NothingToDo
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.states import LIVE_RUNS, Direction, PlanState, RunState
from opsconsole.plans.types import StepDraft, type_named

EXECUTE_RUN = "opsconsole.plans.jobs.execute_run"
SUBJECT = "plan"


def policy_action(plan: Plan) -> str:
    """The name of the approval policy that governs the plan."""
    return f"plan.{plan.plan_type}"


def rollback_action(plan: Plan) -> str:
    """The name of the policy that governs undoing the plan, where there is one."""
    return f"{policy_action(plan)}.rollback"


def stage(plan: Plan, *, actor: Actor, had_a_hand: bool = True) -> None:
    """Expand a draft into steps, reserve what they use, compute the impact, and ask for approvals.

    Whoever stages a plan has had a hand in it and cannot approve it, unless the caller says otherwise. Raises
    NothingToDo when there would be no step, and whatever the plan type objects to.
    """
    assert_in_operation()
    plan_type = type_named(plan.plan_type)
    with bulk_joins():
        plan_type.reserve(plan)
        count = _write_steps(plan, plan_type.steps(plan))
        if not count:
            raise NothingToDo(_("There is nothing that this plan would do."), plan=str(plan.pk))
        plan_type.staged(plan)
        impact = plan_type.impact(plan)
    plan.estimated_impact = impact.as_json(steps=count)
    terms = approvals.policy_for(policy_action(plan), sums=impact.sums, required_approvals=plan.asked_approvals)
    frozen = calendars.warnings(plan, timezone.now(), terms.ttl)
    plan.estimated_impact["warnings"] = [*plan.estimated_impact["warnings"], *frozen]
    plan.required_approvals = terms.quorum
    content = content_of(plan, terms.as_json())
    plan.digest = digest(content)
    request = approvals.open_request(
        subject_kind=SUBJECT,
        subject_id=plan.pk,
        title=plan.name,
        content=content,
        digest=plan.digest,
        policy=terms,
        requested_by=plan.created_by,
        editors=[*plan.edited_by, actor.id] if had_a_hand else plan.edited_by,
        actor=actor,
    )
    plan.move_to(PlanState.STAGED)
    plan.staged_at = plan.updated_at = Now()
    plan.approvals = approvals.summary(request)
    plan.save(
        update_fields=[
            "status",
            "estimated_impact",
            "required_approvals",
            "digest",
            "approvals",
            "staged_at",
            "updated_at",
        ]
    )
    if request.state is RequestState.APPROVED:  # the same content again: its approvals stand
        plan.move_to(PlanState.APPROVED).save(update_fields=["status"])  # a move of its own: the guard sees each
    plan.refresh_from_db()
    record(
        actor,
        "plan.staged",
        plan,
        after={
            "status": plan.status,
            "revision": plan.revision,
            "digest": plan.digest,
            "steps": count,
            "count": impact.count,
            "sums": plan.estimated_impact["sums"],
            "required_approvals": plan.required_approvals,
        },
    )


def take_back(plan: Plan, state: PlanState, *, actor: Actor, reason: str) -> None:
    """Leave `staged` or `approved` for a state in which nothing is reserved.

    Approvals end, except on the way back to draft: staging the very same content again keeps them.
    """
    assert_in_operation()
    was = plan.status
    plan.move_to(state)
    if was != PlanState.DRAFT:
        type_named(plan.plan_type).release(plan)
        _supersede_steps(plan)
    if state == PlanState.DRAFT:
        plan.revision += 1
        approvals.suspend(SUBJECT, plan.pk, reason=reason, actor=actor)
    else:
        approvals.void(SUBJECT, plan.pk, reason=reason, actor=actor)
    plan.approvals = []
    plan.updated_at = Now()
    plan.save(update_fields=["status", "revision", "approvals", "updated_at"])
    plan.refresh_from_db()
    record(actor, f"plan.{state.value}", plan, before={"status": was}, after={"status": plan.status}, reason=reason)


def open_run(
    plan: Plan,
    direction: Direction,
    *,
    actor: Actor,
    retry_of: Run | None = None,
    steps: int = 0,
    reason: str = "",
) -> Run:
    """Queue a run and move the plan along; a worker is woken once this commits."""
    assert_in_operation()
    was = plan.status
    plan.move_to(PlanState.EXECUTING if direction == Direction.EXECUTE else PlanState.ROLLING_BACK)
    plan.updated_at = Now()
    plan.save(update_fields=["status", "updated_at"])
    run = Run.objects.create(
        plan=plan,
        direction=direction,
        revision=plan.revision,
        requested_by=actor.name,
        retry_of=retry_of,
        deadline_at=timezone.now() + run_time(steps),
    )
    run.refresh_from_db()
    record(
        actor,
        "run.queued",
        plan,
        before={"status": was},
        after={"status": plan.status, "run": str(run.pk), "direction": str(direction)},
        reason=reason,
    )
    after_commit(EXECUTE_RUN, run.pk, queue="plans")
    return run


def run_time(steps: int) -> timedelta:
    """How long a run of so many steps may take before it is called off."""
    return timedelta(seconds=settings.RUN_DEADLINE_SECONDS + 2 * steps)


def live_run(plan: Plan) -> Run | None:
    """The run of the plan that has not ended, in either direction."""
    return Run.objects.filter(plan=plan, status__in=LIVE_RUNS).first()


def end_run(run: Run, state: RunState, *, result: dict[str, Any]) -> None:
    """End a run: no lease, no wish, no wake-up is left on it."""
    run.move_to(state)
    run.result = {**(run.result or {}), **to_plain(result)}
    run.finished_at = Now()
    run.lease_until = run.wake_at = None
    run.waiting_for = ""
    run.save(update_fields=["status", "result", "finished_at", "lease_until", "wake_at", "waiting_for"])
    run.refresh_from_db()


def announce(topic: str, plan: Plan, **data: Any) -> None:
    """Tell whoever listens what became of the plan."""
    emit(topic, kind=SUBJECT, id=plan.pk, data={"name": plan.name, "plan_type": plan.plan_type, **to_plain(data)})


def step_key(plan_id: UUID, revision: int, seq: int, direction: Direction) -> str:
    """The key under which a step is known to its target, the same for every attempt."""
    return f"{plan_id}:{revision}:{seq}:{direction.value}"


def _write_steps(plan: Plan, drafts: Iterable[StepDraft]) -> int:
    # COPY: 27,000 steps in under a second, which take five through arrays of text and ten through the ORM. All drafts
    # first, since what makes them reads by the same connection.
    ready = list(drafts)
    columns = "plan_id, revision, direction, seq, kind, key, payload, compensation, status, attempt, needs_person"
    with connection.cursor() as cursor, cursor.copy(f"copy ops_plan_steps ({columns}) from stdin") as copy:
        for seq, draft in enumerate(ready, start=1):
            copy.write_row(
                (
                    plan.pk,
                    plan.revision,
                    Direction.EXECUTE.value,
                    seq,
                    draft.kind,
                    step_key(plan.pk, plan.revision, seq, Direction.EXECUTE),
                    canonical(draft.payload).decode(),
                    None if draft.compensation is None else canonical(draft.compensation).decode(),
                    "pending",
                    0,
                    False,
                )
            )
    return len(ready)


def _supersede_steps(plan: Plan) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "update ops_plan_steps set status = 'skipped', result = '{\"code\": \"superseded\"}', finished_at = now()"
            " where plan_id = %s and revision = %s and direction = 'execute' and status = 'pending'",
            [plan.pk, plan.revision],
        )
