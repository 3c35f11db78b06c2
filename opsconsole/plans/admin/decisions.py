"""The buttons by which people decide on a staged plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals.admin.panel import approvals_panel, has_approved, why_not_approve
from opsconsole.approvals.admin.verdicts import ApproveForm, require_seen, why_not_reject
from opsconsole.approvals.models import Request
from opsconsole.approvals.serializers import signature_in
from opsconsole.approvals.states import OPEN
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, OptionalReasonForm, Press, ReasonForm, done, then
from opsconsole.core.admin.pages import Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.plans.admin.impact import impact_sections
from opsconsole.plans.admin.rows import latest_request, size_of
from opsconsole.plans.models import Plan
from opsconsole.plans.services import decisions
from opsconsole.plans.states import PlanState


def open_request(plan: Plan) -> Request | None:
    """The request on which people can decide now."""
    request = latest_request(plan)
    return request if request is not None and request.status in OPEN else None


class ApprovePlan(Action[Plan]):
    """Agree to what is staged."""

    name = "approve"
    label = _("Approve")
    icon = "check"
    tone = "primary"
    permission = "approvals.decide_request"
    form = ApproveForm

    def offered(self, _actor: Actor, row: Plan) -> bool:
        """While approvals are wanted."""
        return row.status == PlanState.STAGED

    def obstacle(self, actor: Actor, row: Plan) -> Text:
        """Why this person cannot."""
        request = open_request(row)
        if request is None:
            return now_("The plan is %(state)s; it waits for no decision.") % {"state": row.state.label}
        return why_not_approve(request, actor)

    def question(self, row: Plan) -> Text:
        """How much is agreed to."""
        return now_("Approve “%(name)s”: %(size)s?") % {"name": row.name, "size": size_of(row)}

    def sections(self, actor: Actor, row: Plan) -> Sequence[Section]:
        """The text to sign, and the impact again."""
        request = open_request(row)
        panel = [approvals_panel(request, actor, linked=True)] if request else []
        return [*panel, *impact_sections(row.estimated_impact, originals=True)]

    def initial(self, row: Plan) -> dict[str, Any]:
        """What is approved."""
        return {"digest": row.digest}

    def make_form(self, actor: Actor, row: Plan, data: Any = None, files: Any = None) -> ActionForm:
        """With a signature, where the policy asks for one."""
        return cast(ApproveForm, super().make_form(actor, row, data, files)).ask_for_signature(open_request(row), actor)

    def perform(self, press: Press[Plan]) -> Answer:
        """Approve it, if it is still what was seen."""

        def render(plan: Plan) -> Answer:
            require_seen(press.data["digest"], plan.digest)
            if plan.status == PlanState.APPROVED:
                return done(now_("Approved: everybody who must agree has agreed."), to=display.row_url(plan))
            return done(now_("Your approval counts; others are still needed."), to=display.row_url(plan))

        return decisions.approve_plan.once(
            press.key,
            render,
            plan_id=press.row.pk,
            signature=signature_in(press.data),
            comment=press.data["comment"],
            actor=press.actor,
        )


class RejectPlan(Action[Plan]):
    """Refuse it for good."""

    name = "reject"
    label = _("Reject")
    icon = "block"
    tone = "danger"
    permission = "approvals.decide_request"
    form = ReasonForm

    def offered(self, _actor: Actor, row: Plan) -> bool:
        """While people can decide."""
        return row.status in (PlanState.STAGED, PlanState.APPROVED)

    def obstacle(self, actor: Actor, row: Plan) -> Text:
        """Why this person cannot."""
        request = open_request(row)
        return "" if request is None else why_not_reject(request, actor)

    def question(self, row: Plan) -> Text:
        """What ends."""
        return now_("Reject “%(name)s” for good (%(size)s)? What it had reserved is free again.") % {
            "name": row.name,
            "size": size_of(row),
        }

    def perform(self, press: Press[Plan]) -> Answer:
        """Reject it."""
        return decisions.reject_plan.once(
            press.key,
            then(lambda _plan: now_("The plan is rejected."), display.row_url),
            plan_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


class RevokeApproval(Action[Plan]):
    """Take back one's own approval."""

    name = "revoke"
    label = _("Take back my approval")
    icon = "undo"
    permission = "approvals.decide_request"
    form = OptionalReasonForm

    def offered(self, actor: Actor, row: Plan) -> bool:
        """While this person's approval stands and was not used."""
        request = open_request(row) if row.status in (PlanState.STAGED, PlanState.APPROVED) else None
        return request is not None and has_approved(request, actor)

    def question(self, row: Plan) -> Text:
        """What is taken back."""
        return now_("Take back your approval of “%(name)s”?") % {"name": row.name}

    def perform(self, press: Press[Plan]) -> Answer:
        """Take it back."""
        return decisions.revoke_approval.once(
            press.key,
            then(lambda _plan: now_("Your approval is taken back."), display.row_url),
            plan_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )
