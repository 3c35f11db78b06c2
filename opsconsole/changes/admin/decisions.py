"""The buttons on a change: approve, reject, apply, take, cancel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals.admin.panel import approvals_panel, why_not_approve
from opsconsole.approvals.admin.verdicts import ApproveForm, require_seen, why_not_reject
from opsconsole.approvals.serializers import signature_in
from opsconsole.approvals.states import OPEN as OPEN_REQUESTS
from opsconsole.changes import moves
from opsconsole.changes.admin.comparing import advice_on, before_and_after
from opsconsole.changes.kinds.base import kind_named
from opsconsole.changes.models import Change
from opsconsole.changes.selectors import request_of
from opsconsole.changes.services import decisions, requests
from opsconsole.changes.states import OPEN, ChangeState
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, ReasonForm, done, refused, then
from opsconsole.core.admin.pages import Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text


def what_came_of_it(change: Change, otherwise: Text) -> Answer:
    """Applied, or why not; what else there is to say where it was not tried."""
    if error := moves.outcome_error(change):
        return refused(error, to=display.row_url(change))
    said = now_("Applied.") if change.status == ChangeState.APPLIED else otherwise
    return done(said, to=display.row_url(change))


class ApproveChange(Action[Change]):
    """Agree."""

    name = "approve"
    label = _("Approve")
    icon = "check"
    tone = "primary"
    permission = "approvals.decide_request"
    form = ApproveForm

    def offered(self, _actor: Actor, row: Change) -> bool:
        """While approvals are wanted."""
        return row.status == ChangeState.REQUESTED

    def obstacle(self, actor: Actor, row: Change) -> Text:
        """Why this person cannot."""
        request = request_of(row)
        if request is None or request.status not in OPEN_REQUESTS:
            return now_("It waits for no decision.")
        return why_not_approve(request, actor)

    def question(self, row: Change) -> Text:
        """What is agreed to, and that it may happen at once."""
        return now_("Approve “%(title)s”? The last approval that is needed applies it.") % {"title": row.title}

    def sections(self, actor: Actor, row: Change) -> Sequence[Section]:
        """What changes, and the text to sign."""

        request = request_of(row)
        panel = [approvals_panel(request, actor, linked=True)] if request else []
        return [*advice_on(row.kind), before_and_after(row.before, row.after), *panel]

    def initial(self, row: Change) -> dict[str, Any]:
        """What is approved."""
        return {"digest": row.digest}

    def make_form(self, actor: Actor, row: Change, data: Any = None, files: Any = None) -> ActionForm:
        """With a signature, where the policy asks for one."""
        form = cast(ApproveForm, super().make_form(actor, row, data, files))
        return form.ask_for_signature(request_of(row), actor)

    def perform(self, press: Press[Change]) -> Answer:
        """Approve it, if it is still what was seen."""

        def render(change: Change) -> Answer:
            require_seen(press.data["digest"], change.digest)
            return what_came_of_it(change, now_("Your approval counts; others are still needed, or apply it."))

        return decisions.approve_change.once(
            press.key,
            render,
            change_id=press.row.pk,
            digest=press.data["digest"],
            signature=signature_in(press.data),
            comment=press.data["comment"],
            actor=press.actor,
        )


class RejectChange(Action[Change]):
    """Refuse for good."""

    name = "reject"
    label = _("Reject")
    icon = "block"
    tone = "danger"
    permission = "approvals.decide_request"
    form = ReasonForm

    def offered(self, _actor: Actor, row: Change) -> bool:
        """While it has not ended."""
        return row.status in OPEN

    def obstacle(self, actor: Actor, row: Change) -> Text:
        """Why this person has no say."""
        request = request_of(row)
        return why_not_reject(request, actor) if request else ""

    def question(self, row: Change) -> Text:
        """What ends."""
        return now_("Reject “%(title)s” for good?") % {"title": row.title}

    def perform(self, press: Press[Change]) -> Answer:
        """Reject it."""
        return decisions.reject_change.once(
            press.key,
            then(lambda _change: now_("Rejected."), display.row_url),
            change_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


class ApplyChange(Action[Change]):
    """Carry out what is approved and was not applied at once."""

    name = "apply"
    label = _("Apply")
    icon = "play_arrow"
    tone = "go"
    permission = "approvals.decide_request"

    def offered(self, _actor: Actor, row: Change) -> bool:
        """Approved."""
        return row.status == ChangeState.APPROVED and not kind_named(row.kind).collected

    def obstacle(self, actor: Actor, row: Change) -> Text:
        """Another role."""
        request = request_of(row)
        if request is None or not actor.roles.isdisjoint(request.executors):
            return ""
        return now_("This takes one of the roles %(roles)s.") % {"roles": ", ".join(request.executors)}

    def question(self, row: Change) -> Text:
        """What happens."""
        return now_("Apply “%(title)s” now?") % {"title": row.title}

    def typed(self, row: Change) -> str:
        """The record's name."""
        return row.subject_name

    def perform(self, press: Press[Change]) -> Answer:
        """Apply it."""
        return decisions.apply_change.once(
            press.key,
            lambda outcome: what_came_of_it(outcome[0], ""),
            change_id=press.row.pk,
            actor=press.actor,
        )


class CollectChange(Action[Change]):
    """Take what one was given, the only time it can be seen."""

    name = "collect"
    label = _("Take the token")
    icon = "key"
    tone = "primary"
    permission = "changes.collect"

    def allowed(self, actor: Actor, row: Change) -> bool:
        """The person it is for, and nobody else."""
        return kind_named(row.kind).collected and actor.id in row.concerned

    def offered(self, _actor: Actor, row: Change) -> bool:
        """Approved."""
        return row.status == ChangeState.APPROVED

    def obstacle(self, _actor: Actor, row: Change) -> Text:
        """Others have not agreed, or it was taken."""
        return "" if row.status == ChangeState.APPROVED else now_("It is %(state)s.") % {"state": row.state.label}

    def question(self, row: Change) -> Text:
        """That it is shown once."""
        return now_("Take “%(title)s”? The next page shows it, once; keep it where nobody else looks.") % {
            "title": row.title
        }

    def perform(self, press: Press[Change]) -> Answer:
        """Take it; no answer that holds a token is kept, so this is not under the form's key."""
        change, given = decisions.apply_change(change_id=press.row.pk, actor=press.actor)
        if not given:
            return what_came_of_it(change, "")
        return done(now_("Your token, shown this once: %(token)s") % {"token": given}, to=display.row_url(change))


class CancelChange(Action[Change]):
    """Take it back."""

    name = "cancel"
    label = _("Take it back")
    icon = "cancel"
    permission = "changes.view_change"
    form = ReasonForm

    def allowed(self, actor: Actor, row: Change) -> bool:
        """Whoever asked for it, and whoever may ask for such."""
        return actor.id == str(row.requested_by_id) or actor.may(kind_named(row.kind).withdrawal)

    def offered(self, _actor: Actor, row: Change) -> bool:
        """While it has not ended."""
        return row.status in OPEN

    def question(self, row: Change) -> Text:
        """What ends."""
        return now_("Take “%(title)s” back? Approvals of it are void.") % {"title": row.title}

    def perform(self, press: Press[Change]) -> Answer:
        """Take it back."""
        return requests.cancel_change.once(
            press.key,
            then(lambda _change: now_("It is taken back."), display.row_url),
            change_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )
