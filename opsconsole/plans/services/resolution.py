"""Resolution: a person says what became of a step that nobody else can tell about, and on what evidence."""

from __future__ import annotations

from uuid import UUID

from django.db.models.functions import Now
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.queue import after_commit
from opsconsole.journal.record import record
from opsconsole.plans import access
from opsconsole.plans.errors import PlanInvalid, StepNotUnknown
from opsconsole.plans.models import Run, Step
from opsconsole.plans.outcomes import Done, Refused
from opsconsole.plans.states import LIVE_RUNS, Direction, StepState
from opsconsole.plans.transitions import EXECUTE_RUN, live_run, run_time
from opsconsole.plans.types import type_named

OUTCOMES = ("succeeded", "failed")


@operation
def resolve_step(*, plan_id: UUID, step_id: UUID, outcome: str, evidence: str, reference: str, actor: Actor) -> Step:
    """Settle an unknown step as succeeded or failed; the run then goes on by itself.

    `evidence` says how the person knows, `reference` is the target's own id of what happened. Raises StepNotUnknown
    for any other step, PlanInvalid without evidence.
    """
    plan = access.plan_for(actor, plan_id, "resolve")
    run = live_run(plan)
    if run is not None:
        run = access.run_of(plan, run.pk)  # locked before its steps, as a worker does
    step = access.step_of(plan, step_id)
    if outcome not in OUTCOMES or not evidence.strip():
        raise PlanInvalid(
            _("A step is resolved as succeeded or failed, with the evidence for it."),
            errors={
                key: [problem]
                for key, problem, wrong in (
                    ("outcome", _("must be succeeded or failed"), outcome not in OUTCOMES),
                    ("evidence", _("must not be empty"), not evidence.strip()),
                )
                if wrong
            },
        )
    if step.status != StepState.UNKNOWN:
        raise StepNotUnknown(
            format_lazy(_("The step is {state}; only an unknown step can be resolved."), state=step.state.label),
            step=step.seq,
        )
    answer = (
        Done({"reference": reference, "resolved_by": actor.name, "evidence": evidence})
        if outcome == "succeeded"
        else Refused("resolved_as_failed", evidence)
    )
    step.move_to(answer.state)
    step.needs_person = False
    step.result = {**answer.result, "resolved_by": actor.name}
    step.finished_at = Now()
    step.save(update_fields=["status", "needs_person", "result", "finished_at"])
    step.refresh_from_db()
    if run is not None:
        _wake(run)
    record(
        actor,
        "step.resolved",
        plan,
        before={"step": step.seq, "status": StepState.UNKNOWN.value},
        after={"step": step.seq, "status": step.status, "direction": step.direction, "reference": reference},
        reason=evidence,
    )
    type_named(plan.plan_type).record(Direction(step.direction), [(step, answer)], [])
    return step


def _wake(run: Run) -> None:
    if run.status not in LIVE_RUNS:
        return
    waiting = Step.objects.filter(
        plan_id=run.plan_id, revision=run.revision, direction=run.direction, status=StepState.PENDING
    ).count()
    run.waiting_for, run.wake_at = "", Now()
    run.deadline_at = timezone.now() + run_time(waiting)
    run.save(update_fields=["waiting_for", "wake_at", "deadline_at"])
    after_commit(EXECUTE_RUN, run.pk, queue="plans")
