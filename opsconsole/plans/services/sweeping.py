"""Sweeping: every state that waits is looked at again, so that nothing lost in Redis or a crash stays lost."""

from __future__ import annotations

from uuid import UUID

from django.db import connection
from django.db.models.functions import Now

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import record
from opsconsole.plans import access, steps
from opsconsole.plans.models import Run
from opsconsole.plans.services.running import close
from opsconsole.plans.states import LIVE_RUNS, PlanState
from opsconsole.plans.transitions import announce, take_back

MOST = 200


DUE = (
    "status in ('queued', 'running') and (lease_until is null or lease_until < now())"
    " and (wake_at is null or wake_at <= now()) and waiting_for <> 'person'"
)


def runs_are_due() -> bool:
    """Whether a live run that no worker holds waits for nobody."""
    with connection.cursor() as cursor:
        cursor.execute(f"select exists(select from ops_plan_runs where {DUE})")
        return bool(cursor.fetchone()[0])


@operation
def hand_out_due_runs(*, actor: Actor) -> list[UUID]:
    """The runs to wake a worker for; each is handed out once in ten seconds."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            update ops_plan_runs set wake_at = now() + interval '10 seconds'
            where id in (select id from ops_plan_runs where {DUE} limit %s for update skip locked)
            returning id
            """,
            [MOST],
        )
        return [row[0] for row in cursor.fetchall()]


OVERDUE = (
    "status in ('queued', 'running', 'paused') and deadline_at < now() and (lease_until is null or lease_until < now())"
)
WINDOW_CLOSED = "status in ('staged', 'approved') and not_after < now()"


def overdue_runs() -> list[UUID]:
    """Live runs past their deadline that no worker holds."""
    return _ids(f"select id from ops_plan_runs where {OVERDUE} limit %s")


def plans_without_run() -> list[UUID]:
    """Plans that are under way although no run of theirs is: somebody ended it by hand."""
    return _ids(
        "select p.id from ops_plans p where p.status in ('executing', 'rolling_back') and not exists ("
        " select from ops_plan_runs r where r.plan_id = p.id and r.status in ('queued', 'running', 'paused')) limit %s"
    )


def plans_past_their_window() -> list[UUID]:
    """Plans that can no longer be executed in time."""
    return _ids(f"select id from ops_plans where {WINDOW_CLOSED} limit %s")


@operation
def fail_overdue_run(*, run_id: UUID, actor: Actor) -> None:
    """End a run that passed its deadline; nothing happens if it has moved on meanwhile."""
    plan_id = Run.objects.values_list("plan_id", flat=True).get(pk=run_id)
    plan = access.lock_plan(plan_id)
    run = access.run_of(plan, run_id)
    if not _still("ops_plan_runs", run_id, OVERDUE):
        return
    steps.doubt_abandoned(plan.pk, run.revision, run.direction)
    close(plan, run, plan.on_failure, late=True, cancelled=False, actor=actor)


@operation
def settle_plan(*, plan_id: UUID, actor: Actor) -> None:
    """Move a plan whose last run was ended by hand to where that run leaves it."""
    plan = access.lock_plan(plan_id)
    if plan.status not in (PlanState.EXECUTING, PlanState.ROLLING_BACK):
        return
    run = Run.objects.filter(plan=plan).order_by("-run_at").first()
    if run is None or run.status in LIVE_RUNS:
        return
    steps.doubt_abandoned(plan.pk, run.revision, run.direction)
    if run.finished_at is None:
        run.finished_at = Now()
        run.lease_until = run.wake_at = None
        run.waiting_for = ""
        run.save(update_fields=["finished_at", "lease_until", "wake_at", "waiting_for"])
    rolling_back = plan.status == PlanState.ROLLING_BACK
    was = plan.status
    plan.move_to(PlanState.ROLLBACK_PARTIAL if rolling_back else PlanState.FAILED)
    plan.save(update_fields=["status"])
    record(
        actor,
        f"plan.{plan.status}",
        plan,
        before={"status": was},
        after={"status": plan.status, "run": str(run.pk)},
        reason="its run was ended outside the engine",
    )
    announce(f"plan.{plan.status}", plan, run=str(run.pk), direction=run.direction)


@operation
def expire_plan(*, plan_id: UUID, actor: Actor) -> None:
    """Let a plan whose window has closed expire; what it had reserved is free again."""
    plan = access.lock_plan(plan_id)
    if _still("ops_plans", plan_id, WINDOW_CLOSED):
        take_back(plan, PlanState.EXPIRED, actor=actor, reason="its execution window has closed")


def _still(table: str, key: UUID, condition: str) -> bool:
    """Whether the row, which is locked by now, is still what it was swept for."""
    with connection.cursor() as cursor:
        cursor.execute(f"select exists(select from {table} where id = %s and {condition})", [key])
        return bool(cursor.fetchone()[0])


def _ids(query: str) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(query, [MOST])
        return [row[0] for row in cursor.fetchall()]
