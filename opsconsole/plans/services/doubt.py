"""Steps in doubt of runs that have ended: their target is asked too, and not only when somebody retries."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.db import connection

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import record
from opsconsole.plans import access, steps
from opsconsole.plans.leases import BATCH
from opsconsole.plans.models import Run, Step
from opsconsole.plans.outcomes import Answered
from opsconsole.plans.states import LIVE_RUNS, Direction
from opsconsole.plans.transitions import announce
from opsconsole.plans.types import type_named

MOST = 20

# Nobody else asks: no run of the plan is live, and the last one ended so long ago that no call of its worker, who may
# not know yet, can still be on its way. Each step is asked about once a minute.
_DUE = """
    s.status = 'unknown' and not s.needs_person
    and (s.probed_at is null or s.probed_at < now() - interval '1 minute')
    and not exists (
      select from ops_plan_runs r where r.plan_id = s.plan_id
        and (r.status in ('queued', 'running', 'paused')
          or coalesce(r.finished_at, now()) > now() - make_interval(secs => %(grace)s)))
"""


def _grace() -> float:
    return max(60.0, 2 * float(settings.RUN_LEASE_SECONDS))


def plans_in_doubt() -> list[UUID]:
    """Plans without a live run that have steps whose target may be asked now."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"select distinct s.plan_id from ops_plan_steps s where s.status in ('unknown', 'running') and {_DUE}"
            " limit %(most)s",
            {"grace": _grace(), "most": MOST},
        )
        return [row[0] for row in cursor.fetchall()]


@operation
def claim_doubtful_steps(*, plan_id: UUID, actor: Actor) -> list[Step]:
    """Take the next steps of a plan to ask about, all of one direction; none where a run is live or none is due."""
    return list(
        Step.objects.raw(
            f"""
            with due as (
              select s.id from ops_plan_steps s
              where s.plan_id = %(plan)s and {_DUE}
                and s.direction = (select o.direction from ops_plan_steps o where o.plan_id = %(plan)s
                  and o.status = 'unknown' and not o.needs_person order by o.probed_at nulls first, o.seq limit 1)
              order by s.probed_at nulls first, s.seq limit %(batch)s for no key update skip locked),
            asked as (
              update ops_plan_steps s set probed_at = now() from due where s.id = due.id returning s.*)
            select * from asked order by seq
            """,
            {"plan": plan_id, "batch": BATCH, "grace": _grace()},
        )
    )


@operation
def settle_doubt(*, plan_id: UUID, answers: Sequence[tuple[Step, Answered]], actor: Actor) -> int:
    """Write what the target said of steps of an ended run; how many are settled, or left to a person.

    Nothing where a run has begun meanwhile: its worker asks by itself.
    """
    plan = access.lock_plan(plan_id)
    if Run.objects.filter(plan=plan, status__in=LIVE_RUNS).exists():
        return 0
    told = [(step, answer) for step, answer in answers if answer.progress]
    written = steps.write_answers(told)
    if not written:
        return 0
    direction = Direction(written[0][0].direction)
    record(
        actor,
        "steps.probed",
        plan,
        after={
            "direction": direction.value,
            "done": [{"seq": step.seq, "status": answer.state.value, **answer.result} for step, answer in written],
        },
    )
    if any(getattr(answer, "needs_person", False) for _, answer in written):
        announce("plan.step_unknown", plan)
    type_named(plan.plan_type).record(direction, written, [])
    return len(written)
