"""What the pages of plans, runs and steps share: the rows a viewer may see, and what is about a plan."""

from __future__ import annotations

from typing import Generic, TypeVar

from django.db.models import QuerySet
from django.utils.translation import gettext as now_

from opsconsole.approvals.models import Request
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action
from opsconsole.plans import access
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.states import StepState
from opsconsole.plans.transitions import SUBJECT, live_run, policy_action
from opsconsole.plans.types import UnknownPlanType, type_named

Row = TypeVar("Row", Plan, Run, Step)


def visible_runs(actor: Actor) -> QuerySet[Run]:
    """The runs of the plans that the actor may see; raises Denied."""
    plans = access.visible_plans(actor)
    runs = Run.objects.select_related("plan")
    return runs if actor.may("plans.view_plan") else runs.filter(plan__in=plans)


def visible_steps(actor: Actor) -> QuerySet[Step]:
    """The steps of the plans that the actor may see; raises Denied."""
    plans = access.visible_plans(actor)
    steps = Step.objects.select_related("plan")
    return steps if actor.may("plans.view_plan") else steps.filter(plan__in=plans)


def plan_of(row: Plan | Run | Step) -> Plan:
    """The plan that the row is, or belongs to."""
    return row if isinstance(row, Plan) else row.plan


class PlanAction(Action[Row], Generic[Row]):
    """An action on a plan, a run or a step: a right on the plan may come by role or by a grant on that plan."""

    def allowed(self, actor: Actor, row: Row) -> bool:
        """By role, or by a grant."""
        return actor.may(self.permission, plan_of(row))


def type_label(plan: Plan) -> str:
    """The plan's type for people; its bare name where the type is no longer registered."""
    try:
        return str(type_named(plan.plan_type).label)
    except UnknownPlanType:
        return plan.plan_type


def latest_request(plan: Plan) -> Request | None:
    """The newest approval request for the plan, ended or not."""
    return (
        Request.objects.select_related("requested_by")
        .filter(subject_kind=SUBJECT, subject_id=str(plan.pk), action=policy_action(plan))
        .order_by("-created_at", "-id")
        .first()
    )


def size_of(plan: Plan) -> str:
    """How much the plan does, as it was staged: its count and its sums."""
    impact = plan.estimated_impact or {}
    count, total = impact.get("count", 0), display.sums_as_text(impact.get("sums", {}))
    return now_("%(count)s items, %(sums)s") % {"count": display.number(count), "sums": total}


def why_not_execute(plan: Plan, actor: Actor) -> str:
    """Why this actor could not carry on what was approved; empty when they can."""
    request = latest_request(plan)
    if request is not None and actor.roles.isdisjoint(request.executors):
        return now_("This takes one of the roles %(roles)s.") % {"roles": ", ".join(request.executors)}
    return ""


def why_not_new_run(plan: Plan, actor: Actor) -> str:
    """Why no further run can begin; empty when one can."""
    if run := live_run(plan):
        return now_("A run of this plan is %(state)s.") % {"state": run.state.label}
    doubtful = Step.objects.filter(plan=plan, status__in=(StepState.UNKNOWN, StepState.RUNNING)).count()
    if doubtful:
        return now_("The outcome of %(count)s steps is unknown; resolve them first.") % {
            "count": display.number(doubtful)
        }
    return why_not_execute(plan, actor)
