"""Ending a stuck run as failed: what the runbook does by SQL, with its author, its reason and a worker that stops."""

from __future__ import annotations

from uuid import UUID

from django.db.models import F
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.states import WrongState
from opsconsole.journal.record import record
from opsconsole.plans import access, steps
from opsconsole.plans.errors import PlanInvalid
from opsconsole.plans.models import Run
from opsconsole.plans.states import LIVE_RUNS, PlanState, RunState
from opsconsole.plans.transitions import announce, end_run

FORCED = "forced to fail"


@operation
def force_fail_run(*, plan_id: UUID, run_id: UUID, reason: str, actor: Actor) -> Run:
    """End a live run as failed now, whoever holds it, and leave its plan failed or rolled back in part.

    The epoch moves on, so a worker that is alive after all stops at its next write; what it had sent and nobody saw
    the end of is unknown, and asked about. Nothing is rolled back by itself. Raises WrongState for a run that has
    ended, PlanInvalid without a reason.
    """
    plan = access.plan_for(actor, plan_id, "force_fail")
    run = access.run_of(plan, run_id)
    if not reason.strip():
        raise PlanInvalid(_("Ending a run by force takes a reason."), errors={"reason": [_("must not be blank")]})
    if run.status not in LIVE_RUNS:
        raise WrongState(
            format_lazy(_("The run has {state}; it cannot be forced to fail."), state=run.state.label),
            status=run.status,
        )
    was, plan_was, owner = run.status, plan.status, run.lease_owner
    Run.objects.filter(pk=run.pk).update(lease_epoch=F("lease_epoch") + 1)
    doubtful = steps.doubt_abandoned(plan.pk, run.revision, run.direction)
    end_run(run, RunState.FAILED, result={"error": FORCED, "reason": reason, "by": actor.name})
    plan.move_to(PlanState.ROLLBACK_PARTIAL if plan.status == PlanState.ROLLING_BACK else PlanState.FAILED).save(
        update_fields=["status"]
    )
    plan.refresh_from_db()
    announce(f"plan.{plan.status}", plan, run=str(run.pk), direction=run.direction, error=FORCED)
    record(
        actor,
        "run.forced_to_fail",
        plan,
        before={"status": plan_was, "run_status": was},
        after={
            "status": plan.status,
            "run": str(run.pk),
            "run_status": run.status,
            "direction": run.direction,
            "epoch": run.lease_epoch,
            "worker": owner,
            "steps_in_doubt": doubtful,
        },
        reason=reason,
    )
    return run
