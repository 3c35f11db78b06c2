"""What the pages of plans, runs and steps share: the rows a viewer may see, and what is about a plan."""

from __future__ import annotations

from typing import Generic, TypeVar

from django.utils import timezone
from django.utils.translation import gettext as now_
from django.utils.translation import ngettext

from opsconsole.approvals.admin.panel import slots_as_text
from opsconsole.approvals.models import Request
from opsconsole.approvals.selectors import active_policy
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action
from opsconsole.plans.access import visible_runs, visible_steps
from opsconsole.plans.calendars import Freeze
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.states import Direction, PlanState, StepState
from opsconsole.plans.transitions import SUBJECT, live_run, policy_action, rollback_action
from opsconsole.plans.types import UnknownPlanType, type_named

__all__ = ["visible_runs", "visible_steps"]

Row = TypeVar("Row", Plan, Run, Step)


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
    return label_of_type(plan.plan_type)


def label_of_type(name: str) -> str:
    """The same by the name of the type."""
    try:
        return str(type_named(name).label)
    except UnknownPlanType:
        return name


def latest_request(plan: Plan) -> Request | None:
    """The newest approval request for the plan, ended or not."""
    return _latest(plan, policy_action(plan))


def undo_request(plan: Plan) -> Request | None:
    """The newest approval request for undoing the plan, ended or not; most plans are undone without one."""
    return _latest(plan, rollback_action(plan))


def _latest(plan: Plan, action: str) -> Request | None:
    return (
        Request.objects.select_related("requested_by")
        .filter(subject_kind=SUBJECT, subject_id=str(plan.pk), action=action)
        .order_by("-created_at", "-id")
        .first()
    )


def undoing_takes(plan: Plan) -> str:
    """Whose approvals undoing the plan takes first; empty where it takes none of its own."""
    policy = active_policy(rollback_action(plan))
    return "" if policy is None or plan.status == PlanState.ROLLBACK_PARTIAL else slots_as_text(policy.slots)


def size_of(plan: Plan) -> str:
    """How much the plan does, as it was staged: its count and its sums."""
    impact = plan.estimated_impact or {}
    count, sums = impact.get("count", 0), impact.get("sums", {})
    items = ngettext("%(count)s item", "%(count)s items", count) % {"count": display.number(count)}
    return f"{items}, {display.sums_as_text(sums)}" if sums else items


def window_closed(plan: Plan) -> str:
    """When its window closed; empty while it has not, or without one."""
    if plan.not_after is None or timezone.now() <= plan.not_after:
        return ""
    return now_("Its window closed at %(time)s UTC.") % {"time": f"{plan.not_after:%Y-%m-%d %H:%M}"}


def why_not_execute(plan: Plan, actor: Actor) -> str:
    """Why this actor could not carry on what was approved; empty when they can."""
    request = latest_request(plan)
    if request is not None and actor.roles.isdisjoint(request.executors):
        return now_("This takes one of the roles %(roles)s.") % {"roles": ", ".join(request.executors)}
    return ""


def why_frozen(freeze: Freeze) -> str:
    """Which calendar keeps the plan from being executed, and until when."""
    facts = {
        "names": ", ".join(calendar.name for calendar in freeze.calendars),
        "time": f"{freeze.until:%Y-%m-%d %H:%M}" if freeze.until else "",
    }
    if freeze.until is None:
        return now_("The freeze calendar %(names)s holds this plan, with no end in sight.") % facts
    return now_("The freeze calendar %(names)s holds this plan until %(time)s UTC.") % facts


def why_nothing_left(plan: Plan, direction: Direction) -> str:
    """That a run which ended in part has nothing left to try; empty while it has."""
    steps = Step.objects.filter(plan=plan, revision=plan.revision)
    waiting = steps.filter(direction=direction, status__in=(StepState.PENDING, StepState.FAILED, StepState.UNKNOWN))
    if waiting.exists():
        return ""
    if direction == Direction.EXECUTE:
        return now_("Every step of this run has been done.")
    if steps.filter(direction=Direction.EXECUTE, status=StepState.SUCCEEDED, undone_by=None).exists():
        return ""
    return now_("What could be undone is undone; its run lists what no longer can be, each with the reason.")


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


display.register_names("plan_type", label_of_type)
display.register_link("run", Run, lambda pk: display.row_url_of(Run, pk))
