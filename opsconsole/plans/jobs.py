"""The engine's jobs: driving a run under its lease, and sweeping what waits, is due or was left behind."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import Error

from opsconsole.core.actors import SYSTEM
from opsconsole.core.errors import DomainError, Unavailable
from opsconsole.core.faults import crashpoint
from opsconsole.core.outages import is_outage, outlast
from opsconsole.core.queue import enqueue, leaving, ping
from opsconsole.core.schedule import periodic
from opsconsole.plans import leases
from opsconsole.plans.errors import LeaseLost
from opsconsole.plans.leases import BATCH, Lease
from opsconsole.plans.models import Plan, Step
from opsconsole.plans.outcomes import Answered, Done, NoAnswer, NotStarted, Unclear
from opsconsole.plans.services import doubt, running, sweeping
from opsconsole.plans.services.running import Turn
from opsconsole.plans.states import Direction
from opsconsole.plans.transitions import EXECUTE_RUN
from opsconsole.plans.types import PlanType, type_named

log = structlog.get_logger(__name__)

WORKER = SYSTEM("worker")
SWEEPER = SYSTEM("sweeper")
PROBER = SYSTEM("prober")
PROBE_STEPS = "opsconsole.plans.jobs.probe_steps"


def execute_run(run_id: str) -> None:
    """Drive a run until it ends, waits or is taken away; safe to call at any time, by any number of workers."""
    crashpoint("plans.run.before_claim")
    owner = f"{socket.gethostname()}:{os.getpid()}"
    lease = running.claim_run(run_id=UUID(run_id), owner=owner, actor=WORKER)
    if lease is None:
        return
    crashpoint("plans.run.after_claim")
    try:
        _drive(lease)
    except LeaseLost as lost:
        log.warning("run.lease_lost", run=run_id, epoch=lease.epoch, error=lost.message)


def _drive(lease: Lease) -> None:
    if lease.simulate:
        try:
            agrees = _simulate(lease)
        except Unavailable as error:
            detail = error.message
            outlast(lambda _: running.postpone(lease=lease, detail=detail, actor=WORKER))
            return
        if not agrees:
            outlast(lambda _: running.finish_run(lease=lease, actor=WORKER))
            return
    answers: Sequence[tuple[Step, Answered]] = ()
    while True:
        crashpoint("plans.steps.before_save")
        ours_until = time.monotonic() + settings.RUN_LEASE_SECONDS
        following = _advance(lease, answers)
        crashpoint("plans.steps.after_save")
        match following.turn:
            case Turn.LEAVE:
                return
            case Turn.FINISH:
                crashpoint("plans.run.before_finish")
                outlast(lambda _: running.finish_run(lease=lease, actor=WORKER))
                crashpoint("plans.run.after_finish")
                return
            case Turn.CALL | Turn.PROBE:
                answers = _ask(lease, following, ours_until)


def _advance(lease: Lease, answers: Sequence[tuple[Step, Answered]]) -> running.Next:
    """Write the answers, which nobody else knows, however long the database is away, and take the next steps."""

    def write(again: bool) -> running.Next:  # noqa: FBT001 - as `outlast` calls it
        try:
            return running.advance(lease=lease, answers=answers, actor=WORKER, leave=leaving(), again=again)
        except LeaseLost:
            raise
        except DomainError as error:
            # The next steps may not go out (an account ran dry, a bank was paused): keep the answers, end here.
            log.warning("run.halted", run=str(lease.run_id), code=error.code, error=error.message)
            return running.advance(lease=lease, answers=answers, actor=WORKER, halt=error.message, again=again)

    return outlast(write)


def _ask(lease: Lease, following: running.Next, ours_until: float) -> list[tuple[Step, Answered]]:
    """Go out with these steps, outside any transaction. A fault of ours leaves them unclear, never lost."""
    plan_type = type_named(lease.plan_type)
    turn, steps = following.turn, following.steps
    answers: list[tuple[Step, Answered]] = []
    for begin in range(0, len(steps), BATCH):
        some = steps[begin : begin + BATCH]
        if begin and not (_all_done(answers) and _may_go_out(lease, plan_type, some, ours_until)):
            # They were marked with those before them; nothing of them has gone out.
            return answers + [(step, NotStarted("held back before it was sent")) for step in steps[begin:]]
        answers += _answers(lease, plan_type, turn, some, ours_until)
    return answers


def _all_done(answers: Sequence[tuple[Step, Answered]]) -> bool:
    return all(isinstance(answer, Done) for _, answer in answers)


def _may_go_out(lease: Lease, plan_type: PlanType, steps: Sequence[Step], ours_until: float) -> bool:
    """Whether what was marked with the last calls may follow them; what stands in its way is told at the boundary."""
    if leaving() or time.monotonic() > ours_until - settings.RUN_LEASE_SECONDS / 2:
        return False
    try:
        held_back = lease.direction == Direction.EXECUTE and plan_type.held_back(steps)
        return not held_back and leases.undisturbed(lease)
    except Exception:
        # Whatever broke, the answers of those before them are known to nobody else: they are written, these wait.
        log.exception("run.held_back", run=str(lease.run_id))
        return False


def _answers(
    lease: Lease, plan_type: PlanType, turn: Turn, steps: Sequence[Step], ours_until: float
) -> list[tuple[Step, Answered]]:
    crashpoint(f"plans.steps.before_{turn.value}")
    answers: Sequence[Answered]
    if turn is Turn.CALL and time.monotonic() > ours_until:
        # Frozen, or kept waiting, for longer than the lease: another worker may have the run by now.
        return [(step, NotStarted("its worker was too late to send it")) for step in steps]
    try:
        if turn is Turn.PROBE:
            answers = plan_type.probe(steps)
        elif lease.direction == Direction.EXECUTE:
            answers = plan_type.execute(steps)
        else:
            answers = plan_type.compensate(steps)
    except DomainError as error:
        # Raised before anything went out: a type answers for its target by outcomes, not by exceptions.
        answers = [NotStarted(error.message) if turn is Turn.CALL else NoAnswer(error.message) for _ in steps]
    except Exception as error:
        log.exception("run.fault", run=str(lease.run_id), turn=turn.value)
        detail = f"{type(error).__name__}: {error}"
        answers = [Unclear(detail) if turn is Turn.CALL else NoAnswer(detail) for _ in steps]
    crashpoint(f"plans.steps.after_{turn.value}")
    return list(zip(steps, answers, strict=True))


def _simulate(lease: Lease) -> bool:
    plan = Plan.objects.get(pk=lease.plan_id)
    disagreements = type_named(lease.plan_type).simulate(plan)
    outlast(lambda _: running.note_simulation(lease=lease, disagreements=disagreements, actor=WORKER))
    return not disagreements


@periodic(every=timedelta(seconds=1))
def wake_due_runs() -> None:
    """Wake a worker for every live run that nobody holds and whose time has come."""
    if not sweeping.runs_are_due() or not ping():
        return  # without Redis nobody would hear: they stay due until it is back
    for run_id in sweeping.hand_out_due_runs(actor=SWEEPER):
        if not enqueue(EXECUTE_RUN, str(run_id), queue="plans"):
            return


@periodic(every=timedelta(seconds=5))
def close_overdue() -> None:
    """End runs past their deadline that no worker holds, and plans whose run was ended by hand."""
    for run_id in sweeping.overdue_runs():
        with _one_by_one("run.close_overdue", run=run_id):
            sweeping.fail_overdue_run(run_id=run_id, actor=SWEEPER)
    for plan_id in sweeping.plans_without_run():
        with _one_by_one("plan.settle", plan=plan_id):
            sweeping.settle_plan(plan_id=plan_id, actor=SWEEPER)


@periodic(every=timedelta(seconds=15))
def wake_probes() -> None:
    """Wake a worker for every plan without a live run that has steps in doubt; the target is asked there, not here."""
    for plan_id in doubt.plans_in_doubt():
        if not enqueue(PROBE_STEPS, str(plan_id), queue="plans"):
            return


def probe_steps(plan_id: str) -> None:
    """Ask what became of steps in doubt of a plan whose runs have ended, and write it down; safe at any time."""
    found = Plan.objects.get(pk=UUID(plan_id))
    plan_type = type_named(found.plan_type)
    while steps := doubt.claim_doubtful_steps(plan_id=found.pk, actor=PROBER):
        try:
            answers: Sequence[Answered] = plan_type.probe(steps)
        except DomainError as error:
            log.warning("probe.refused", plan=plan_id, code=error.code, error=error.message)
            return  # asked again in a minute
        doubt.settle_doubt(plan_id=found.pk, answers=list(zip(steps, answers, strict=True)), actor=PROBER)
        if leaving():
            return


@periodic(every=timedelta(seconds=15))
def expire_plans() -> None:
    """Expire plans whose execution window has closed before they were executed."""
    for plan_id in sweeping.plans_past_their_window():
        with _one_by_one("plan.expire", plan=plan_id):
            sweeping.expire_plan(plan_id=plan_id, actor=SWEEPER)


@contextmanager
def _one_by_one(what: str, **which: UUID) -> Iterator[None]:
    """One row that cannot be swept must not keep the others from it; an outage stops them all."""
    try:
        yield
    except Exception as error:
        if isinstance(error, Error) and is_outage(error):
            raise
        log.exception("sweep.failed", what=what, **{name: str(value) for name, value in which.items()})
