"""The steps of a plan in one direction, as sets: one readable statement each, in the caller's operation.

Whoever moves steps of a live run holds the lock of the run's row, so these never meet each other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from opsconsole.core.canonical import to_plain
from opsconsole.plans.leases import BATCH, Lease
from opsconsole.plans.models import Step
from opsconsole.plans.outcomes import Answered, CannotTell
from opsconsole.plans.states import Direction, StepState


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a run has steps to be probed, to be resolved by a person, failed, and pending."""

    doubt: bool
    person: bool
    failed: bool
    pending: bool


def counts(plan_id: UUID, revision: int, direction: Direction) -> dict[str, int]:
    """How many steps of a direction are in each state, zeros included."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select status, count(*) from ops_plan_steps where plan_id = %s and revision = %s and direction = %s"
            " group by status",
            [plan_id, revision, direction],
        )
        found = dict(cursor.fetchall())
    return {state.value: found.get(state.value, 0) for state in StepState}


def standing(lease: Lease) -> Standing:
    """How the steps of the run stand."""
    of_run = "select from ops_plan_steps where plan_id = %(plan)s and revision = %(revision)s and direction = %(way)s"
    with connection.cursor() as cursor:
        cursor.execute(
            f"select exists({of_run} and status = 'unknown' and not needs_person),"
            f" exists({of_run} and status = 'unknown' and needs_person),"
            f" exists({of_run} and status = 'failed'), exists({of_run} and status = 'pending')",
            {"plan": lease.plan_id, "revision": lease.revision, "way": lease.direction},
        )
        return Standing(*cursor.fetchone())


def mark_running(lease: Lease, *, after: int = 0, most: int = BATCH) -> list[Step]:
    """Take the next pending steps behind number `after`: running, with one attempt more.

    The number spares the index a walk over every step that was pending before, which takes longer with each batch.
    """
    return list(
        Step.objects.raw(
            """
            with due as (
              select id from ops_plan_steps
              where plan_id = %(plan)s and revision = %(revision)s and direction = %(way)s and status = 'pending'
                and seq > %(after)s
              order by seq limit %(batch)s for no key update),
            marked as (
              update ops_plan_steps s set status = 'running', attempt = s.attempt + 1, started_at = now(),
                run_id = %(run)s, result = null
              from due where s.id = due.id returning s.*)
            select * from marked order by seq
            """,
            {
                "plan": lease.plan_id,
                "revision": lease.revision,
                "way": lease.direction.value,
                "after": after,
                "batch": most,
                "run": lease.run_id,
            },
        )
    )


def marked_unseen(lease: Lease) -> list[Step]:
    """Steps that a commit of ours marked without our hearing of it: still ours to call, for nobody has called them."""
    return list(_of(lease, StepState.RUNNING))


def in_doubt(lease: Lease) -> list[Step]:
    """The next unknown steps that the target may be asked about."""
    return list(_of(lease, StepState.UNKNOWN).filter(needs_person=False)[:BATCH])


def write_answers(answers: Sequence[tuple[Step, Answered]]) -> list[tuple[Step, Answered]]:
    """Write each answer to the attempt it is about; those that were written: a person, or we, may have been faster."""
    if not answers:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update ops_plan_steps s set status = a.status, needs_person = a.needs_person, result = a.result::jsonb,
              finished_at = case when a.status in ('succeeded', 'failed', 'skipped') then now() end
            from unnest(%s::uuid[], %s::int[], %s::text[], %s::bool[], %s::text[])
              as a (id, attempt, status, needs_person, result)
            where s.id = a.id and s.attempt = a.attempt and s.status in ('running', 'unknown')
            returning s.id
            """,
            [
                [step.pk for step, _ in answers],
                [step.attempt for step, _ in answers],
                [answer.state.value for _, answer in answers],
                [isinstance(answer, CannotTell) for _, answer in answers],
                [json.dumps(to_plain(answer.result)) for _, answer in answers],
            ],
        )
        written = {row[0] for row in cursor.fetchall()}
    return [(step, answer) for step, answer in answers if step.pk in written]


def doubt_abandoned(plan_id: UUID, revision: int, direction: str) -> list[int]:
    """Steps whose worker is gone are unknown: what became of them must be asked, never guessed; their numbers."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update ops_plan_steps set status = 'unknown', result = '{\"detail\": \"its worker was lost\"}'"
            " where plan_id = %s and revision = %s and direction = %s and status = 'running' returning seq",
            [plan_id, revision, direction],
        )
        return sorted(row[0] for row in cursor.fetchall())


def skip_pending(plan_id: UUID, revision: int, *, code: str) -> None:
    """Steps that never went out never will; `code` says why."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update ops_plan_steps set status = 'skipped', result = jsonb_build_object('code', %s::text),"
            " finished_at = now()"
            " where plan_id = %s and revision = %s and direction = 'execute' and status = 'pending'",
            [code, plan_id, revision],
        )


def _of(lease: Lease, state: StepState) -> QuerySet[Step]:
    return Step.objects.filter(
        plan_id=lease.plan_id, revision=lease.revision, direction=lease.direction, status=state
    ).order_by("seq")
