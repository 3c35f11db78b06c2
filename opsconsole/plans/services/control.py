"""Control of a live run: pause, resume, cancel. A wish takes effect at the step boundary, and both times are kept."""

from __future__ import annotations

from uuid import UUID

from django.db.models.functions import Now
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.queue import after_commit
from opsconsole.core.states import WrongState
from opsconsole.core.texts import Text
from opsconsole.journal.record import record
from opsconsole.plans import access
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.services.running import close
from opsconsole.plans.states import LIVE_RUNS, RunState, StepState
from opsconsole.plans.transitions import EXECUTE_RUN, run_time


@operation
def pause_run(*, plan_id: UUID, run_id: UUID, reason: str, actor: Actor) -> Run:
    """Ask a live run to pause; it does at its next step boundary. Asking twice is asking once."""
    plan, run = _live(actor, plan_id, run_id, _("The run has {state}; it cannot be paused."))
    if run.status == RunState.PAUSED or run.pause_asked_at:
        return run
    run.pause_asked_at = Now()
    return _wish(plan, run, "pause_asked_at", "run.pause_asked", actor, reason)


@operation
def resume_run(*, plan_id: UUID, run_id: UUID, reason: str, actor: Actor) -> Run:
    """Let a paused run go on, or take back a wish to pause that has not taken effect."""
    plan, run = _live(actor, plan_id, run_id, _("The run has {state}; it cannot be resumed."))
    if run.status != RunState.PAUSED and not run.pause_asked_at:
        raise WrongState(
            format_lazy(_("The run is {state}; only a paused run can be resumed."), state=run.state.label),
            status=run.status,
        )
    was = run.status
    if run.status == RunState.PAUSED:
        run.move_to(RunState.RUNNING)
    waiting = Step.objects.filter(
        plan=plan, revision=run.revision, direction=run.direction, status=StepState.PENDING
    ).count()
    run.pause_asked_at = run.paused_at = None
    run.deadline_at = timezone.now() + run_time(waiting)
    run.save(update_fields=["status", "pause_asked_at", "paused_at", "deadline_at"])
    run.refresh_from_db()
    record(
        actor,
        "run.resumed",
        plan,
        before={"status": was},
        after={"run": str(run.pk), "status": run.status},
        reason=reason,
    )
    after_commit(EXECUTE_RUN, run.pk, queue="plans")
    return run


@operation
def cancel_run(*, plan_id: UUID, run_id: UUID, reason: str, actor: Actor) -> Run:
    """End a live run: at once while no worker has it, else at its next step boundary. What is done stays done."""
    plan, run = _live(actor, plan_id, run_id, _("The run has {state}; it cannot be cancelled."))
    if run.status in (RunState.QUEUED, RunState.PAUSED):
        return close(plan, run, plan.on_failure, late=False, cancelled=True, actor=actor)
    if run.cancel_asked_at:
        return run
    run.cancel_asked_at = Now()
    return _wish(plan, run, "cancel_asked_at", "run.cancel_asked", actor, reason)


def _live(actor: Actor, plan_id: UUID, run_id: UUID, refusal: Text) -> tuple[Plan, Run]:
    plan = access.plan_for(actor, plan_id, "execute")
    run = access.run_of(plan, run_id)
    if run.status not in LIVE_RUNS:
        raise WrongState(format_lazy(refusal, state=run.state.label), status=run.status)
    return plan, run


def _wish(plan: Plan, run: Run, column: str, verb: str, actor: Actor, reason: str) -> Run:
    # Also a run that waits for a person, or for its target, has to look at it now; the sweeper sees to that.
    run.waiting_for, run.wake_at = "", Now()
    run.save(update_fields=[column, "waiting_for", "wake_at"])
    run.refresh_from_db()
    record(actor, verb, plan, after={"run": str(run.pk), "status": run.status}, reason=reason)
    after_commit(EXECUTE_RUN, run.pk, queue="plans")
    return run
