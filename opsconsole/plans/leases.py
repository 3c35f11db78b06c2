"""The lease of a run: taken by one worker, fenced by an epoch, renewed with every write.

Every write of a worker carries the epoch it was given. A write that finds another epoch, or a run that is no longer
running, updates nothing and raises LeaseLost: the worker stops and touches nothing more. A worker that is frozen in
the middle of such a write loses it with its session, or the run would stay locked for longer than the lease.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from opsconsole.plans.errors import LeaseLost
from opsconsole.plans.states import Direction, OnFailure

BATCH = 16  # calls in flight, and steps in one commit unless the plan type takes more while all goes well


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's hold on a run."""

    run_id: UUID
    plan_id: UUID
    plan_type: str
    direction: Direction
    revision: int
    on_failure: OnFailure
    epoch: int
    simulate: bool


@dataclass(frozen=True, slots=True)
class Wishes:
    """What people and the clock ask of a run at the step boundary."""

    pause: bool
    cancel: bool
    late: bool
    stalls: int
    deadline_at: datetime


# Inside a RETURNING: from here to the commit, so long a silence of ours ends the session.
_NOT_FROZEN = "set_config('idle_in_transaction_session_timeout', %(lease_ms)s, true)"


def _length() -> dict[str, Any]:
    return {"lease": settings.RUN_LEASE_SECONDS, "lease_ms": str(int(settings.RUN_LEASE_SECONDS * 1000))}


def take(run_id: UUID, owner: str) -> Lease | None:
    """Take the run if nobody holds it; None when somebody does, or it has ended or is paused."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            update ops_plan_runs r set status = 'running', lease_owner = %(owner)s, lease_epoch = r.lease_epoch + 1,
              lease_until = now() + make_interval(secs => %(lease)s), started_at = coalesce(r.started_at, now()),
              wake_at = null, waiting_for = ''
            from ops_plans p
            where r.id = %(run)s and p.id = r.plan_id and r.status in ('queued', 'running')
              and (r.lease_until is null or r.lease_until < now())
            returning r.plan_id, p.plan_type, r.direction, r.revision, p.on_failure, r.lease_epoch,
              coalesce((p.payload ->> 'simulate_before_execute')::bool, false) and r.direction = 'execute'
              and r.retry_of_id is null and coalesce(r.result ->> 'simulation', '') = '', {_NOT_FROZEN}
            """,
            {"owner": owner, "run": run_id, **_length()},
        )
        row = cursor.fetchone()
    if row is None:
        return None
    plan_id, plan_type, direction, revision, on_failure, epoch, simulate, _ = row
    return Lease(run_id, plan_id, plan_type, Direction(direction), revision, OnFailure(on_failure), epoch, simulate)


def renew(lease: Lease) -> Wishes:
    """Lock the run's row under the lease and prolong it; raises LeaseLost."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            update ops_plan_runs set lease_until = now() + make_interval(secs => %(lease)s)
            where id = %(run)s and lease_epoch = %(epoch)s and status = 'running'
            returning pause_asked_at is not null, cancel_asked_at is not null, deadline_at < now(), stalls,
              deadline_at, {_NOT_FROZEN}
            """,
            {"run": lease.run_id, "epoch": lease.epoch, **_length()},
        )
        row = cursor.fetchone()
    if row is None:
        raise LeaseLost("Another worker has this run, or it has ended.", run=str(lease.run_id), epoch=lease.epoch)
    return Wishes(*row[:-1])


def undisturbed(lease: Lease) -> bool:
    """Whether the run is still ours, in time, and nobody has asked it to stop; locks nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select exists(select from ops_plan_runs where id = %s and lease_epoch = %s and status = 'running'"
            " and pause_asked_at is null and cancel_asked_at is null and deadline_at > now())",
            [lease.run_id, lease.epoch],
        )
        return bool(cursor.fetchone()[0])


def give_back(lease: Lease, *, waiting_for: str, wake_in: timedelta | None, stalls: int) -> None:
    """Let go of a run that must wait; the sweeper wakes it when its time has come, if it has one."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update ops_plan_runs set lease_until = null, wake_at = now() + make_interval(secs => %s),
              waiting_for = %s, stalls = %s
            where id = %s and lease_epoch = %s and status = 'running'
            """,
            [None if wake_in is None else wake_in.total_seconds(), waiting_for, stalls, lease.run_id, lease.epoch],
        )


def note_answer(lease: Lease) -> None:
    """The target answers: the next time that it does not, pauses start short again."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update ops_plan_runs set stalls = 0 where id = %s and lease_epoch = %s", [lease.run_id, lease.epoch]
        )
