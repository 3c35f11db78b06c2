"""Who may see and touch which plan: fetched, locked and permitted in one call."""

from __future__ import annotations

from contextlib import suppress
from typing import Literal
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.grants import granted
from opsconsole.plans.errors import CalendarNotFound, PlanNotFound, RunNotFound, StepNotFound
from opsconsole.plans.models import Calendar, Plan, Run, Step

Action = Literal["edit", "stage", "decide", "execute", "resolve", "break_glass", "force_fail"]

_PERMISSIONS: dict[Action, str] = {
    "edit": "plans.create_plan",
    "stage": "plans.stage_plan",
    "decide": "approvals.decide_request",
    "execute": "plans.execute_plan",
    "resolve": "plans.resolve_step",
    "break_glass": "plans.break_glass",
    "force_fail": "plans.force_fail_run",
}


def visible_plans(actor: Actor) -> QuerySet[Plan]:
    """The plans the actor may see; raises Denied for one who has no business with plans at all."""
    if actor.may("plans.view_plan"):
        return Plan.objects.all()
    opened = granted_plans(actor)
    if not opened.exists():
        raise Denied(format_lazy(_("{actor} may not see plans."), actor=actor.name), permission="plans.view_plan")
    return opened


def granted_plans(actor: Actor) -> QuerySet[Plan]:
    """The plans the actor was granted the sight of, one by one; what a role opens is not counted."""
    return granted(actor, "plans.view_plan", Plan.objects.all())


def visible_runs(actor: Actor) -> QuerySet[Run]:
    """The runs of the plans that the actor may see; raises Denied."""
    plans = visible_plans(actor)
    runs = Run.objects.select_related("plan")
    return runs if actor.may("plans.view_plan") else runs.filter(plan__in=plans)


def visible_steps(actor: Actor) -> QuerySet[Step]:
    """The steps of the plans that the actor may see; raises Denied."""
    plans = visible_plans(actor)
    steps = Step.objects.select_related("plan")
    return steps if actor.may("plans.view_plan") else steps.filter(plan__in=plans)


def visible_calendars(actor: Actor) -> QuerySet[Calendar]:
    """All freeze calendars; raises Denied for whom they are no business of."""
    actor.require("plans.view_calendar")
    return Calendar.objects.select_related("created_by")


def calendar_to_end(actor: Actor, calendar_id: UUID) -> Calendar:
    """The calendar, locked to be ended; raises CalendarNotFound or Denied."""
    seen = Calendar.objects.filter(pk=calendar_id).exists() and actor.may("plans.view_calendar")
    if not seen:
        raise CalendarNotFound(_("There is no such calendar."), calendar=str(calendar_id))
    actor.require("plans.manage_calendar")
    return Calendar.objects.select_for_update(no_key=True).get(pk=calendar_id)


def plan_seen_by(actor: Actor, plan_id: UUID) -> Plan:
    """The plan, to read; raises PlanNotFound for one the actor may not see."""
    plan = Plan.objects.filter(pk=plan_id).first()
    if plan is None or not actor.may("plans.view_plan", plan):
        raise PlanNotFound(_("There is no such plan."), plan=str(plan_id))
    return plan


def plan_named(actor: Actor, name: str) -> Plan:
    """The plan of this id or external id, to read; raises PlanNotFound for one the actor may not see."""
    wanted = Q(external_id=name)
    with suppress(ValueError):
        wanted |= Q(pk=UUID(name))
    plan = Plan.objects.filter(wanted).first()
    if plan is None:
        raise PlanNotFound(_("There is no such plan."), plan=name)
    return plan_seen_by(actor, plan.pk)


def run_seen_by(actor: Actor, run_id: UUID) -> Run:
    """The run, to read; raises RunNotFound for one of a plan that the actor may not see."""
    run = Run.objects.select_related("plan").filter(pk=run_id).first()
    if run is None or not actor.may("plans.view_plan", run.plan):
        raise RunNotFound(_("There is no such run."), run=str(run_id))
    return run


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
        raise RunNotFound(_("This plan has no such run."), plan=str(plan.pk), run=str(run_id))
    return run


def step_of(plan: Plan, step_id: UUID) -> Step:
    """A step of the plan, locked; raises StepNotFound."""
    step = Step.objects.select_for_update(no_key=True).filter(plan=plan, pk=step_id).first()
    if step is None:
        raise StepNotFound(_("This plan has no such step."), plan=str(plan.pk), step=str(step_id))
    return step
