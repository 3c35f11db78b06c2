"""Running: what a worker may write while it holds the lease of a run. Each service is one commit.

The order inside each: the run's row under its lease, the steps, the journal, and last what the plan type books, since
a ledger takes its locks best at the very end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now

from opsconsole.approvals import kernel as approvals
from opsconsole.core.actors import Actor
from opsconsole.core.faults import crashpoint
from opsconsole.core.operations import operation
from opsconsole.core.queue import after_commit
from opsconsole.journal.record import record
from opsconsole.plans import access, leases, steps
from opsconsole.plans.leases import Lease
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.outcomes import (
    Answered,
    Done,
    NeverHappened,
    NoAnswer,
    NotStarted,
    Refused,
    Skipped,
)
from opsconsole.plans.rollback import open_rollback
from opsconsole.plans.states import Direction, OnFailure, PlanState, RunState, StepState, Waiting
from opsconsole.plans.transitions import EXECUTE_RUN, announce, end_run, rollback_action
from opsconsole.plans.types import type_named

LONGEST_PAUSE = 15.0
PERSON_HAS = timedelta(hours=24)
WORKER_ENDS = "its worker was told to end"


class Turn(StrEnum):
    """What the worker does next."""

    CALL = "call"
    PROBE = "probe"
    FINISH = "finish"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Next:
    """The worker's next turn, the steps it is about, and those of them that were marked running just now."""

    turn: Turn
    steps: list[Step] = field(default_factory=list)
    starting: list[Step] = field(default_factory=list)


LEAVE = Next(Turn.LEAVE)
FINISH = Next(Turn.FINISH)


@operation
def claim_run(*, run_id: UUID, owner: str, actor: Actor) -> Lease | None:
    """Take a run under a lease; None when there is nothing to take.

    Steps that another worker left running are unknown now: what became of them must be asked, never guessed.
    """
    lease = leases.take(run_id, owner)
    if lease is None:
        return None
    doubtful = steps.doubt_abandoned(lease.plan_id, lease.revision, lease.direction)
    record(
        actor,
        "run.claimed",
        Plan(pk=lease.plan_id),
        after={"run": str(run_id), "epoch": lease.epoch, "owner": owner, "steps_in_doubt": doubtful},
    )
    crashpoint("plans.run.in_claim")
    return lease


@operation
def note_simulation(*, lease: Lease, disagreements: list[str], actor: Actor) -> None:
    """Write what the dry run found; raises LeaseLost."""
    leases.renew(lease)
    run = Run.objects.get(pk=lease.run_id)
    run.result = {**(run.result or {}), "simulation": "disagrees" if disagreements else "agrees"}
    if disagreements:
        run.result["disagreements"] = disagreements
    run.save(update_fields=["result"])
    record(actor, "run.simulated", Plan(pk=lease.plan_id), after={"run": str(run.pk), **run.result})


@operation
def postpone(*, lease: Lease, detail: str, actor: Actor) -> None:
    """Let go of a run whose target cannot even be asked; the sweeper wakes it after a pause. Raises LeaseLost."""
    wishes = leases.renew(lease)
    _stall(lease, [NotStarted(detail)], wishes.stalls)
    record(actor, "run.waits", Plan(pk=lease.plan_id), after={"run": str(lease.run_id), "detail": detail})


@operation
def advance(
    *,
    lease: Lease,
    answers: Sequence[tuple[Step, Answered]],
    actor: Actor,
    halt: str = "",
    leave: bool = False,
    again: bool = False,
) -> Next:
    """Write what became of the last steps and take the next ones, in one commit; raises LeaseLost.

    `running` with its attempt number is therefore always committed before the call goes out. With `halt`, a reason,
    nothing is taken and the run is to end; with `leave` it is handed to another worker. `again` says that this very
    write was tried before and its commit may have happened unseen.
    """
    wishes = leases.renew(lease)
    plan_type = type_named(lease.plan_type)
    written = steps.write_answers(answers)
    crashpoint("plans.steps.in_save")
    if wishes.stalls and any(isinstance(answer, Done | Refused | Skipped) for _, answer in written):
        leases.note_answer(lease)
        wishes = replace(wishes, stalls=0)
    if again and (lost := steps.marked_unseen(lease)):
        following = Next(Turn.CALL, lost)
    elif halt:
        _note_halt(lease, halt)
        following = FINISH
    elif answers and not any(_goes_on(step, answer) for step, answer in answers):
        _stall(lease, [answer for _, answer in answers], wishes.stalls)
        following = LEAVE
    elif leave:
        _hand_over(lease, wishes.stalls)
        following = LEAVE
    else:
        following = _straight_on(lease, wishes, answers) or _next(lease, wishes)
    _journal(lease, written, following, actor, reason=halt or (WORKER_ENDS if leave else ""))
    if written or following.starting:
        plan_type.record(lease.direction, written, following.starting)
    crashpoint("plans.steps.in_mark")
    return following


@operation
def finish_run(*, lease: Lease, actor: Actor) -> Run:
    """End a run by what its steps have become, and its plan with it; raises LeaseLost."""
    plan = access.lock_plan(lease.plan_id)
    wishes = leases.renew(lease)
    run = Run.objects.get(pk=lease.run_id)
    close(plan, run, lease.on_failure, late=wishes.late, cancelled=wishes.cancel, actor=actor)
    crashpoint("plans.run.in_finish")
    return run


def close(plan: Plan, run: Run, on_failure: str, *, late: bool, cancelled: bool, actor: Actor) -> Run:
    """End the run and move the plan; joins the caller's operation with both rows locked."""
    counts = steps.counts(plan.pk, run.revision, Direction(run.direction))
    state = _verdict(counts, on_failure, simulated=(run.result or {}).get("simulation", ""), cancelled=cancelled)
    result: dict[str, Any] = {"steps": counts}
    if late and state == RunState.FAILED:
        result["error"] = "the run passed its deadline"
    plan_type = type_named(plan.plan_type)
    if run.direction == Direction.ROLLBACK:
        plan_type.release(plan)
        steps.skip_pending(plan.pk, plan.revision, code="rolled_back")
    result |= plan_type.report(run)
    end_run(run, state, result=result)
    was = plan.status
    plan.move_to(_plan_state(run.direction, state, counts))
    plan.updated_at = Now()
    plan.save(update_fields=["status", "updated_at"])
    plan.refresh_from_db()
    announce(f"plan.{plan.status}", plan, run=str(run.pk), direction=run.direction, steps=counts)
    record(
        actor,
        f"run.{state.value}",
        plan,
        before={"status": was},
        after={"status": plan.status, "run": str(run.pk), "direction": run.direction, **(run.result or {})},
    )
    if state == RunState.FAILED and run.direction == Direction.EXECUTE and on_failure == OnFailure.ROLLBACK:
        doubtful = counts[StepState.UNKNOWN] + counts[StepState.RUNNING]
        # Where undoing needs approvals of its own, nothing undoes by itself: people are told, and ask for them.
        if not doubtful and approvals.active_policy(rollback_action(plan)) is None:
            open_rollback(plan, actor=actor)
    return run


def _verdict(counts: dict[str, int], on_failure: str, *, simulated: str, cancelled: bool) -> RunState:
    unfinished = counts[StepState.PENDING] + counts[StepState.UNKNOWN] + counts[StepState.RUNNING]
    if cancelled and unfinished:
        return RunState.CANCELLED
    if simulated == "disagrees" or unfinished:
        return RunState.FAILED
    if counts[StepState.FAILED]:
        some = counts[StepState.SUCCEEDED] > 0
        return RunState.PARTIAL if on_failure == OnFailure.CONTINUE and some else RunState.FAILED
    return RunState.PARTIAL if counts[StepState.SKIPPED] else RunState.SUCCEEDED


def _plan_state(direction: str, state: RunState, counts: dict[str, int]) -> PlanState:
    if direction == Direction.ROLLBACK:
        return PlanState.ROLLED_BACK if state == RunState.SUCCEEDED else PlanState.ROLLBACK_PARTIAL
    match state:
        case RunState.SUCCEEDED:
            return PlanState.SUCCEEDED
        case RunState.PARTIAL:
            return PlanState.PARTIAL
        case RunState.CANCELLED if counts[StepState.SUCCEEDED]:
            return PlanState.PARTIAL
        case _:
            return PlanState.FAILED


def _goes_on(step: Step, answer: Answered) -> bool:
    """Whether the run may go on at once: not where sending the same step again and again leads nowhere."""
    return answer.progress and not (isinstance(answer, NeverHappened) and step.attempt > 1)


def _stall(lease: Lease, answers: Sequence[Answered], stalls: int) -> None:
    asked = [answer.retry_after or 0.0 for answer in answers if isinstance(answer, NotStarted | NoAnswer)]
    pause = max(min(2.0**stalls, LONGEST_PAUSE), min(max(asked, default=0.0), LONGEST_PAUSE))
    leases.give_back(lease, waiting_for=Waiting.TARGET, wake_in=timedelta(seconds=pause), stalls=min(stalls + 1, 10))


def _hand_over(lease: Lease, stalls: int) -> None:
    leases.give_back(lease, waiting_for=Waiting.NOTHING, wake_in=timedelta(0), stalls=stalls)
    after_commit(EXECUTE_RUN, lease.run_id, queue="plans")


def _straight_on(lease: Lease, wishes: leases.Wishes, answers: Sequence[tuple[Step, Answered]]) -> Next | None:
    """The next calls where the last ones were all done and nobody wishes anything: no need to look at all steps.

    A batch is only called while nothing stands in its way, and who moves steps of a run holds its row: so nothing
    does now. None where there is more to consider.
    """
    plain = answers and all(step.status == StepState.RUNNING and isinstance(answer, Done) for step, answer in answers)
    if not plain or wishes.late or wishes.cancel or wishes.pause:
        return None
    last = max(step.seq for step, _ in answers)
    marked = steps.mark_running(lease, after=last, most=type_named(lease.plan_type).straight_on)
    return Next(Turn.CALL, marked, starting=marked) if marked else None


def _next(lease: Lease, wishes: leases.Wishes) -> Next:
    """What comes next, by what the steps are and what people asked."""
    stand = steps.standing(lease)
    # A wish takes effect once nothing is in doubt; while the target does not answer, it does not wait for that.
    settled = not stand.doubt or wishes.stalls > 0
    if wishes.late or (wishes.cancel and settled):
        return FINISH
    if wishes.pause and settled and (stand.pending or stand.doubt):
        _pause(lease)
        return LEAVE
    if stand.doubt:
        return Next(Turn.PROBE, steps.in_doubt(lease))
    go_on = lease.on_failure == OnFailure.CONTINUE and lease.direction == Direction.EXECUTE
    if stand.pending and (go_on or not (stand.failed or stand.person)):
        marked = steps.mark_running(lease)
        return Next(Turn.CALL, marked, starting=marked)
    if stand.person:
        _wait_for_person(lease)
        return LEAVE
    return FINISH


def _pause(lease: Lease) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "update ops_plan_runs set status = 'paused', paused_at = now(), lease_until = null, wake_at = null,"
            " waiting_for = '', deadline_at = now() + make_interval(secs => %s) where id = %s",
            [PERSON_HAS.total_seconds(), lease.run_id],
        )


def _wait_for_person(lease: Lease) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "update ops_plan_runs set deadline_at = now() + make_interval(secs => %s) where id = %s",
            [PERSON_HAS.total_seconds(), lease.run_id],
        )
    leases.give_back(lease, waiting_for=Waiting.PERSON, wake_in=None, stalls=0)
    plan = Plan.objects.get(pk=lease.plan_id)
    announce("plan.step_unknown", plan, run=str(lease.run_id))


def _note_halt(lease: Lease, reason: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "update ops_plan_runs set result = coalesce(result, '{}') || jsonb_build_object('halted', %s::text)"
            " where id = %s",
            [reason, lease.run_id],
        )


def _journal(
    lease: Lease, answers: Sequence[tuple[Step, Answered]], following: Next, actor: Actor, *, reason: str
) -> None:
    """One entry for the whole turn: what became of which step, and which ones go out now."""
    done = [{"seq": step.seq, "status": answer.state.value, **answer.result} for step, answer in answers]
    started = [step.seq for step in following.starting]
    if not (done or started or reason or following.turn is Turn.LEAVE):
        return
    record(
        actor,
        "run.steps" if following.turn is not Turn.LEAVE else "run.waits",
        Plan(pk=lease.plan_id),
        after={
            "run": str(lease.run_id),
            "direction": lease.direction.value,
            "epoch": lease.epoch,
            "done": done,
            "started": started,
        },
        reason=reason,
    )
