"""Break-glass: in an emergency one person executes a staged plan, and two others look at it afterwards."""

from __future__ import annotations

from uuid import UUID

from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import kernel as approvals
from opsconsole.approvals.reviews import REVIEWERS
from opsconsole.approvals.states import ReviewCause
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.operations import operation
from opsconsole.core.states import WrongState
from opsconsole.journal.record import record
from opsconsole.plans import access, calendars
from opsconsole.plans.errors import GlassForbidden, GlassNotNeeded, PlanInvalid
from opsconsole.plans.models import BreakGlass, Run
from opsconsole.plans.starting import (
    Drifted,
    drift_of,
    had_a_part,
    refuse_live_run,
    refuse_outside_window,
    request_to_execute,
    stage_afresh,
    steps_to_execute,
)
from opsconsole.plans.states import Direction, PlanState
from opsconsole.plans.transitions import SUBJECT, announce, open_run, policy_action
from opsconsole.plans.types import type_named


@operation
def break_glass(*, plan_id: UUID, incident: str, reason: str, actor: Actor) -> Run | Drifted:
    """Execute a staged plan without its quorum, or an approved one through a calendar; a review is due in a day.

    `incident` is the id under which the emergency is handled. Raises GlassForbidden for a type that moves money,
    GlassNotNeeded where nothing stands in the way, PlanInvalid without incident or reason, NotAnExecutor for a role
    that could not execute the approved plan either, WrongState, OutsideWindow, RunIsLive. A plan that drifted is
    staged afresh, as in any execution, and Drifted says so.
    """
    plan = access.plan_for(actor, plan_id, "break_glass")
    if actor.user is None:
        raise Denied(_("The glass is broken by a person, who is known by name."))
    _require_words(incident, reason)
    if not type_named(plan.plan_type).break_glass:
        raise GlassForbidden(
            format_lazy(_("No emergency lets one person execute a plan of type {type}."), type=plan.plan_type),
            plan_type=plan.plan_type,
        )
    if plan.status not in (PlanState.STAGED, PlanState.APPROVED):
        raise WrongState(
            format_lazy(
                _("The plan is {state}; the glass is broken for a staged or approved plan."), state=plan.state.label
            ),
            status=plan.status,
            wanted=PlanState.STAGED.value,
        )
    refuse_outside_window(plan)
    freeze = calendars.freeze_of(plan, timezone.now())
    if plan.status == PlanState.APPROVED and freeze is None:
        raise GlassNotNeeded(_("The plan is approved and no calendar holds it: execute it."), plan=str(plan.pk))
    refuse_live_run(plan)
    request = request_to_execute(plan)
    approvals.require_executor(request, actor=actor)
    if reasons := drift_of(plan, request):
        return stage_afresh(plan, reasons, actor)
    was = plan.status
    if was == PlanState.APPROVED:
        approvals.consume(request, digest=plan.digest, actor=actor)
    else:
        approvals.void(SUBJECT, plan.pk, reason=f"break-glass for {incident}", action=policy_action(plan), actor=actor)
        plan.move_to(PlanState.APPROVED).save(update_fields=["status"])  # a move of its own: the guard sees each
    run = open_run(plan, Direction.EXECUTE, actor=actor, steps=steps_to_execute(plan))
    passed = [{"id": str(one.pk), "name": one.name} for one in freeze.calendars] if freeze else []
    facts = {
        "incident": incident,
        "reason": reason,
        "by": actor.name,
        "run": str(run.pk),
        "plan_type": plan.plan_type,
        "without_quorum": was == PlanState.STAGED,
        "calendars": passed,
    }
    review = approvals.open_review(
        cause=ReviewCause.BREAK_GLASS,
        subject_kind=SUBJECT,
        subject_id=plan.pk,
        title=plan.name,
        facts=facts,
        roles={*request.terms.roles, *request.terms.executors},
        barred=had_a_part(plan, actor),
        needed=max(REVIEWERS, request.terms.reviewers),
        actor=actor,
    )
    BreakGlass.objects.create(
        plan=plan,
        run=run,
        request_id=request.pk,
        review_id=review.pk,
        digest=plan.digest,
        incident=incident,
        reason=reason,
        without_quorum=was == PlanState.STAGED,
        calendars=passed,
        broken_by=actor.user,
    )
    announce("plan.break_glass", plan, urgency="critical", review=review.pk, review_due_at=review.due_at, **facts)
    record(
        actor,
        "plan.glass_broken",
        plan,
        before={"status": was},
        after={"status": plan.status, "digest": plan.digest, "review": review.pk, **facts},
        reason=reason,
    )
    return run


def _require_words(incident: str, reason: str) -> None:
    errors = {
        name: [_("must not be blank")]
        for name, said in (("incident", incident), ("reason", reason))
        if not said.strip()
    }
    if errors:
        raise PlanInvalid(_("Breaking the glass takes an incident id and a reason."), errors=errors)
