"""Staging: the draft becomes exactly what will be done, reserved, counted and ready to be approved."""

from __future__ import annotations

from uuid import UUID

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.states import WrongState
from opsconsole.plans import access
from opsconsole.plans.models import Plan
from opsconsole.plans.starting import refuse_closed_window
from opsconsole.plans.states import PlanState
from opsconsole.plans.transitions import stage


@operation
def stage_plan(*, plan_id: UUID, actor: Actor) -> Plan:
    """Stage a draft; raises WrongState for any other, NothingToDo when it would do nothing, OutsideWindow too late.

    The answer carries `estimated_impact` and the digest that approvals will be bound to. Staged content never
    changes: take the plan back to draft to alter it.
    """
    plan = access.plan_for(actor, plan_id, "stage")
    if plan.status != PlanState.DRAFT:
        raise WrongState(
            format_lazy(_("The plan is {state}; only a draft can be staged."), state=plan.state.label),
            status=plan.status,
            wanted="staged",
        )
    refuse_closed_window(plan)
    stage(plan, actor=actor)
    return plan
