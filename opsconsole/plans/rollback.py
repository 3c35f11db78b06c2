"""Opening a rollback: the approved compensations of what was done, in reverse. Joins the caller's operation."""

from __future__ import annotations

from django.db import connection
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.operations import assert_in_operation
from opsconsole.plans.errors import StepsInDoubt
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.states import Direction, StepState
from opsconsole.plans.transitions import open_run


def open_rollback(plan: Plan, *, actor: Actor, retry_of: Run | None = None, reason: str = "") -> Run:
    """Queue the rollback of a plan whose row is locked; raises StepsInDoubt while any outcome is unknown.

    Compensations that a previous rollback wrote are kept as they stand; only what is missing is added, so rolling
    back a plan that was retried after a failed rollback undoes all of it and nothing twice.
    """
    assert_in_operation()
    refuse_doubt(plan)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            with undone as (
              select s.id, s.kind, s.compensation,
                row_number() over (order by s.seq desc)
                + coalesce((select max(seq) from ops_plan_steps b
                            where b.plan_id = %(plan)s and b.revision = %(revision)s and b.direction = 'rollback'), 0)
                as seq
              from ops_plan_steps s
              where s.plan_id = %(plan)s and s.revision = %(revision)s and s.direction = 'execute'
                and s.status = 'succeeded'
                and not exists (select from ops_plan_steps b where b.undoes_id = s.id))
            insert into ops_plan_steps
              (plan_id, revision, direction, seq, kind, key, payload, undoes_id, status, attempt, needs_person)
            select %(plan)s, %(revision)s, 'rollback', seq, kind,
              concat_ws(':', %(plan)s::text, %(revision)s::text, seq::text, 'rollback'),
              coalesce(compensation, '{}'), id, 'pending', 0, false
            from undone
            """,
            {"plan": plan.pk, "revision": plan.revision},
        )
    waiting = Step.objects.filter(
        plan=plan, revision=plan.revision, direction=Direction.ROLLBACK, status=StepState.PENDING
    ).count()
    return open_run(plan, Direction.ROLLBACK, actor=actor, retry_of=retry_of, steps=waiting, reason=reason)


def refuse_doubt(plan: Plan, *, but_of: Direction | None = None) -> None:
    """Raise StepsInDoubt while the outcome of any step of the plan is unknown.

    A run of the direction `but_of` asks about its own first; only those that the target cannot tell about count then.
    """
    doubtful = Step.objects.filter(plan=plan, status__in=(StepState.UNKNOWN, StepState.RUNNING))
    if but_of is not None:
        doubtful = doubtful.exclude(direction=but_of, status=StepState.UNKNOWN, needs_person=False)
    numbers = list(doubtful.order_by("seq").values_list("seq", flat=True)[:20])
    if numbers:
        raise StepsInDoubt(
            format_lazy(
                _("The outcome of step {numbers} is unknown; it must be resolved first."),
                numbers=", ".join(map(str, numbers)),
            ),
            steps=numbers,
        )
