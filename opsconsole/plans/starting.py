"""What stands before a run: window, calendars, another run, drift, approvals. Joins the caller's operation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import kernel as approvals
from opsconsole.approvals.models import Request
from opsconsole.approvals.states import RequestState, ReviewCause
from opsconsole.core.actors import Actor
from opsconsole.core.errors import DomainError
from opsconsole.core.states import WrongState
from opsconsole.core.texts import Text, english
from opsconsole.plans.content import content_digest
from opsconsole.plans.errors import NoLiveApproval, OutsideWindow, PlanDrifted, RunIsLive
from opsconsole.plans.models import BreakGlass, Plan, Run, Step
from opsconsole.plans.states import Direction, PlanState
from opsconsole.plans.transitions import SUBJECT, live_run, policy_action, stage, take_back
from opsconsole.plans.types import type_named


@dataclass(frozen=True, slots=True)
class Drifted:
    """The plan was not executed: the world is no longer what was approved. It was staged afresh, or is a draft again.

    `obstacle` says why it could not be staged.
    """

    plan: Plan
    reasons: list[Text]
    obstacle: Text = ""

    def error(self) -> PlanDrifted:
        """The refusal, to be raised once what became of the plan is committed."""
        told: Text = _("The plan no longer matches what was approved. It was staged afresh and needs new approvals.")
        if self.obstacle:
            told = format_lazy(
                _(
                    "The plan no longer matches what was approved. It is a draft again, since it cannot be staged:"
                    " {why}"
                ),
                why=self.obstacle,
            )
        return PlanDrifted(
            told,
            drift=self.reasons,
            plan_status=self.plan.status,
            digest=self.plan.digest,
        )


def refuse_outside_window(plan: Plan) -> None:
    """Raise OutsideWindow before `not_before` and after `not_after`."""
    if plan.not_before and timezone.now() < plan.not_before:
        raise OutsideWindow(
            format_lazy(_("The plan may not be executed before {time} UTC."), time=f"{plan.not_before:%Y-%m-%d %H:%M}")
        )
    refuse_closed_window(plan)


def refuse_closed_window(plan: Plan) -> None:
    """Raise OutsideWindow after `not_after`: nobody should stage or approve what can no longer be executed."""
    if plan.not_after and timezone.now() > plan.not_after:
        raise OutsideWindow(
            format_lazy(_("The plan may not be executed after {time} UTC."), time=f"{plan.not_after:%Y-%m-%d %H:%M}")
        )


def refuse_live_run(plan: Plan) -> None:
    """Raise RunIsLive while a run of the plan has not ended."""
    run = live_run(plan)
    if run is not None:
        raise RunIsLive(
            format_lazy(_("A run of this plan is {state}."), state=run.state.label),
            run=str(run.pk),
            run_status=run.status,
        )


def request_to_execute(plan: Plan) -> Request:
    """The request whose approvals the plan would be executed under; raises NoLiveApproval."""
    request = approvals.live_request(SUBJECT, plan.pk, policy_action(plan))
    if request is None:
        raise NoLiveApproval(_("The approvals of this plan have ended; stage it again."), plan=str(plan.pk))
    return request


def executed_under(plan: Plan) -> Request:
    """The request that the plan was executed under, or past: whoever might execute may retry and roll back.

    Raises WrongState for a plan that never was executed.
    """
    passed = BreakGlass.objects.filter(plan=plan).order_by("-at").values_list("request_id", flat=True).first()
    about = Request.objects.filter(subject_kind=SUBJECT, subject_id=str(plan.pk), action=policy_action(plan))
    request = about.filter(status=RequestState.CONSUMED).order_by("-ended_at").first()
    request = request or (about.filter(pk=passed).first() if passed else None)
    if request is None:
        raise WrongState(
            format_lazy(_("The plan is {state}; it was never executed."), state=plan.state.label), status=plan.status
        )
    return request


def drift_of(plan: Plan, request: Request) -> list[Text]:
    """What is no longer as it was staged; each a sentence."""
    reasons = type_named(plan.plan_type).drift(plan)
    if content_digest(plan, request.policy) != request.digest:
        reasons.append(_("The stored content of the plan is not the content that was approved."))
    return reasons


def stage_afresh(plan: Plan, reasons: list[Text], actor: Actor) -> Drifted:
    """Take a drifted plan back and stage it anew, its approvals void; a draft where it cannot be staged."""
    reason = "drifted: " + " ".join(english(one) for one in reasons)
    approvals.void(SUBJECT, plan.pk, reason=reason, actor=actor)
    take_back(plan, PlanState.DRAFT, actor=actor, reason=reason)
    try:
        with transaction.atomic():
            stage(plan, actor=actor, had_a_hand=False)  # who executes has not written anything
    except DomainError as obstacle:
        plan.refresh_from_db()
        return Drifted(plan, reasons, obstacle.told)
    return Drifted(plan, reasons)


def steps_to_execute(plan: Plan) -> int:
    """How many steps the plan's revision has."""
    return Step.objects.filter(plan=plan, revision=plan.revision, direction=Direction.EXECUTE).count()


def review_by_policy(plan: Plan, run: Run, request: Request, *, actor: Actor) -> None:
    """Ask for the look afterwards that the policy wants; none of those who had a part in the plan take part in it."""
    terms = request.terms
    if not terms.reviewers:
        return
    approvers = request.decisions.values_list("user_id", flat=True)
    approvals.open_review(
        cause=ReviewCause.POLICY,
        subject_kind=SUBJECT,
        subject_id=plan.pk,
        title=plan.name,
        facts={"run": run.pk, "plan_type": plan.plan_type, "executed_by": actor.name},
        roles={*terms.roles, *terms.executors},
        barred=had_a_part(plan, actor, approvers),
        needed=terms.reviewers,
        actor=actor,
    )


def had_a_part(plan: Plan, actor: Actor, others: Iterable[UUID] = ()) -> set[str]:
    """The ids of who wrote the plan, who executes it, and these others."""
    return {str(plan.created_by_id), *plan.edited_by, actor.id, *map(str, others)}
