"""Who may see and touch which plan: fetched, locked and permitted in one call."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from django.db.models import QuerySet
from guardian.shortcuts import get_objects_for_user

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.plans.errors import PlanNotFound, RunNotFound, StepNotFound
from opsconsole.plans.models import Plan, Run, Step

Action = Literal["edit", "stage", "decide", "execute", "resolve"]

_PERMISSIONS: dict[Action, str] = {
    "edit": "plans.create_plan",
    "stage": "plans.stage_plan",
    "decide": "approvals.decide_request",
    "execute": "plans.execute_plan",
    "resolve": "plans.resolve_step",
}


def visible_plans(actor: Actor) -> QuerySet[Plan]:
    """The plans the actor may see; raises Denied for one who has no business with plans at all."""
    if actor.may("plans.view_plan"):
        return Plan.objects.all()
    granted: QuerySet[Plan] = Plan.objects.none()
    if actor.user is not None:
        granted = get_objects_for_user(actor.user, "plans.view_plan", accept_global_perms=False)
    if not granted.exists():
        raise Denied(f"{actor.name} may not see plans.", permission="plans.view_plan")
    return granted


def plan_seen_by(actor: Actor, plan_id: UUID) -> Plan:
    """The plan, to read; raises PlanNotFound for one the actor may not see."""
    plan = Plan.objects.filter(pk=plan_id).first()
    if plan is None or not actor.may("plans.view_plan", plan):
        raise PlanNotFound("There is no such plan.", plan=str(plan_id))
    return plan


def plan_for(actor: Actor, plan_id: UUID, action: Action) -> Plan:
    """The plan, locked to be changed; raises PlanNotFound or Denied."""
    seen = plan_seen_by(actor, plan_id)
    actor.require(_PERMISSIONS[action], seen)
    return lock_plan(seen.pk)


def lock_plan(plan_id: UUID) -> Plan:
    """The plan's row, locked; always taken before its approval request, its runs and its steps."""
    return Plan.objects.select_for_update(no_key=True).get(pk=plan_id)


def run_of(plan: Plan, run_id: UUID) -> Run:
    """A run of the plan, locked; raises RunNotFound."""
    run = Run.objects.select_for_update(no_key=True).filter(plan=plan, pk=run_id).first()
    if run is None:
        raise RunNotFound("This plan has no such run.", plan=str(plan.pk), run=str(run_id))
    return run


def step_of(plan: Plan, step_id: UUID) -> Step:
    """A step of the plan, locked; raises StepNotFound."""
    step = Step.objects.select_for_update(no_key=True).filter(plan=plan, pk=step_id).first()
    if step is None:
        raise StepNotFound("This plan has no such step.", plan=str(plan.pk), step=str(step_id))
    return step
