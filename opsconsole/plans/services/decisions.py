"""Decisions on a staged plan, and how the plan follows its approval request, whichever door the decision came by."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import kernel as approvals
from opsconsole.approvals.passkeys import Assertion
from opsconsole.approvals.states import DecisionKind, Outcome
from opsconsole.approvals.subjects import SubjectHooks, register
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import record
from opsconsole.plans import access
from opsconsole.plans.errors import NoDecisionOpen, PlanNotFound
from opsconsole.plans.models import Plan
from opsconsole.plans.states import PlanState
from opsconsole.plans.transitions import SUBJECT, policy_action, take_back

if TYPE_CHECKING:
    from opsconsole.approvals.models import Request


@operation
def approve_plan(*, plan_id: UUID, signature: str | Assertion, comment: str, actor: Actor) -> Plan:
    """Approve the staged content; the last approval that is needed makes the plan approved.

    Raises what `approvals.decide` objects to: the requester or an editor, a second approval, a role that fills no
    slot, a signature that does not verify or is missing where the policy asks for one.
    """
    return _decide(plan_id, DecisionKind.APPROVE, comment, signature, actor)


@operation
def reject_plan(*, plan_id: UUID, reason: str, actor: Actor) -> Plan:
    """Reject the staged content for good; what it had reserved is free again."""
    return _decide(plan_id, DecisionKind.REJECT, reason, "", actor)


@operation
def revoke_approval(*, plan_id: UUID, reason: str, actor: Actor) -> Plan:
    """Take back one's own approval, as long as the plan has not been executed."""
    return _decide(plan_id, DecisionKind.REVOKE, reason, "", actor)


def _decide(plan_id: UUID, kind: DecisionKind, reason: str, signature: str | Assertion, actor: Actor) -> Plan:
    plan = access.plan_for(actor, plan_id, "decide")
    approvals.decide(_open_request(plan), kind=kind, reason=reason, signature=signature, actor=actor)
    plan.refresh_from_db()
    return plan


def _open_request(plan: Plan) -> Request:
    request = approvals.live_request(SUBJECT, plan.pk, policy_action(plan))
    if request is None or plan.status == PlanState.DRAFT:
        raise NoDecisionOpen(
            format_lazy(_("The plan is {state}; it waits for no decision."), state=plan.state.label), status=plan.status
        )
    return request


def follow_decision(request: Request, outcome: Outcome, actor: Actor) -> None:
    """Move the plan as its request moved; called by approvals in the same operation, the plan's row locked.

    A request to roll back moves nothing: whoever asked calls again once it is approved.
    """
    plan = access.lock_plan(UUID(request.subject_id))
    if request.action != policy_action(plan):
        return
    was = plan.status
    if was == PlanState.DRAFT:
        raise NoDecisionOpen(_("The plan is being edited; it waits for no decision."), status=was)
    match outcome:
        case Outcome.REJECTED:
            take_back(plan, PlanState.REJECTED, actor=actor, reason="rejected")
            return
        case Outcome.APPROVED:
            plan.move_to(PlanState.APPROVED)
        case Outcome.REOPENED:
            plan.move_to(PlanState.STAGED)
        case Outcome.PROGRESSED:
            pass
    plan.approvals = approvals.summary(request)
    plan.updated_at = Now()
    plan.save(update_fields=["status", "approvals", "updated_at"])
    plan.refresh_from_db()
    if plan.status != was:
        record(
            actor,
            f"plan.{plan.status}" if outcome == Outcome.APPROVED else "plan.reopened",
            plan,
            before={"status": was},
            after={"status": plan.status, "digest": plan.digest},
        )


def follow_expiry(request: Request) -> None:
    """Let the plan expire with its request."""
    plan = access.lock_plan(UUID(request.subject_id))
    if request.action == policy_action(plan) and plan.status in (PlanState.STAGED, PlanState.APPROVED):
        take_back(plan, PlanState.EXPIRED, actor=SYSTEM("sweeper"), reason="its approvals were not complete in time")


def lock_subject(subject_id: str) -> Plan:
    """The plan's row, locked; raises PlanNotFound."""
    try:
        return access.lock_plan(UUID(subject_id))
    except Plan.DoesNotExist as error:
        raise PlanNotFound(_("There is no such plan."), plan=subject_id) from error


def take_part() -> None:
    """Let approvals know that plans are approved."""
    register(
        SUBJECT,
        SubjectHooks(
            lock=lock_subject,
            decided=follow_decision,
            expired=follow_expiry,
            journal_kind=Plan._meta.db_table,
            opened=access.granted_plans,
        ),
    )
