"""Reads over plans, runs and steps."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import kernel as approvals
from opsconsole.core.actors import Actor
from opsconsole.plans import access
from opsconsole.plans.errors import RunNotFound
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.states import StepState
from opsconsole.plans.transitions import SUBJECT, policy_action


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come: steps in all, steps that need no more work, and steps by state."""

    total: int
    done: int
    by_state: dict[str, int]

    @property
    def percent(self) -> int:
        """Whole percent of the steps that need no more work; a run without steps is complete."""
        return 100 if not self.total else self.done * 100 // self.total


def approval_of(plan: Plan) -> UUID | None:
    """The id of the plan's approval request that has not ended."""
    request = approvals.live_request(SUBJECT, plan.pk, policy_action(plan))
    return None if request is None else request.pk


def run_of_plan(actor: Actor, plan_id: UUID, run_id: UUID) -> Run:
    """A run of a plan the actor may see; raises PlanNotFound or RunNotFound."""
    plan = access.plan_seen_by(actor, plan_id)
    run = Run.objects.select_related("plan").filter(plan=plan, pk=run_id).first()
    if run is None:
        raise RunNotFound(_("This plan has no such run."), plan=str(plan_id), run=str(run_id))
    return run


def runs_of(plan: Plan) -> QuerySet[Run]:
    """The runs of a plan, newest first."""
    return Run.objects.filter(plan=plan).order_by("-run_at", "-pk")


def steps_of(run: Run) -> QuerySet[Step]:
    """The steps a run goes through, in its order; a retry goes through those of the run before it too."""
    return Step.objects.filter(plan_id=run.plan_id, revision=run.revision, direction=run.direction).order_by("seq")


def notable_steps(run: Run, *, limit: int = 50) -> list[Step]:
    """The first steps of a run that are under way or did not simply succeed."""
    return list(steps_of(run).exclude(status__in=(StepState.SUCCEEDED, StepState.PENDING))[:limit])


def staged_steps(plan: Plan) -> QuerySet[Step]:
    """The steps of the plan's revision as they will be executed."""
    return Step.objects.filter(plan=plan, revision=plan.revision, direction="execute").order_by("seq")


def steps_in_doubt(plan: Plan) -> int:
    """How many steps of the plan have an outcome that nobody knows."""
    return Step.objects.filter(plan=plan, status=StepState.UNKNOWN).count()


def progress_of(run: Run) -> Progress:
    """How far the run has come."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select status, count(*) from ops_plan_steps where plan_id = %s and revision = %s and direction = %s"
            " group by status",
            [run.plan_id, run.revision, run.direction],
        )
        found = dict(cursor.fetchall())
    by_state = {state.value: found.get(state.value, 0) for state in StepState}
    done = by_state[StepState.SUCCEEDED] + by_state[StepState.FAILED] + by_state[StepState.SKIPPED]
    return Progress(sum(by_state.values()), done, by_state)
